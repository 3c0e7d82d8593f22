"""Which features each part explains, for models with two parts on data whose features have names."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unbraid.likelihoods import IgnoreMissing, Likelihood, NegativeBinomial
from unbraid.metrics import explained_features, feature_table
from unbraid.models import CPVAE, ContrastiveVAE
from unbraid.recipes.judging import Arrays, Subject
from unbraid.recipes.judging_variance import PARTS, judge_variance
from unbraid.types import Batch

VALUES = 10_000_000  # observations times features that are judged at most
KINDS = ("gain", "gain_left_out", "shift")


def judge_features(subject: Subject) -> Arrays:
    """Gain in log-likelihood of every feature by the own private part, over other populations' and over none.

    Left out, the private part is replaced by "no change" from the shared part. But what the shared part says may be one
    population's level or anything between, since a constant can stand in either part; so the first comparison is with
    the private parts of the other populations (as in `CPVAE.transfer`), where such a constant cancels.
    """
    data, model = subject.data, subject.model
    if not data.feature_names or not isinstance(model, CPVAE | ContrastiveVAE) or data.population is None:
        return {}
    most = max(2 * len(data.populations), VALUES // len(data.feature_names))
    index = subject.index[:: -(-len(subject.index) // most)]
    found = [_gains(model, batch) for batch in subject.batches(index)]
    values = {kind: torch.cat([each[kind] for each in found]).numpy() for kind in KINDS}
    names, of = list(data.feature_names), data.population[index]
    unit = None if data.unit is None else data.unit[index]
    tables: dict[str, list[np.ndarray]] = {}
    for k, population in enumerate(data.populations):
        own = {kind: part[of == k] for kind, part in values.items()}
        units = None if unit is None else unit[of == k]
        if len(own["gain"] if units is None else np.unique(units)) < 2:
            what = "observations" if units is None else "groups of rows"
            subject.left_out.append((f"features, {population}", f"fewer than two {what}"))
            return {}
        for kind, against in (("gain", "other private parts"), ("gain_left_out", "left out")):
            gain = own[kind]
            judged = partial(explained_features, gain, np.zeros_like(gain), names, subject.seed, units)
            subject.judge(f"private part against {against}, {population}", judged)
        for name, row in _rows(own, subject.seed, units).items():
            tables.setdefault(name, []).append(row)
    arrays: Arrays = {f"feature_{name}": np.stack(rows) for name, rows in tables.items()}
    shift_name = np.array(_shift_name(model.likelihood))
    arrays |= judge_variance(subject, model, index)
    return {"feature_names": np.array(names), "feature_shift_name": shift_name, **arrays}


def _rows(
    own: dict[str, Float[np.ndarray, "n feature"]], seed: int, unit: Int[np.ndarray, " n"] | None
) -> dict[str, np.ndarray]:
    """One population's row of every array."""
    zero = np.zeros_like(own["gain"])
    gain, left_out, shift = (feature_table(own[kind], zero, seed, unit) for kind in KINDS)
    return {
        "gain": gain.nats,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "gain_by_chance": gain.by_chance,
        "gain_left_out": left_out.nats,
        "shift": shift.nats,
        "shift_low": shift.low,
        "shift_high": shift.high,
    }


def _gains(model: CPVAE | ContrastiveVAE, batch: Batch) -> dict[str, Float[Tensor, "batch feature"]]:
    """Differences between the own private part and the mean over others', or none, from posterior means."""
    assert batch.population is not None
    outputs, alone = _outputs(model, batch.x)
    fit = [model.likelihood.log_prob_each(batch.x, output, batch.library) for output in [*outputs, alone]]
    level = [_level(model.likelihood, output) for output in outputs]
    gain, shift = _against_others(fit[:-1], batch.population), _against_others(level, batch.population)
    own = torch.stack(fit[:-1])[batch.population, torch.arange(len(batch))]
    return {"gain": gain, "gain_left_out": own - fit[-1], "shift": shift}


def _outputs(
    model: CPVAE | ContrastiveVAE, x: Float[Tensor, "batch feature"]
) -> tuple[list[Float[Tensor, "batch feature"]], Float[Tensor, "batch feature"]]:
    """Each x decoded as every population, and without a private part, from posterior means."""
    if isinstance(model, ContrastiveVAE):
        outputs = list(model.outputs(x).unbind(1))
        return outputs, outputs[model.background_index]
    shared, heads = model.posteriors(x)
    common = model.shared_decoder(shared.mean)
    decoders = list(model.private_decoders)
    alone = model.combine(common, torch.full_like(common, model.combine.neutral))
    return [model.combine(common, decoder(heads.mean[:, j])) for j, decoder in enumerate(decoders)], alone


def _against_others(each: list[Float[Tensor, "batch feature"]], population: Tensor) -> Float[Tensor, "batch feature"]:
    """Value under the own population minus the mean over the others."""
    every = torch.stack(each)
    own = every[population, torch.arange(every.shape[1])]
    return own - (every.sum(0) - own) / (len(each) - 1)


def _level(likelihood: Likelihood, output: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
    """What the shift is a difference of: the expected value, or the logarithm to base 2 of an expected count."""
    mean = likelihood.mean(output)
    return mean.log2() if _counts(likelihood) else mean


def _shift_name(likelihood: Likelihood) -> str:
    return "log2 fold change" if _counts(likelihood) else "shift of the mean"


def _counts(likelihood: Likelihood) -> bool:
    inner = likelihood.inner if isinstance(likelihood, IgnoreMissing) else likelihood
    return isinstance(inner, NegativeBinomial)


def as_rows(arrays: Arrays) -> list[dict[str, object]]:
    """The table of features: one row for each population and feature, the best explained first.

    Shares of variance are within the population; those of all populations together end in `_together`.
    """
    columns = {
        "gain_nats": "gain",
        "gain_low": "gain_low",
        "gain_high": "gain_high",
        "gain_by_chance": "gain_by_chance",
        str(arrays["feature_shift_name"]): "shift",
        "gain_over_left_out_nats": "gain_left_out",
    }
    rows = []
    for k, population in enumerate(arrays["population_names"].tolist()):
        order = np.argsort(-arrays["feature_gain"][k], kind="stable")
        for rank, feature in enumerate(order.tolist(), 1):
            values = {name: float(arrays[f"feature_{key}"][k, feature]) for name, key in columns.items()}
            name = arrays["feature_names"][feature]
            shares = {**_shares(arrays, k, feature), **_shares(arrays, -1, feature, "_together")}
            rows.append({"population": population, "rank": rank, "feature": name, **values, **shares})
    return rows


def _shares(arrays: Arrays, k: int, feature: int, end: str = "") -> dict[str, float]:
    """Shares of variance that each part explains of a feature in one population, or in all (the last row)."""
    kinds = {"share": "", "low": "_low", "high": "_high", "by_chance": "_by_chance"}
    return {
        f"variance_{part}{end}{kind}": float(arrays[f"explained_{part}_{name}"][k, feature])
        for part in PARTS
        for name, kind in kinds.items()
    }
