"""Arrays to figures: matplotlib's object interface, no state, no files, no models."""

from unbraid.plots.comparison import Score, comparison
from unbraid.plots.contact import contact_sheet
from unbraid.plots.curves import Curve, curves
from unbraid.plots.embedding import embedding
from unbraid.plots.features import feature_bars
from unbraid.plots.images import reconstructions, samples, transfer
from unbraid.plots.latents import code_factors, kl_bars, steps, traversals

__all__ = [
    "Curve",
    "Score",
    "code_factors",
    "comparison",
    "contact_sheet",
    "curves",
    "embedding",
    "feature_bars",
    "kl_bars",
    "reconstructions",
    "samples",
    "steps",
    "transfer",
    "traversals",
]
