"""Triangle meshes made of parts: patches, boxes, tubes, slabs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

Point = Sequence[float] | Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Mesh:
    """Triangles that are counter-clockwise seen from outside.

    vertices: positions, z upwards.
    normals: unit normals of the vertices, outwards; faces with a normal of their own share no vertex.
    triangles: indices of the corners.
    materials: row of the palette that colours each triangle.
    """

    vertices: Float[np.ndarray, "vertex 3"]
    normals: Float[np.ndarray, "vertex 3"]
    triangles: Int[np.ndarray, "triangle 3"]
    materials: Int[np.ndarray, " triangle"]

    def inside_out(self) -> "Mesh":
        """The same surface seen from the other side."""
        return replace(self, normals=-self.normals, triangles=self.triangles[:, ::-1])

    def of(self, material: int) -> "Mesh":
        """The same mesh, all of it of one material."""
        return replace(self, materials=np.full_like(self.materials, material))


def join(parts: Sequence[Mesh]) -> Mesh:
    """One mesh of several; they may touch or go through each other."""
    if not parts:
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3), np.int64), np.zeros(0, np.int64))
    first = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, first, strict=True)]),
        np.concatenate([part.materials for part in parts]),
    )


def faceted(corners: Float[np.ndarray, "triangle 3 3"]) -> Mesh:
    """Flat triangles, each with the normal of its plane; one without area gets the normal zero."""
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
    triangles = np.arange(3 * len(corners)).reshape(-1, 3)
    return Mesh(corners.reshape(-1, 3), np.repeat(normals, 3, axis=0), triangles, np.zeros(len(corners), np.int64))


def grid(vertices: Float[np.ndarray, "row column 3"], normals: Float[np.ndarray, "row column 3"]) -> Mesh:
    """A smooth sheet; seen from outside, columns run to the right where rows run upwards."""
    rows, columns = vertices.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    triangles = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    return Mesh(vertices.reshape(-1, 3), normals.reshape(-1, 3), triangles, np.zeros(len(triangles), np.int64))


def bezier(control: Float[np.ndarray, "patch 4 4 3"], steps: int) -> Mesh:
    """Bicubic Bezier patches, each cut into steps x steps squares of two triangles.

    Where a patch is pinched to a point and has no normal, that of the surface just beside it is taken.
    """
    at = np.linspace(0, 1, steps + 1)
    inside = np.clip(at, 1e-4, 1 - 1e-4)
    points = np.einsum("ui,vj,pijk->puvk", _bernstein(at), _bernstein(at), control)
    along = np.einsum("ui,vj,pijk->puvk", _slopes(inside), _bernstein(inside), control)
    aside = np.einsum("ui,vj,pijk->puvk", _bernstein(inside), _slopes(inside), control)
    normals = np.cross(aside, along)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return join([grid(*patch) for patch in zip(points, normals, strict=True)])


def block(under: Float[np.ndarray, "4 3"], over: Float[np.ndarray, "4 3"]) -> Mesh:
    """Six flat sides between two quadrilaterals, both counter-clockwise seen from above."""
    around = [(under[i], under[j], over[j], over[i]) for i, j in ((0, 1), (1, 2), (2, 3), (3, 0))]
    sides = np.array([*around, over, under[::-1]])
    return faceted(sides[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3))


def post(start: Point, end: Point, size: tuple[float, float]) -> Mesh:
    """A bar from `start` up to `end`, cut horizontally, `size` along x and y."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * (*size, 0) / 2
    return block(np.array(start, float) + corners, np.array(end, float) + corners)


def box(low: Point, high: Point) -> Mesh:
    """A block with edges along the axes, between opposite corners."""
    middle, size = (np.array(low) + np.array(high)) / 2, np.array(high) - np.array(low)
    return post((*middle[:2], low[2]), (*middle[:2], high[2]), (size[0], size[1]))


def tube(start: Point, end: Point, radii: tuple[float, float], sides: int = 10) -> Mesh:
    """A round bar from `start` to `end`, smooth, with flat ends; the radius goes from the first to the second."""
    one, two = np.array(start, float), np.array(end, float)
    axis = (two - one) / np.linalg.norm(two - one)
    first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    first /= np.linalg.norm(first)
    turn = 2 * np.pi * np.arange(sides + 1)[:, None] / sides
    out = np.cos(turn) * first + np.sin(turn) * np.cross(axis, first)
    rings = np.stack([one + radii[0] * out, two + radii[1] * out])
    lean = out + axis * (radii[0] - radii[1]) / np.linalg.norm(two - one)
    normals = np.stack(2 * [lean / np.linalg.norm(lean, axis=1, keepdims=True)])
    ends = [_fan(rings[1], two), _fan(rings[0][::-1], one)]
    return join([grid(rings, normals), *ends])


def rod(points: Float[np.ndarray, "point 3"], radius: float, sides: int = 8) -> Mesh:
    """A round bar bent along the points."""
    return join([tube(one, two, (radius, radius), sides) for one, two in pairwise(points)])


def plate(under: Float[np.ndarray, "point 3"], over: Float[np.ndarray, "point 3"]) -> Mesh:
    """A plate between two outlines, both counter-clockwise seen from `over` and around their mean."""
    under, over = (np.concatenate([ring, ring[:1]]) for ring in (under, over))
    walls = np.stack([under[:-1], under[1:], over[1:], under[:-1], over[1:], over[:-1]], axis=1)
    flat = [_fan(over, over[:-1].mean(axis=0)), _fan(under[::-1], under[:-1].mean(axis=0))]
    return join([faceted(walls.reshape(-1, 3, 3)), *flat])


def _fan(ring: Float[np.ndarray, "point 3"], middle: Float[np.ndarray, "3"]) -> Mesh:
    return faceted(np.stack([np.broadcast_to(middle, ring[1:].shape), ring[:-1], ring[1:]], axis=1))


def _bernstein(at: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 4"]:
    return np.stack([(1 - at) ** 3, 3 * at * (1 - at) ** 2, 3 * at**2 * (1 - at), at**3], axis=1)


def _slopes(at: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 4"]:
    quadratic = np.stack([3 * (1 - at) ** 2, 6 * at * (1 - at), 3 * at**2], axis=1)
    return np.pad(quadratic, ((0, 0), (1, 0))) - np.pad(quadratic, ((0, 0), (0, 1)))
