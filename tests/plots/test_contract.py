"""What every plot promises: arrays in, a figure out, no state, no warning, whatever the shape."""

import inspect
import io
import subprocess
import sys
from functools import partial

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from unbraid import plots
from unbraid.metrics import summarise

SHAPES = {"grey": (1, 8, 8), "colour": (3, 8, 6), "two channels": (2, 8, 8), "vector": (30,), "one value": (1,)}
FILLS = ("random", "constant", "unbounded", "missing")
NAMES = ["digits 0-4", "digits 5-9", "a population with quite a long name"]


def fill(kind, *shape):
    generator = np.random.default_rng(0)
    if kind == "constant":
        return np.full(shape, 0.5)
    values = generator.random(shape)
    if kind == "unbounded":
        values = 100 * generator.standard_normal(shape)
    if kind == "missing":
        values[0] = np.nan
    return values


def reconstructions(kind, shape, populations):
    rows = {"original": fill(kind, 7, *shape), "reconstruction": fill(kind, 7, *shape)}
    return plots.reconstructions(rows, np.arange(7) % populations, NAMES[:populations])


def traversals(kind, shape, populations):
    kl, active = np.arange(14.0), np.arange(14) > 6
    return plots.traversals(fill(kind, 14, 5, *shape), np.linspace(-2, 2, 5), kl, fill(kind, *shape), active)


def steps(kind, shape, populations):
    return plots.steps(fill(kind, 2, 15, *shape), fill(kind, 2, 15, *shape), np.array([14, 3]), 2.0)


def transfer(kind, shape, populations):
    population = np.arange(7) % populations
    return plots.transfer(fill(kind, 7, *shape), fill(kind, 7, populations, *shape), population, NAMES[:populations])


def samples(kind, shape, populations):
    drawn = fill(kind, populations, 9, *shape)
    return plots.samples({"prior": drawn, "aggregate posterior": drawn}, NAMES[:populations])


def mistakes(kind, shape, populations):
    own, named = np.arange(5) % populations, np.arange(1, 6) % populations
    return plots.mistakes(fill(kind, 5, *shape), own, named, np.linspace(1, 0.5, 5), NAMES[:populations])


def contact_sheet(kind, shape, populations):
    return plots.contact_sheet({name: fill(kind, 3 + k, *shape) for k, name in enumerate(NAMES[:populations])}, "A set")


PICTURES = [reconstructions, traversals, steps, transfer, samples, mistakes, contact_sheet]


def curve(kind, count=500):
    return plots.Curve(np.arange(count) * 50, fill(kind, count))


def curves(kind):
    falling = plots.Curve(np.arange(3), np.array([1000.0, 10.0, 1.0]))
    one = {"valid": plots.Curve(np.array([5]), np.array([2.0]))}
    return plots.curves({"loss": {"train": curve(kind), "valid": falling}, "kl/$z$": one, "variance": {}})


def kl_bars(kind):
    kl = np.abs(np.nan_to_num(fill(kind, 60)))
    return plots.kl_bars({"shared": kl, "private, digits 0-4": np.zeros(3)}, {"shared": kl > 0.3})


def code_factors(kind):
    factors = np.random.default_rng(1).integers(0, 4, (50, 3))
    return plots.code_factors(np.nan_to_num(fill(kind, 50, 25)), factors, ["shape", "x", "constant"])


def embedding(kind):
    points = np.nan_to_num(fill(kind, 2500, 2))
    return plots.embedding(points, np.arange(2500) % 12, np.arange(2500) % 3, NAMES)


def single_embedding(kind):
    return plots.embedding(np.nan_to_num(fill(kind, 30, 2)), np.zeros(30, dtype=np.int64))


def comparison(kind):
    values = np.nan_to_num(fill(kind, 4))
    known = {"interval": (0.1, 0.9), "chance": 0.1, "ceiling": float("nan")}
    return plots.comparison(
        [
            plots.Score("MIG (dlib), $", "run _ one", float(values[0]), **known),
            plots.Score("MIG (dlib), $", "run $ two", float(values[1])),
            plots.Score("ARI", "run $ two", float(values[2])),
        ]
    )


def feature_bars(kind):
    values = np.nan_to_num(fill(kind, 2, 30))
    names = [f"gene {k}" for k in range(30)]
    return plots.feature_bars(names, values, values - 1, values + 1, NAMES[:2], np.abs(values), values)


def explained_dots(kind):
    ends = np.nan_to_num(fill(kind, 3, 30, 3))
    names = [f"gene {k}" for k in range(30)]
    return plots.explained_dots(names, {"shared": ends, "private": ends[:, ::-1], "both": ends}, NAMES, ends[..., 0])


def feature_seeds(kind):
    values = fill(kind, 30, 4)
    names = [f"gene {k}" for k in range(30)]
    found = {NAMES[2]: (names, np.nan_to_num(values), values), "none": (names[:2], np.ones((2, 3)), np.zeros((2, 0)))}
    return plots.feature_seeds(found, "variance private together, of a long name that takes a second line")


def band(kind, seeds):
    own = fill(kind, seeds, 20)
    curves = [(np.arange(20) * 500.0 * (1 + 0.1 * seed), own[seed]) for seed in range(seeds)]
    return plots.Band.of(curves, partial(summarise, resamples=20))


def bands(kind):
    drawn = {
        "SR-VAE": band(kind, 1),
        "beta $ VAE": band(kind, 3),
        **{f"{name} ({k})": band(kind, 2) for k, name in MANY},
    }
    return plots.bands({"MIG (dlib), $": drawn, "none": {}}, "seconds", {"MIG (dlib), $": {"SR-VAE": 0.5, "x": 9.0}})


def seeds(kind):
    values = np.nan_to_num(fill(kind, 10, 30))
    drawn = {f"{name} ({k})": summarise(values[k, : 2 + k], best=1 + k // 2) for k, name in MANY}
    return plots.seeds({"MIG (dlib), $": {"SR-VAE": summarise([0.3]), **drawn}, "none": {}}, {"none": {"SR-VAE": 0.5}})


def forgetting(kind):
    tables = {f"{name} ({k})": np.sort(np.nan_to_num(fill(kind, 4, 7, 3))) for k, name in list(MANY)[:2]}
    for table in tables.values():
        table[np.arange(4)[:, None] + 3 < np.arange(7)] = (
            np.nan
        )  # three tasks in the first phase, then one more in each
    empty = {"none": np.full((4, 7, 3), np.nan)}
    phases = [f"{name} $ {k}" for k, name in list(MANY)[:4]]
    return plots.forgetting(
        {**tables, **empty}, phases, [f"{name} ({k})" for k, name in list(MANY)[:7]], kind == "random"
    )


MANY = list(enumerate(NAMES * 3))
DRAWINGS = [bands, seeds, forgetting, feature_bars, explained_dots, feature_seeds, curves, kl_bars]
DRAWINGS += [code_factors, embedding, single_embedding, comparison]
SHAPED = [("random", name, populations) for name in SHAPES for populations in ((1, 3) if name == "grey" else (2,))]
FILLED = [(kind, name, 2) for kind in FILLS[1:] for name in ("grey", "vector")]
CASES = [
    pytest.param(partial(draw, kind, SHAPES[name], populations), id=f"{draw.__name__}-{kind}-{name}-{populations}")
    for draw in PICTURES
    for kind, name, populations in SHAPED + FILLED
] + [pytest.param(partial(draw, kind), id=f"{draw.__name__}-{kind}") for draw in DRAWINGS for kind in FILLS]


@pytest.mark.parametrize("draw", CASES)
def test_draws_a_titled_figure_without_touching_anything(draw):
    before = matplotlib.rcParams.copy()  # reading them one by one would load a backend
    figure = draw()
    assert isinstance(figure, Figure)
    assert matplotlib.rcParams.copy() == before
    figure.savefig(io.BytesIO(), format="png", dpi="figure")
    # titles start the figure, and what is written ends inside it
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert figure.texts[0].get_text()
    width, height = figure.get_size_inches() * figure.dpi
    for text in texts:
        box = text.get_window_extent()
        if any(text in axes.get_xticklabels() + axes.get_yticklabels() for axes in figure.axes):
            continue  # matplotlib keeps tick labels outside the limits, undrawn
        assert -2 <= box.x0 <= box.x1 <= width + 2, text
        assert -2 <= box.y0 <= box.y1 <= height + 2, text


def test_pyplot_is_never_loaded():
    code = """
import io, sys
import numpy as np
from unbraid import plots
from unbraid.metrics import summarise
plots.reconstructions({"original": np.zeros((2, 1, 4, 4))}).savefig(io.BytesIO(), format="svg")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_plot_is_in_the_suite():
    public = {name for name in plots.__all__ if inspect.isfunction(getattr(plots, name))}
    assert public == {draw.__name__ for draw in [*PICTURES, *DRAWINGS]} - {"single_embedding"}
    classes = {name for name in plots.__all__ if inspect.isclass(getattr(plots, name))}
    assert public | classes == set(plots.__all__)
