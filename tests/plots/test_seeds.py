"""Methods over several seeds: what bands and dots show."""

import io
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from unbraid import plots
from unbraid.metrics import Summary, summarise
from unbraid.plots.style import legend_columns

quick = partial(summarise, resamples=50)
STEPS = np.arange(5)


@dataclass(frozen=True)
class Own:
    mean: float = 0.5
    low: float = 0.4
    high: float = 0.6
    values: tuple[float, ...] = (0.4, 0.6)
    kept: tuple[float, ...] = (0.4, 0.6)


def line(level: float, x: np.ndarray = STEPS):
    return x, level + 0.1 * x


def drawn(figure):
    figure.savefig(io.BytesIO(), format="png")
    return figure


def test_a_band_is_the_summary_at_every_x():
    band = plots.Band.of([line(level) for level in (0.0, 1.0, 5.0)], quick)
    np.testing.assert_array_equal(band.x, STEPS)
    np.testing.assert_allclose(band.mean, 2 + 0.1 * STEPS)
    assert (band.low[2], band.high[2]) == (quick(band.each[:, 2].tolist()).low, quick(band.each[:, 2].tolist()).high)


def test_a_band_can_be_of_the_best():
    best = plots.Band.of([line(level) for level in (0.0, 1.0, 5.0)], partial(quick, best=2))
    np.testing.assert_allclose(best.mean, 3 + 0.1 * STEPS)


def test_curves_at_their_own_seconds_meet_within_the_common_range():
    band = plots.Band.of([line(0.0, np.array([0.0, 2.0, 10.0])), line(1.0, np.array([1.0, 4.0, 8.0]))], quick)
    np.testing.assert_array_equal(band.x, [1, 2, 4, 8])
    np.testing.assert_allclose(band.each, [0.1 * band.x, 1 + 0.1 * band.x])


def test_many_different_x_become_300():
    rng = np.random.default_rng(0)
    grids = [np.sort(rng.uniform(0, 100, 200)) for _ in range(3)]
    assert len(plots.Band.of([line(0.0, grid) for grid in grids], quick).x) == 300


def test_a_diverged_seed_ends_the_mean_and_not_the_others():
    broken = np.where(STEPS < 3, 1.0, np.nan)
    band = plots.Band.of([line(0.0), (STEPS, broken)], quick)
    np.testing.assert_array_equal(np.isnan(band.mean), STEPS >= 3)
    assert np.isfinite(band.each[0]).all()


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ([], "at least one curve"),
        ([line(0.0), line(0.0, np.empty(0))], "no empty one"),
        ([line(0.0), line(0.0, STEPS + 10)], "starts at 10 and one that ends at 4"),
    ],
)
def test_curves_that_cannot_be_compared_are_refused(curves, message):
    with pytest.raises(ValueError, match=message):
        plots.Band.of(curves, quick)


@pytest.mark.parametrize(("seeds", "lines"), [(1, 1), (3, 4), (41, 1)])
def test_single_seeds_are_drawn_unless_they_hide_the_mean(seeds, lines):
    band = plots.Band.of([line(float(level)) for level in range(seeds)], quick)
    assert len(drawn(plots.bands({"MIG": {"ours": band}})).axes[0].lines) == lines


def test_axes_follow_the_seeds_and_the_paper_not_the_band():
    band = plots.Band(
        STEPS, np.ones(5), np.full(5, -100.0), np.full(5, 100.0), np.stack([np.zeros(5), np.full(5, 2.0)])
    )
    figure = drawn(plots.bands({"MIG": {"ours": band}}, published={"MIG": {"ours": 4.0, "another": 9.0}}))
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == pytest.approx((-4 / 6, 4 + 4 / 6))
    assert [text.get_text() for text in figure.legends[0].texts] == ["ours", "paper"]


def test_ten_methods_look_different():
    band = plots.Band.of([line(0.0)], quick)
    figure = drawn(plots.bands({"MIG": {f"method {k}": band for k in range(10)}}))
    assert len({(one.get_color(), one.get_linestyle()) for one in figure.axes[0].lines}) == 10


def test_every_seed_the_mean_and_the_paper_are_marked():
    found = summarise([0.1, 0.4, 0.3], best=2)
    axes = drawn(plots.seeds({"MIG": {"ours": found}}, {"MIG": {"ours": 0.5, "another": 0.9}})).axes[0]
    across = [np.asarray(one.get_xdata(), dtype=float).tolist() for one in axes.lines]
    assert across[0] == [0.4, 0.3]  # kept, filled
    assert across[1] == [0.1]  # left out, hollow
    assert across[2] == [found.low, found.high]
    assert [0.35, 0.35] in [np.round(one, 9).tolist() for one in across]
    assert across[-1] == [0.5]
    assert axes.get_xlim()[1] < 0.9  # a method that is not here moves nothing


def test_an_interval_beyond_the_axis_ends_in_arrows():
    axes = drawn(plots.seeds({"MIG": {"ours": summarise([0.1, 0.2])}})).axes[0]
    assert [one.get_marker() for one in axes.lines].count("<") == 1
    assert [one.get_marker() for one in axes.lines].count(">") == 1
    assert axes.get_xlim() == pytest.approx((0.045, 0.255))


def test_nothing_measured_is_said():
    nan = float("nan")
    empty = Summary(nan, nan, nan, (nan,), (nan,), 0.95, "all", "none")
    figure = drawn(plots.seeds({"MIG": {"one seed": summarise([0.3]), "none": empty}}))
    assert "no value" in [text.get_text() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.legends[0].texts] == ["seed", "mean"]


def test_anything_with_the_five_fields_is_drawn():
    assert drawn(plots.seeds({"MIG": {"ours": Own()}}))


def test_a_legend_has_as_many_columns_as_fit():
    assert legend_columns(["a", "b", "c"])[0] == 4
    assert legend_columns(["a name that fills most of a figure's width"] * 2)[0] == 1
    assert legend_columns(["SR-VAE"] * 9)[1] > legend_columns(["SR-VAE"] * 4)[1]
