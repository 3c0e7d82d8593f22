"""Bars of features show what they say."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from unbraid.plots.features import feature_bars
from unbraid.plots.style import COLOURS, PALE

NAMES = ["ISG15", "CD3D", "a feature with quite a long $ name that nobody can read"]
NATS = np.array([[1.0, -0.1, 3.0], [0.0, 2.0, 0.5]])


def drawn(**options):
    figure = feature_bars(NAMES, NATS, NATS - 0.5, NATS + 0.5, ["control", "stimulated"], **options)
    figure.savefig(io.BytesIO(), format="png")
    return figure


def test_largest_first_in_every_population():
    first, second = drawn().axes
    names = [[label.get_text() for label in panel.get_yticklabels()] for panel in (first, second)]
    assert [name[:5] for name in names[0]] == ["a fea", "ISG15", "CD3D"]
    assert [name[:5] for name in names[1]] == ["CD3D", "a fea", "ISG15"]
    widths = [bar.get_extents().width for bar in first.patches]
    assert widths[0] == pytest.approx(3 * widths[1])


def test_what_is_within_chance_is_pale():
    by_chance = np.array([[1.5, 0.5, 1.5], [0.5, 0.5, 0.5]])
    colours = [bar.get_facecolor() for bar in drawn(by_chance=by_chance).axes[0].patches]
    assert colours == [to_rgba(COLOURS[0]), to_rgba(PALE), to_rgba(PALE)]


def test_shifts_stand_beside_the_bars():
    texts = [text.get_text() for text in drawn(shift=NATS * 2, shift_name="log2 fold change").axes[1].texts]
    assert texts == ["+4.0", "+1.0", "+0.0", "log2 fold change"]


@pytest.mark.parametrize("count", [1, 500])
def test_few_and_many_features(count):
    nats = np.random.default_rng(0).normal(size=(1, count))
    figure = feature_bars([f"f{k}" for k in range(count)], nats, nats - 1, nats + 1, ["all"], nats * 0, nats)
    assert len(figure.axes[0].patches) == min(count, 20)
