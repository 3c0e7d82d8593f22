"""The rasteriser against what geometry says: silhouettes, depth, shading, coverage, order, batches."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.data._drawn import chair_parts, meshes
from unbraid.data._drawn.meshes import Mesh, box, faceted, grid, join, plate, post, rod, tube
from unbraid.data._drawn.render import Camera, Light, render
from unbraid.data.teapots import _teapot

CAMERA = Camera(centre=(0.0, 0.0, 0.0), distance=4.0, reach=1.0)
FLAT = Light(lamp=0.0, front=0.0, ambient=1.0, gloss=0.0)  # a silhouette
SIZE = 64


def draw(
    mesh: Mesh,
    azimuth: float = 0.0,
    elevation: float = 0.0,
    colours: tuple[float, ...] = (1.0, 1.0),
    light: Light = FLAT,
    fine: int = 3,
    background: float = 0.0,
    size: int = SIZE,
) -> np.ndarray:
    """One image of one channel."""
    palette = np.array(colours)[None, :, None]
    arguments = np.array([float(azimuth)]), np.array([float(elevation)]), palette
    return render(mesh, CAMERA, *arguments, size, background, light, fine)[0, 0]


def upright(corners: np.ndarray, near: float = 0.0, material: int = 0) -> Mesh:
    """Triangles in the plane of the image, corners in pixels: x to the right and y downwards, facing the camera."""
    x, y = np.moveaxis(np.asarray(corners, float), -1, 0)
    scale = (CAMERA.distance - near) / CAMERA.distance * CAMERA.reach / (SIZE / 2)
    places = np.stack([np.full_like(x, near), (x - SIZE / 2) * scale, (SIZE / 2 - y) * scale], axis=-1)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    places[area > 0] = places[area > 0, ::-1]
    return faceted(places).of(material)


def rectangle(left: float, top: float, right: float, bottom: float, near: float = 0.0, material: int = 0) -> Mesh:
    a, b, c, d = (left, top), (left, bottom), (right, bottom), (right, top)
    return upright(np.array([[a, b, c], [a, c, d]]), near, material)


def sphere(radius: float, steps: int = 96) -> Mesh:
    along = np.linspace(-np.pi / 2, np.pi / 2, steps + 1)[:, None]
    around = np.linspace(0, 2 * np.pi, 2 * steps + 1)
    out = np.stack(
        np.broadcast_arrays(np.cos(along) * np.cos(around), np.cos(along) * np.sin(around), np.sin(along)), axis=-1
    )
    return grid(radius * out, out)


def test_silhouette_of_a_sphere_is_the_circle_of_the_tangent_cone():
    radius = 0.8
    seen = draw(sphere(radius), 1.0, 0.3, fine=4) / 255
    tangent = radius / np.sqrt(CAMERA.distance**2 - radius**2) * CAMERA.distance / CAMERA.reach * SIZE / 2
    rows, columns = (np.mgrid[: SIZE * 4, : SIZE * 4] + 0.5) / 4 - SIZE / 2
    circle = (np.hypot(rows, columns) < tangent).reshape(SIZE, 4, SIZE, 4).mean(axis=(1, 3))
    assert np.abs(seen - circle).max() < 0.15  # a sample or two on the edge
    assert abs(seen.sum() / (np.pi * tangent**2) - 1) < 2e-3


@given(corners=st.lists(st.tuples(st.floats(1, 63), st.floats(1, 63)), min_size=3, max_size=3))
def test_coverage_sums_to_the_area_of_a_triangle(corners: list[tuple[float, float]]):
    (ax, ay), (bx, by), (cx, cy) = corners
    area = abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
    around = np.hypot(bx - ax, by - ay) + np.hypot(cx - bx, cy - by) + np.hypot(ax - cx, ay - cy)
    seen = draw(upright(np.array([corners])), fine=4).sum() / 255
    assert abs(seen - area) < 0.25 * around / 4 + 0.5  # a quarter of the samples on the edge at most


@pytest.mark.parametrize("fine", [2, 3, 4])
def test_edge_pixels_show_the_covered_share(fine: int):
    for part in range(fine + 1):
        seen = draw(rectangle(20, 16, 40 + part / fine, 32), fine=fine)
        assert seen[20, 39] == 255
        assert seen[20, 40] == int(255 * part / fine + 0.5)
        assert not seen[:, 41:].any()
        assert seen.sum() == 16 * (20 * 255 + int(255 * part / fine + 0.5))


def test_half_a_pixel_is_half_way_to_the_background():
    seen = draw(rectangle(20, 16, 40.5, 32), colours=(0.2,), fine=4, background=0.8)
    assert seen[20, 30] == 51
    assert seen[20, 40] in (127, 128)
    assert seen[20, 41] == 204


def test_neighbours_leave_no_gap_and_do_not_overlap():
    rng = np.random.default_rng(0)
    points = np.stack(np.meshgrid(np.linspace(4, 60, 15), np.linspace(4, 60, 15)), axis=-1)
    points[1:-1, 1:-1] += rng.uniform(-1.5, 1.5, (13, 13, 2))
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], 2).reshape(-1, 3, 2), np.stack([a, c, d], 2).reshape(-1, 3, 2)])
    assert (draw(upright(triangles), fine=4)[4:60, 4:60] == 255).all()
    alone = np.sum([draw(upright(triangle[None]), fine=1).astype(int) for triangle in triangles], axis=0)
    assert alone.max() == 255
    assert alone.sum() == 255 * 56**2


@pytest.mark.parametrize("turned", [False, True])
def test_the_nearer_one_hides_the_other(turned: bool):
    parts = [rectangle(10, 10, 40, 40, near=0.0, material=0), rectangle(20, 20, 60, 60, near=0.5, material=1)]
    seen = draw(join(parts[::-1] if turned else parts), colours=(0.2, 1.0))
    assert (seen[21:59, 21:59] == 255).all()
    assert (seen[11:19, 11:39] == 51).all()
    assert seen[5, 5] == 0


def test_planes_that_cross_hide_each_other_on_either_side():
    screen = rectangle(0, 0, 64, 64, material=0)
    slope = np.array(
        [
            [[-0.5, -0.9, -0.9], [0.5, 0.9, -0.9], [0.5, 0.9, 0.9]],
            [[-0.5, -0.9, -0.9], [0.5, 0.9, 0.9], [-0.5, -0.9, 0.9]],
        ]
    )
    seen = draw(join([screen, faceted(slope).of(1)]), colours=(0.2, 1.0))
    assert (seen[20:40, 34:55] == 255).all()
    assert (seen[20:40, 8:30] == 51).all()


def test_what_faces_away_is_not_shown():
    mesh = rectangle(10, 10, 50, 50)
    assert draw(mesh).any()
    assert not draw(mesh.inside_out()).any()
    assert not draw(mesh, azimuth=np.pi).any()
    assert draw(mesh.inside_out(), azimuth=np.pi).any()


@pytest.mark.parametrize("turn", [(0.0, 0.0), (0.4, 0.0), (-0.7, 0.3), (0.2, -0.8)])
def test_shade_of_a_known_normal(turn: tuple[float, float]):
    light = Light(towards=(-0.6, 0.0, 0.8), lamp=0.5, front=0.2, ambient=0.1, gloss=0.3)
    mesh = rectangle(10, 10, 50, 50)
    (seen,) = render(mesh, CAMERA, np.array(turn[:1]), np.array(turn[1:]), np.full((1, 1, 1), 0.5), light=light)
    ahead = np.cos(turn[1]) * np.cos(turn[0])  # the normal is the x axis
    normal = np.array([-np.sin(turn[0]), -np.sin(turn[1]) * np.cos(turn[0]), ahead])
    halfway = np.array([-0.6, 0.0, 1.8]) / np.hypot(0.6, 1.8)
    shade = 0.1 + 0.5 * max(0, normal @ (-0.6, 0, 0.8)) + 0.2 * ahead
    assert abs(seen[0, 32, 32] - 255 * (0.5 * shade + 0.3 * max(0, normal @ halfway) ** 16)) <= 0.51


def test_shade_runs_smoothly_from_corner_to_corner():
    light = Light(towards=(0.0, 0.0, 1.0), lamp=1.0, front=0.0, ambient=0.0, gloss=0.0)
    mesh = rectangle(0, 0, 64, 64)
    tilt = np.where(mesh.vertices[:, 1] > 0, 0.0, np.pi / 2)
    normals = np.stack([np.cos(tilt), np.sin(tilt), 0 * tilt], axis=1)
    row = draw(Mesh(mesh.vertices, normals, mesh.triangles, mesh.materials), light=light)[30].astype(int)
    assert np.abs(row - 255 * (np.arange(64) + 0.5) / 64).max() <= 1


def test_the_camera_turns_as_it_says():
    ahead, left, top = (box(np.array(at) - 0.1, np.array(at) + 0.1) for at in ((0.8, 0, 0), (0, 0.8, 0), (0, 0, 0.8)))

    def place(mesh: Mesh, azimuth: float, elevation: float = 0.0) -> list[int]:
        """Pixels to the right of the middle, and above it."""
        seen = draw(mesh, azimuth, elevation)
        rows, columns = np.nonzero(seen)
        return [int(np.sign(round(columns.mean() - 31.5))), int(np.sign(round(31.5 - rows.mean())))]

    assert place(ahead, 0) == [0, 0]
    assert place(left, 0) == [1, 0]
    assert place(top, 0) == [0, 1]
    assert place(ahead, np.pi / 2) == [-1, 0]
    assert place(ahead, 0, np.pi / 2) == [0, -1]
    assert place(top, 0, np.pi / 2) == [0, 0]
    assert place(left, np.pi / 2, 1.0) == [0, -1]


SOLIDS: dict[str, Callable[[], Mesh]] = {
    "teapot": _teapot,
    **{style: lambda style=style: chair_parts.chair(style, 0.5, 0.5, 0.5) for style in chair_parts.STYLES},
}


def views(mesh: Mesh, count: int, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, Camera]:
    rng = np.random.default_rng(0)
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    centre = tuple(((low + high) / 2).tolist())
    camera = Camera(centre, 4 * radius, radius)
    return rng.uniform(0, 6, count), rng.uniform(0, 1.5, count), rng.uniform(0, 1, (count, 2, 3)), camera


@pytest.mark.parametrize("make", SOLIDS.values(), ids=list(SOLIDS))
def test_the_order_of_triangles_does_not_matter(make: Callable[[], Mesh]):
    mesh = make()
    azimuth, elevation, palette, camera = views(mesh, 6, float(np.ptp(mesh.vertices, axis=0).max()))
    order = np.random.default_rng(1).permutation(len(mesh.triangles))
    other = Mesh(mesh.vertices, mesh.normals, mesh.triangles[order], mesh.materials[order])
    assert np.array_equal(
        render(mesh, camera, azimuth, elevation, palette), render(other, camera, azimuth, elevation, palette)
    )


@pytest.mark.parametrize("make", SOLIDS.values(), ids=list(SOLIDS))
def test_an_image_is_the_same_in_every_batch(make: Callable[[], Mesh]):
    mesh = make()
    azimuth, elevation, palette, camera = views(mesh, 37, float(np.ptp(mesh.vertices, axis=0).max()))
    images = render(mesh, camera, azimuth, elevation, palette)
    order = np.random.default_rng(1).permutation(37)[:29]
    again = render(mesh, camera, azimuth[order], elevation[order], palette[order])
    assert np.array_equal(images[order], again)
    for number in (0, 5, 36):
        one = slice(number, number + 1)
        assert np.array_equal(images[one], render(mesh, camera, azimuth[one], elevation[one], palette[one]))


def test_nothing_and_next_to_nothing_are_background():
    point = np.zeros((4, 3, 3))
    line = np.array([[[0, 0, 0], [0, 0.5, 0.5], [0, 0.2, 0.2]]])
    thread = np.array([[[0, -0.9, 0], [0, 0.9, 1e-12], [0, 0.9, 0]]])
    for mesh in (join([]), faceted(point), faceted(line), faceted(thread), faceted(np.concatenate([point, line]))):
        assert (draw(mesh, background=0.4) == 102).all()
    assert render(rectangle(1, 1, 9, 9), CAMERA, np.zeros(0), np.zeros(0), np.zeros((0, 1, 3))).shape == (0, 3, 64, 64)


@settings(max_examples=50)
@given(seed=st.integers(0, 1000), exponent=st.integers(-9, 0))
def test_thin_triangles_do_not_show_through(seed: int, exponent: int):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(2, 62, (30, 3, 2))
    corners[:, 2] = corners[:, 0] + rng.uniform(0, 1, (30, 1)) * (corners[:, 1] - corners[:, 0])
    corners[:, 2] += 10.0**exponent * rng.uniform(-1, 1, (30, 2))
    seen = draw(join([upright(corners, near=-0.5), rectangle(0, 0, 64, 64, near=0.0, material=1)]), colours=(0.0, 1.0))
    assert (seen == 255).all()


def test_what_is_partly_outside_the_frame_is_cut_off():
    seen = draw(rectangle(-500, 20, 30, 900))
    assert (seen[21:, :29] == 255).all()
    assert not seen[:19].any()
    assert not seen[:, 31:].any()


PARTS: dict[str, tuple[Callable[[], Mesh], float]] = {
    "box": (lambda: box((-0.1, -0.2, -0.3), (0.3, 0.2, 0.1)), 0.064),
    "post": (lambda: post((0, 0, 0), (0.3, 0.2, 0.5), (0.2, 0.1)), 0.01),
    "tube": (lambda: tube((0, 0, 0), (0.3, 0.4, 0), (0.1, 0.1), 200), np.pi * 0.01 * 0.5),
    "cone": (lambda: tube((0, 0, -0.3), (0, 0, 0.6), (0.2, 0.1), 200), np.pi * 0.9 / 3 * 0.07),
    "rod": (lambda: rod(np.array([(0.0, 0, 0), (0, 0, 1), (0, 1, 1)]), 0.1, 200), 2 * np.pi * 0.01),
    "plate": (lambda: plate(ring(0.0), ring(0.5)), 0.25),
    "sphere": (lambda: sphere(0.5), 4 / 3 * np.pi / 8),
}


def ring(height: float) -> np.ndarray:
    """A square that is counter-clockwise seen from above, area 1/2."""
    return np.array([(0.5, 0, height), (0, 0.5, height), (-0.5, 0, height), (0, -0.5, height)])


@pytest.mark.parametrize(("make", "volume"), PARTS.values(), ids=list(PARTS))
def test_parts_are_closed_face_outwards_and_have_their_volume(make: Callable[[], Mesh], volume: float):
    mesh = make()
    a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
    assert np.cross(b - a, c - a).sum(axis=0) == pytest.approx(0, abs=1e-12)
    assert (a * np.cross(b, c)).sum() / 6 == pytest.approx(volume, rel=2e-3)
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1)
    facing = (np.cross(b - a, c - a) * mesh.normals[mesh.triangles].mean(axis=1)).sum(axis=1)
    assert (facing >= -1e-12).all()
    assert (mesh.inside_out().triangles == mesh.triangles[:, ::-1]).all()


def test_a_bezier_patch_goes_through_its_corners_and_stays_in_its_hull():
    control = np.random.default_rng(0).normal(size=(2, 4, 4, 3))
    mesh = meshes.bezier(control, 5)
    assert len(mesh.triangles) == 2 * 50
    for corner in (control[:, 0, 0], control[:, 0, 3], control[:, 3, 0], control[:, 3, 3]):
        for point in corner:
            assert np.abs(mesh.vertices - point).max(axis=1).min() < 1e-12
    assert (mesh.vertices.max(0) <= control.max((0, 1, 2)) + 1e-12).all()
    assert (mesh.vertices.min(0) >= control.min((0, 1, 2)) - 1e-12).all()


def test_flat_patch_has_the_normal_of_its_plane():
    at = np.arange(4) / 3
    x, y = np.meshgrid(at, at, indexing="ij")
    for control, up in ((np.stack([x, y, 0 * x], -1), -1), (np.stack([y, x, 0 * x], -1), 1)):
        mesh = meshes.bezier(control[None], 3)
        assert np.allclose(mesh.normals, (0, 0, up))
        a, b, c = np.moveaxis(mesh.vertices[mesh.triangles], 1, 0)
        assert (np.cross(b - a, c - a)[:, 2] * up > 0).all()
