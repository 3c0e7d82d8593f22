"""Arrays to figures: matplotlib's object interface, no state, no files, no models."""

from unbraid.plots.bands import Band, bands
from unbraid.plots.comparison import Score, comparison
from unbraid.plots.contact import contact_sheet
from unbraid.plots.curves import Curve, curves
from unbraid.plots.embedding import embedding
from unbraid.plots.features import explained_dots, feature_bars, feature_seeds
from unbraid.plots.forgetting import forgetting
from unbraid.plots.images import mistakes, reconstructions, samples, transfer
from unbraid.plots.latents import code_factors, kl_bars, steps, traversals
from unbraid.plots.seeds import seeds

__all__ = [
    "Band",
    "Curve",
    "Score",
    "bands",
    "code_factors",
    "comparison",
    "contact_sheet",
    "curves",
    "embedding",
    "explained_dots",
    "feature_bars",
    "feature_seeds",
    "forgetting",
    "kl_bars",
    "mistakes",
    "reconstructions",
    "samples",
    "seeds",
    "steps",
    "transfer",
    "traversals",
]
