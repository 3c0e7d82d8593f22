"""Judging the split into shared and private: clusters, leakage, and parts against the truth where it is known."""

from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture

from unbraid.data import Grassy, Shuffled, TwoPopulationVectors
from unbraid.metrics import (
    ALIGNED,
    LOGISTIC,
    NEIGHBOURS,
    RAW,
    Probe,
    Result,
    canonical_correlation,
    clustering,
    pixel_correlation,
    population_leakage,
    psnr,
    regression_leakage,
    ssim,
)
from unbraid.models import CPVAE, ContrastiveVAE
from unbraid.recipes.judging import Arrays, Subject, shown
from unbraid.recipes.judging_features import judge_features

EMBEDDED, GENERATED = 700, 8
Split = CPVAE | ContrastiveVAE  # what has a shared and a private part


def judge_populations(subject: Subject) -> Arrays:
    """Every judgement that the model and the data allow."""
    data, index = subject.data, subject.index
    assert data.population is not None
    codes, population = subject.codes(index), data.population[index]
    labels = None if data.labels is None else data.labels[index]
    blocks = {name: code for name, code in codes.items() if code.ndim == 2}
    if labels is not None:
        _clusters(subject, blocks, codes.get("private"), population, labels)
        _classes(subject, blocks, codes.get("private"), population, labels)
    _leakage(subject, blocks, codes.get("private"), population)
    arrays: Arrays = {
        "population_names": np.array(data.populations),
        "codes_population": population,
        **({"codes_labels": labels} if labels is not None else {}),
        **{f"codes_{'shared' if name == 'z' else name}": code for name, code in codes.items()},
    }
    if isinstance(subject.model, Split):
        _parts(subject)
        _truth(subject, codes, population)
        arrays |= judge_features(subject)
        arrays |= _shown_parts(subject) | _generated(subject, codes, population)
    heads = codes.get("private", _for_all(codes["z"], len(data.populations)) if "z" in codes else None)
    if heads is not None and labels is not None:
        arrays |= _embedding(subject, heads, population, labels)
    return arrays


def _for_all(z: Float[np.ndarray, "n latent"], populations: int) -> Float[np.ndarray, "n population latent"]:
    """The code of a model that has one for all populations, where another has one each."""
    return np.broadcast_to(z[:, None], (len(z), populations, z.shape[1]))


def _clusters(subject: Subject, blocks, private, population, labels) -> None:
    for k, name in enumerate(subject.data.populations):
        own = population == k
        spaces = {block: code[own] for block, code in blocks.items()}
        if private is not None and not _is_background(subject, k):
            spaces["private"] = private[own, k]
        for space, code in spaces.items():
            for standardised in (False, True):
                found = partial(clustering, code, labels[own], seed=subject.seed, standardised=standardised)
                subject.judge(f"{space} code, {name}", found)


def _leakage(subject: Subject, blocks, private, population) -> None:
    """Can the population be read off a code? Private heads are computed for all samples, whichever they belong to."""
    spaces = dict(blocks)
    if private is not None:
        spaces |= {f"private ({name})": private[:, k] for name, k in _heads(subject).items()}
    for space, code in spaces.items():
        # every shuffle costs as much as the value: many only for the code that should not know the population
        shuffles = 3 if space.startswith("private") else 20
        for probe in (LOGISTIC, NEIGHBOURS):
            found = partial(population_leakage, code, population, probe, shuffles=shuffles, seed=subject.seed)
            subject.judge(f"{space} code", found)


def _is_background(subject: Subject, population: int) -> bool:
    """Whether a population has no private code: a contrastive model's background."""
    return isinstance(subject.model, ContrastiveVAE) and population == subject.model.background_index


def _heads(subject: Subject) -> dict[str, int]:
    """Private heads by name, each that differs from the others: the targets of a contrastive model have one."""
    names = subject.data.populations
    heads = {name: k for k, name in enumerate(names) if not _is_background(subject, k)}
    if isinstance(subject.model, ContrastiveVAE) and len(heads) > 1:
        return {"targets": next(iter(heads.values()))}
    return heads


def class_probe(
    codes: Float[np.ndarray, "n latent"], labels: Int[np.ndarray, " n"], probe: Probe, shuffles: int, seed: int
) -> dict[str, Result]:
    """How well a probe reads the class from a code, measured as leakage is."""
    found = population_leakage(codes, labels, probe, shuffles=shuffles, seed=seed)
    return {
        name: replace(
            result,
            metric=f"class_probe_{name}",
            parameters={"classes" if key == "populations" else key: value for key, value in result.parameters.items()},
        )
        for name, result in found.items()
    }


def _classes(subject: Subject, blocks, private, population, labels) -> None:
    """Can the class be read off a code, within a population? Every head that there is, own and others'."""
    for k, name in enumerate(subject.data.populations):
        own = population == k
        spaces = {f"{block} code": code[own] for block, code in blocks.items()}
        if private is not None:
            heads = _heads(subject)
            heads = heads if len(heads) <= 2 else {name: k}
            spaces |= {f"private ({head}) code": private[own, index] for head, index in heads.items()}
        for space, code in spaces.items():
            for probe in (LOGISTIC, NEIGHBOURS):
                found = partial(class_probe, code, labels[own], probe, shuffles=3, seed=subject.seed)
                subject.judge(f"{space}, {name}", found)


def _parts(subject: Subject) -> None:
    """The private part against the clean signal and the shared part against the background, where both are known."""
    data, model = _known(subject), subject.model
    assert isinstance(model, Split)
    if data is None:
        return
    parts = [model.parts(batch) for batch in subject.batches(subject.index)]
    truths = {
        "private_only": ("clean", data.clean_at, data.amplitude),
        "shared_only": ("background", data.background_at, 1.0),
    }
    for name, (truth, values, amplitude) in truths.items():
        part = torch.cat([each[name] for each in parts]).numpy()
        target = amplitude * values(subject.index)
        what = f"{name.replace('_', ' ')} against {truth}"
        for metric, alignment in product((psnr, ssim), (RAW, ALIGNED)):
            subject.judge(what, partial(metric, part, target, amplitude, alignment))
        subject.judge(what, partial(pixel_correlation, part, target))


def _truth(subject: Subject, codes, population) -> None:
    """Agreement of the codes with the true factors of generated vectors, where they are known.

    Private factors and their maps are each population's own, so what a code knows of them is asked apart.
    """
    data, seed = subject.data, subject.seed
    if not isinstance(data, TwoPopulationVectors):
        return
    z, t = data.shared_factors[subject.index], data.private_factors[subject.index]
    shared = codes["shared"]
    subject.judge("shared code, true shared factors", partial(canonical_correlation, shared, z, seed))
    for k, name in enumerate(data.populations):
        own, code = population == k, codes["private"][population == k, k]
        about = {
            f"private code, true private factors, {name}": partial(canonical_correlation, code, t[own], seed),
            f"private code, true shared factors, {name}": partial(regression_leakage, code, z[own], seed=seed),
            f"shared code, true private factors, {name}": partial(regression_leakage, shared[own], t[own], seed=seed),
        }
        for what, metric in about.items():
            subject.judge(what, metric)


def _shown_parts(subject: Subject) -> Arrays:
    index, model = shown(subject), subject.model
    batch = subject.data.batch(index)
    assert isinstance(model, Split)
    assert batch.population is not None
    arrays = {name: part.numpy() for name, part in model.parts(batch).items()}
    arrays |= {"transfer": model.transfer(batch.x, batch.library).numpy(), "population": batch.population.numpy()}
    if (data := _known(subject)) is not None:
        arrays["clean"] = data.amplitude * data.clean_at(index)
        arrays["background"] = data.background_at(index)
    return arrays


def _known(subject: Subject) -> Grassy | None:
    """The data whose clean signal and background are known, whoever their populations were; None for others."""
    data = subject.data.data if isinstance(subject.data, Shuffled) else subject.data
    return data if isinstance(data, Grassy) else None


def _generated(subject: Subject, codes, population) -> Arrays:
    """Samples of every population: private codes from the prior, and from a mixture fitted to the aggregate posterior.

    Under the mutual-information objective nothing holds a private posterior near the prior, so samples from the prior
    may be poor; both are shown.
    """
    model, generator = subject.model, subject.generator()
    assert isinstance(model, Split)
    prior, aggregate = [], []
    for k in range(len(model.populations)):
        of = torch.full((GENERATED,), k)
        z = torch.randn(GENERATED, model.shared, generator=generator)
        t = torch.randn(GENERATED, model.private, generator=generator)
        prior.append(model.generate(z, t, of))
        fitted = _mixture(codes["private"][population == k, k], subject.seed)
        aggregate.append(model.generate(z, fitted, of))
    return {"samples_prior": torch.stack(prior).numpy(), "samples_aggregate": torch.stack(aggregate).numpy()}


def _mixture(codes: Float[np.ndarray, "n private"], seed: int) -> torch.Tensor:
    if len(codes) < 2:
        return torch.from_numpy(np.repeat(codes, GENERATED, axis=0)).float()
    components = max(1, min(10, len(codes) // 50, len(np.unique(codes, axis=0))))
    mixture = GaussianMixture(components, covariance_type="diag", reg_covar=1e-4, random_state=seed).fit(codes)
    return torch.from_numpy(mixture.sample(GENERATED)[0]).float()


def _embedding(subject: Subject, private, population, labels) -> Arrays:
    """t-SNE of the private codes of each population, by its own head; of the only code where there is one for all."""
    rows, embedded = [], []
    for k in range(len(subject.data.populations)):
        own = np.flatnonzero(population == k)[:EMBEDDED]
        if len(own) < 5 or not np.ptp(private[own, k], axis=0).any():  # no neighbours: too few, or one constant code
            continue
        start = "pca" if private.shape[2] > 1 else "random"
        tsne = TSNE(random_state=subject.seed, init=start, perplexity=min(30, len(own) / 4))
        rows.append(own)
        embedded.append(tsne.fit_transform(private[own, k]))
    if not rows:
        return {}
    shown = np.concatenate(rows)
    points = np.concatenate(embedded)
    return {"tsne_private": points, "tsne_population": population[shown], "tsne_labels": labels[shown]}
