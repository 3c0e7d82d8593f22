"""The un-annealed bound on held-out data."""

import numpy as np
import torch

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.elbo import ELBO
from unbraid.randomness import Purpose, derived_seed
from unbraid.types import Progress

OBSERVATIONS, CHUNK = 2048, 256


@torch.no_grad()
def validation_bound(model: Model, data: Data, seed: int, device: torch.device) -> dict[str, float]:
    """`bound` (reconstruction + KL, unweighted, one sample) and its terms, nats per observation.

    Minus the ELBO where the model defines log p(x), then also under `negative_elbo`; else no bound on anything. At
    most 2,048 evenly spaced observations are used, always the same, with the same noise.
    """
    index = np.unique(np.linspace(0, len(data) - 1, min(len(data), OBSERVATIONS)).astype(np.int64))
    generator = torch.Generator(device).manual_seed(derived_seed(seed, Purpose.VALIDATION))
    training = model.training
    model.eval()
    sums: dict[str, float] = {}
    for chunk in np.array_split(index, -(-len(index) // CHUNK)):
        batch = data.batch(chunk).to(device)
        terms = ELBO()(model(batch, generator), batch, Progress()).named()
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(chunk) / len(index)
    model.train(training)
    bound = sums.pop("loss")
    return {"bound": bound, **({"negative_elbo": bound} if model.defines_density else {}), **sums}
