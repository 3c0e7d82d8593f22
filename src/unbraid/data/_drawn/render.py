"""A small rasteriser: one mesh from many sides, shaded smoothly, anti-aliased, many images at once.

A triangle is cut into rows of samples, a row into samples; a sample shows the nearest triangle that holds its centre.
Every step works on a flat list (of triangles, rows, samples) of all images, one value at a time, so that an image is
the same to the bit whatever else is drawn with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from unbraid.data._drawn.meshes import Mesh

Vectors = Sequence[np.ndarray] | np.ndarray  # x, y and z

TOGETHER = 8  # images in one go: the lists stay in the cache of a core
CLOSEST = 16  # the camera may come this much closer to a vertex than it is to the centre
NUMBER_BITS = 24  # of the number of a triangle in a go
DEPTH_UNIT = float(1 << 34)  # CLOSEST * DEPTH_UNIT and the number fit into 62 bits
SLIVER = 1e-6  # of a sample: smaller triangles are left out, since their planes would be mostly rounding


@dataclass(frozen=True)
class Camera:
    """A camera that turns about a point, in perspective, upright.

    centre: the point, which is always in the middle of the image.
    distance: from the centre.
    reach: distance from the centre, across the view, of what is at the edge of the image.
    """

    centre: tuple[float, float, float]
    distance: float
    reach: float


@dataclass(frozen=True)
class Light:
    """A far lamp that moves with the camera, a lamp on the camera, light from everywhere, and gloss of the far lamp.

    towards: the far lamp, as (right, up, to the camera).
    """

    towards: tuple[float, float, float] = (-0.45, 0.65, 0.6)
    lamp: float = 0.55
    front: float = 0.25
    ambient: float = 0.2
    gloss: float = 0.2


class _Triangles(NamedTuple):
    """Triangles that face the camera, of all images in a go; x to the right and y downwards, in samples.

    x, y: corners from the uppermost to the lowest.
    near: how near it is as a plane over x and y, and so are shade and gloss: (constant, along x, along y).
    """

    image: Int[np.ndarray, " n"]
    material: Int[np.ndarray, " n"]
    x: Float[np.ndarray, "3 n"]
    y: Float[np.ndarray, "3 n"]
    near: Float[np.ndarray, "3 n"]
    shade: Float[np.ndarray, "3 n"]
    gloss: Float[np.ndarray, "3 n"]


def render(
    mesh: Mesh,
    camera: Camera,
    azimuth: Float[np.ndarray, " n"],
    elevation: Float[np.ndarray, " n"],
    palette: Float[np.ndarray, "n material channel"],
    size: int = 64,
    background: float = 0.0,
    light: Light = Light(),
    fine: int = 3,
) -> UInt8[np.ndarray, "n channel size size"]:
    """Images of a mesh from many sides; the camera stands at `azimuth` from the x axis and `elevation` above the plane.

    azimuth, elevation: radians; they increase counter-clockwise seen from above, and upwards.
    palette: colour of each material in each image, in [0, 1].
    size: height and width in pixels.
    background: brightness where there is nothing.
    fine: a pixel is the mean of fine x fine samples.
    """
    images = np.empty((len(azimuth), palette.shape[2], size, size), np.uint8)
    for start in range(0, len(azimuth), TOGETHER):
        some = slice(start, start + TOGETHER)
        triangles = _facing(mesh, camera, azimuth[some], elevation[some], size * fine, light)
        seen, shown = _nearest(triangles, len(azimuth[some]), size * fine)
        colours = _colours(triangles, seen, shown, palette[some], size * fine)
        images[some] = _averaged(seen, colours, images[some].shape, background, fine)
    return images


def _facing(
    mesh: Mesh,
    camera: Camera,
    azimuth: Float[np.ndarray, " n"],
    elevation: Float[np.ndarray, " n"],
    side: int,
    light: Light,
) -> _Triangles:
    """What faces the camera, with everything that is linear across a triangle."""
    axes = _axes(azimuth[:, None], elevation[:, None])
    place = (mesh.vertices - np.array(camera.centre)).T
    near = 1 / (camera.distance - _dot(axes[2], place))
    assert ((near > 0) & (near * camera.distance < CLOSEST)).all(), "the camera is too close to the mesh"
    scale = (0.5 * side * camera.distance / camera.reach) * near
    x, y = 0.5 * side + scale * _dot(axes[0], place), 0.5 * side - scale * _dot(axes[1], place)
    xs, ys = (np.stack([value[:, corner] for corner in mesh.triangles.T]) for value in (x, y))
    image, number = np.nonzero(_area(xs, ys) < -SLIVER)
    xs, ys = xs[:, image, number], ys[:, image, number]
    corners = mesh.triangles.T[:, number]
    planes = [_plane(xs, ys, value[image, corners]) for value in (near * camera.distance, *_lit(mesh, axes, light))]
    return _Triangles(image, mesh.materials[number], *_downwards(xs, ys), *planes)


def _axes(azimuth: Float[np.ndarray, "n 1"], elevation: Float[np.ndarray, "n 1"]) -> list[list[np.ndarray]]:
    """The camera's directions right, up and out of the image, each as x, y and z."""
    ca, sa, ce, se = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
    return [[-sa, ca, 0 * sa], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]]


def _lit(mesh: Mesh, axes: list[list[np.ndarray]], light: Light) -> tuple[np.ndarray, np.ndarray]:
    """Light that vertices throw back in their colour, and gloss in the lamp's (Blinn 1977, exponent 16)."""
    normal = [_dot(axis, mesh.normals.T) for axis in axes]
    lamp = np.array(light.towards) / np.sqrt(np.square(light.towards).sum())
    halfway = lamp + np.array([0, 0, 1])
    halfway /= np.sqrt(np.square(halfway).sum())
    shade = light.ambient + light.lamp * np.maximum(_dot(lamp, normal), 0) + light.front * np.maximum(normal[2], 0)
    gloss = np.maximum(_dot(halfway, normal), 0)
    for _ in range(4):
        gloss = gloss * gloss
    return shade, light.gloss * gloss


def _nearest(triangles: _Triangles, count: int, side: int) -> tuple[Int[np.ndarray, " seen"], Int[np.ndarray, " seen"]]:
    """Samples that show a triangle, numbered through all images, and the triangle that each shows.

    Depth and triangle are packed into one integer, so that the nearest is the largest.
    """
    assert len(triangles.image) < 1 << NUMBER_BITS
    number, row, left, length = _rows(triangles, side)
    constant, across, down = triangles.near[:, number]
    depth = np.clip(constant + down * (row + 0.5) + across * (left + 0.5), 0, CLOSEST)
    key = ((DEPTH_UNIT * depth).astype(np.int64) << NUMBER_BITS) | number
    growth = (DEPTH_UNIT * np.clip(across, -CLOSEST, CLOSEST)).astype(np.int64) << NUMBER_BITS
    which, step = np.repeat(np.arange(len(number)), length), _within(length)
    place = ((triangles.image[number] * side + row) * side + left)[which] + step
    nearest = np.full(count * side * side, -1)
    np.maximum.at(nearest, place, key[which] + growth[which] * step)
    seen = np.flatnonzero(nearest >= 0)
    return seen, nearest[seen] & ((1 << NUMBER_BITS) - 1)


def _rows(triangles: _Triangles, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of samples: triangle, row, first column, number of columns.

    A row's ends are where it crosses the edges. Neighbours compute the same crossing from their common edge, and the
    right one starts where the left one ends, so that none of the samples between is lost or shown twice.
    """
    x, y = triangles.x, triangles.y
    start, stop = (np.clip(np.ceil(bound - 0.5), 0, side).astype(np.int64) for bound in (y[0], y[2]))
    number = np.repeat(np.arange(len(start)), stop - start)
    row = start[number] + _within(stop - start)
    slope, offset = _edges(x, y)
    middle = row + 0.5
    short = np.where(middle < y[1][number], 1, 2)
    ends = [slope[edge, number] * middle + offset[edge, number] for edge in (0, short)]
    left, right = (
        np.clip(np.ceil(end - 0.5), 0, side).astype(np.int64) for end in (np.minimum(*ends), np.maximum(*ends))
    )
    some = right > left
    return number[some], row[some], left[some], (right - left)[some]


def _edges(x: Float[np.ndarray, "3 n"], y: Float[np.ndarray, "3 n"]) -> tuple[np.ndarray, np.ndarray]:
    """Edges as x = slope * y + offset: the long one, the upper and the lower short one; anything if horizontal.

    Both are the same to the bit for either direction of an edge.
    """
    one, two = [0, 0, 1], [2, 1, 2]
    height = y[two] - y[one]
    height = np.where(height == 0, 1, height)
    return (x[two] - x[one]) / height, (x[one] * y[two] - x[two] * y[one]) / height


def _colours(
    triangles: _Triangles,
    seen: Int[np.ndarray, " seen"],
    shown: Int[np.ndarray, " seen"],
    palette: Float[np.ndarray, "n material channel"],
    side: int,
) -> Float[np.ndarray, "channel seen"]:
    """Colours of the samples that show something."""
    row, column = np.divmod(seen, side)
    x, y = column + 0.5, row % side + 0.5
    shade, gloss = (
        plane[0][shown] + plane[1][shown] * x + plane[2][shown] * y for plane in (triangles.shade, triangles.gloss)
    )
    paint = palette[triangles.image, triangles.material].T
    return np.stack([np.clip(shade * channel[shown] + gloss, 0, 1) for channel in paint])


def _averaged(
    seen: Int[np.ndarray, " seen"],
    colours: Float[np.ndarray, "channel seen"],
    shape: tuple[int, ...],
    background: float,
    fine: int,
) -> UInt8[np.ndarray, "n channel size size"]:
    """Means of the samples of each pixel."""
    count, channels, size = shape[:3]
    images = np.empty(shape, np.uint8)
    for channel in range(channels):
        samples = np.full(count * (size * fine) ** 2, background, np.float32)
        samples[seen] = colours[channel]
        rows = _total(samples.reshape(count, size, fine, size * fine), axis=2)
        total = _total(rows.reshape(count, size, size, fine), axis=3)
        images[:, channel] = total * np.float32(255 / fine**2) + np.float32(0.5)
    return images


def _total(values: np.ndarray, axis: int) -> np.ndarray:
    """The sum along a short axis, one term after the other, which is quicker than numpy's."""
    return reduce(np.add, list(np.moveaxis(values, axis, 0)))


def _plane(
    x: Float[np.ndarray, "3 n"], y: Float[np.ndarray, "3 n"], value: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    """The plane through the values at three corners: (constant, along x, along y)."""
    one, two = value[1] - value[0], value[2] - value[0]
    area = _area(x, y)
    across = (one * (y[2] - y[0]) - two * (y[1] - y[0])) / area
    down = (two * (x[1] - x[0]) - one * (x[2] - x[0])) / area
    return np.stack([value[0] - across * x[0] - down * y[0], across, down])


def _area(x: Float[np.ndarray, "3 *n"], y: Float[np.ndarray, "3 *n"]) -> Float[np.ndarray, "*n"]:
    """Twice the area; negative for a triangle that is counter-clockwise where y points downwards."""
    return (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])


def _downwards(x: Float[np.ndarray, "3 n"], y: Float[np.ndarray, "3 n"]) -> tuple[np.ndarray, np.ndarray]:
    """The corners from the uppermost to the lowest."""
    x, y = x.copy(), y.copy()
    for one, two in ((0, 1), (1, 2), (0, 1)):
        turned = y[one] > y[two]
        for value in (x, y):
            value[one], value[two] = np.where(turned, value[two], value[one]), np.where(turned, value[one], value[two])
    return x, y


def _dot(axis: Vectors, vectors: Vectors) -> np.ndarray:
    """A sum of products in a fixed order, which matrix products do not promise."""
    return axis[0] * vectors[0] + axis[1] * vectors[1] + axis[2] * vectors[2]


def _within(lengths: Int[np.ndarray, " n"]) -> Int[np.ndarray, " total"]:
    """0, 1, ... length - 1 for one length after the other."""
    ends = np.cumsum(lengths)
    return np.arange(lengths.sum()) - np.repeat(ends - lengths, lengths)
