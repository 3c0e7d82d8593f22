"""What single plots show."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from scipy.stats import rankdata

from unbraid import plots
from unbraid.plots.curves import term_label
from unbraid.plots.grid import Grid, balanced, mosaic, paint
from unbraid.plots.latents import rank_correlation
from unbraid.plots.style import wrap


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_traversals_are_sorted_by_kl_and_marked():
    images, kl = np.zeros((3, 2, 1, 4, 4)), np.array([0.0, 5.0, 1.0])
    written = texts(plots.traversals(images, np.array([-1.0, 1.0]), kl, active=kl > 0.5))
    assert written[:6] == ["z2", "z3", "z1", "5.00 ●", "1.00 ●", "0.00 ○"]


def test_transfer_frames_the_own_population():
    population = np.array([1, 0])
    figure = plots.transfer(np.zeros((2, 1, 4, 4)), np.zeros((2, 2, 1, 4, 4)), population, ["a", "b"])
    frames = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert [frame.get_xy() for frame in frames] == [(0, 1), (1, 2)]


def test_steps_keep_the_set_latents_and_the_largest_outputs():
    outputs = np.ones((1, 30, 1, 4, 4)) * np.arange(30)[None, :, None, None, None]
    written = texts(plots.steps(outputs, outputs, np.array([0]), 2.0))
    assert written[:2] == ["z1 set\noutput", "z1 set\nresidual"]
    assert [text for text in written if text.isdigit()] == ["1", *(str(step) for step in range(20, 31))]


def test_pictures_keep_their_values():
    cells = np.linspace(0, 1, 16).reshape(1, 1, 1, 4, 4)
    np.testing.assert_allclose(paint(cells, 0.0, 1.0)[0, 0, :, :, 0], cells[0, 0, 0])
    assert Grid(cells, "", ["row"])._scale_text() == ""
    assert "-3" in Grid(cells - 3, "", ["row"])._scale_text()


def test_signed_pictures_are_white_at_zero():
    colours = paint(np.array([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 1, 3), -1.0, 1.0, signed=True)[0, 0, 0]
    assert colours[0, 2] > colours[0, 0]
    assert colours[2, 0] > colours[2, 2]
    np.testing.assert_allclose(colours[1], 0.97, atol=0.02)


def test_mosaic_enlarges_by_whole_numbers():
    pictures = np.random.default_rng(0).random((2, 3, 5, 4, 3))
    whole = mosaic(pictures, 0.1)
    factor, frame = 10, 1
    assert whole.shape == (2 * (50 + 2 * frame), 3 * (40 + 2 * frame), 3)
    corner = whole[frame : frame + factor, frame : frame + factor, 0]
    np.testing.assert_array_equal(corner, np.round(255 * pictures[0, 0, 0, 0, 0]))


def test_observations_are_chosen_from_every_population():
    population = np.array([1] * 50 + [0] * 2 + [4])
    assert balanced(population, 6).tolist() == [50, 51, 0, 1, 52]


def test_rank_correlation_agrees_with_a_known_case():
    codes = np.array([[1.0, 5.0, 0.0], [2.0, 4.0, 0.0], [30.0, 1.0, 0.0], [31.0, 0.0, 0.0]])
    factors = np.array([[0, 1], [1, 1], [2, 1], [3, 1]])
    np.testing.assert_allclose(rank_correlation(codes, factors), [[1, 0], [1, 0], [0, 0]], atol=1e-12)


def test_rank_correlation_agrees_with_scipy_on_ties():
    generator = np.random.default_rng(0)
    codes, factors = generator.normal(size=(200, 3)).round(1), generator.integers(0, 4, (200, 2))
    both = np.concatenate([codes, factors], axis=1)
    expected = np.abs(np.corrcoef(rankdata(both, axis=0), rowvar=False))[:3, 3:]
    np.testing.assert_allclose(rank_correlation(codes, factors), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("term", "label"),
    [
        ("loss", "Loss (nats)"),
        ("kl/shared", "KL shared (nats)"),
        ("bound", "Bound (nats)"),
        ("negative_elbo", "Negative ELBO (nats)"),
        ("alpha", "alpha"),
        ("total_correlation", "total correlation (nats)"),
        ("kl/index_code", "KL index code (nats)"),
        ("adversary/loss", "adversary loss (nats)"),
        ("adversary/accuracy", "adversary accuracy"),
        ("mmd/shared", "MMD shared"),
    ],
)
def test_terms_are_named_for_people(term, label):
    assert term_label(term) == label


def test_long_curves_are_averaged_and_strong_falls_are_logarithmic():
    values = np.geomspace(1000, 1, 900)
    figure = plots.curves({"loss": {"train": plots.Curve(np.arange(900), values)}})
    (line,) = figure.axes[0].lines
    drawn = np.asarray(line.get_ydata())
    assert len(drawn) == 300
    assert drawn.mean() == pytest.approx(values.mean())
    assert figure.axes[0].get_yscale() == "log"


def test_comparison_marks_chance_and_ceiling():
    figure = plots.comparison([plots.Score("MIG", "run", 0.5, (0.4, 0.6), chance=0.0, ceiling=1.0)])
    assert sorted(float(np.asarray(line.get_xdata())[0]) for line in figure.axes[0].lines) == [0.0, 0.4, 0.5, 1.0]


def test_breaks_a_word_only_where_it_does_not_fit():
    assert wrap("sunflower", 0.66) == "sunflower"  # .60 inches as drawn, .70 at the mean width of wide letters
    assert "\n" in wrap("sunflower", 0.5)
