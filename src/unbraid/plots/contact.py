"""What data look like: rows of observations under the name of what they have in common."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from unbraid.plots.grid import Grid
from unbraid.plots.style import styled, wrap


@styled
def contact_sheet(rows: Mapping[str, Float[np.ndarray, "_ *shape"]], title: str) -> Figure:
    """Observations in rows: a class, a population, or a factor that takes its values from left to right.

    rows: name of the row and its observations, `[n, channel, height, width]` in [0, 1] or `[n, feature]`; rows may
    differ in n, and share one scale.
    """
    most = max(len(row) for row in rows.values())
    padded = [np.concatenate([row, np.full((most - len(row), *row.shape[1:]), np.nan)]) for row in rows.values()]
    return Grid(
        cells=np.stack(padded).astype(np.float64),
        title=title,
        rows=[wrap(label, 1.3) for label in rows],
    ).figure()
