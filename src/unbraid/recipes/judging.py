"""What every model is judged by, whatever its data: reconstruction, divergence, active latents."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from unbraid.configuration import describe
from unbraid.data import Data, FactorGrid
from unbraid.likelihoods import IgnoreMissing, Likelihood
from unbraid.metrics import Result, active_units, kl_per_latent, negative_log_likelihood
from unbraid.metrics import squared_error as squared_error_of_all
from unbraid.models import Classifier, Model, SequentialVAE
from unbraid.nets import compute_as
from unbraid.progress import ProgressBar
from unbraid.randomness import Purpose, derived_seed
from unbraid.recipes.measures import QUICK
from unbraid.recipes.remembered import Memory, fingerprint, keep_codes, recall_codes, settings
from unbraid.runs import Run
from unbraid.settings import WAYS, Computation
from unbraid.types import Batch, Forward

Arrays = dict[str, Shaped[np.ndarray, "..."]]
CHUNK, HELD_OUT, SHOWN = 64, 2000, 12  # 64 images fit the caches; with 256 each costs nearly twice as much
WEIGHTS = "weights.safetensors"  # those that training ended with
OBSERVED = "observed coordinates only"
TRAVERSED = np.linspace(-2.5, 2.5, 9).astype(np.float32)


Metric = partial[Result] | partial[dict[str, Result]]


@dataclass
class Subject:
    """A trained model and the data it is judged on.

    run, data, max_codes, seed: what is judged on what.
    wanted: whether a metric of this name is to be measured; what was measured before is reported in any case.
    weights: which of the run's weights, by name.
    held_out: largest number of observations for what is no metric of factors.
    tasks, quick: what is to be measured, by what it is measured of, and the metric; and which of them are quick.
    results, left_out: what was measured, and what metrics refused, with the reason.
    """

    run: Run
    data: Data
    max_codes: int
    seed: int
    wanted: Callable[[str], bool] = field(default_factory=lambda: lambda name: True)
    weights: str = WEIGHTS
    held_out: int = HELD_OUT
    model: Model = field(init=False)
    index: Int[np.ndarray, " n"] = field(init=False)
    memory: Memory = field(init=False)
    tasks: list[tuple[str, Metric]] = field(default_factory=list)
    quick: list[Metric] = field(default_factory=list)
    results: list[tuple[str, Result]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = self.run.rebuild("model")
        if tuple(self.data.shape) != tuple(self.model.shape):
            raise ValueError(f"expected data of shape {self.model.shape}, as the run's, got {self.data.shape}")
        if self.model.populations and tuple(self.data.populations) != tuple(self.model.populations):
            raise ValueError(
                f"expected the run's populations {self.model.populations} in this order, got {self.data.populations}; "
                "name all of them (Arrays(..., populations=...)), or leave out the others"
            )
        try:
            self.model.load_state_dict(self.run.load_weights(self.weights))
        except RuntimeError as error:
            raise ValueError(
                f"expected weights of the run's own model in '{self.run.path}', got others ({error}); "
                "was a file copied from another run?"
            ) from error
        compute_as(self.model.eval(), Computation(WAYS[0]))
        rng = np.random.default_rng([self.seed, Purpose.EVALUATION])
        self.index = np.sort(rng.permutation(len(self.data))[: min(self.held_out, self.max_codes)])
        self.state = {
            "weights": self.run.weights_checksum(self.weights),
            "model": self.run.record["model"],
            "data": [describe(self.data), self.data.facts()],  # a file may hold others than when the run was made
            "labels": None if self.data.labels is None else fingerprint(self.data.labels.tolist()),
            "max_codes": self.max_codes,
            "held_out": self.held_out,
            "seed": self.seed,
        }
        self.memory = Memory(self.run.path / "evaluation" / "measured.jsonl", self.state)

    def judge(self, what: str, metric: Metric, quick: bool = False) -> None:
        """Ask for a measurement: a metric with its arguments, in which everything but arrays tells it from others.

        quick: it takes no long time, though others of its name do.
        """
        self.tasks.append((what, metric))
        if quick:
            self.quick.append(metric)

    def measure(self) -> None:
        """Measure what was asked for and is wanted, or take it from before.

        What a metric refuses (too few samples, one class only) is left out with its reason.
        """
        keys = [f"{what}: {settings(metric)}" for what, metric in self.tasks]
        asked = [(key, *task) for key, task in zip(keys, self.tasks, strict=True)]
        due = [task for task in asked if self._wants(task[2]) and self.memory.recall(task[0]) is None]
        with ProgressBar(f"{self.run.path.name}: metrics", len(due), "metrics") as display:
            for done, (key, what, metric) in enumerate(due):
                display.show(done, f"{metric.func.__name__}, {what}")
                self.memory.keep(key, _outcome(metric))
            if due:
                display.show(len(due))
        for key, what, _ in asked:
            outcome = self.memory.recall(key)
            if isinstance(outcome, str):
                self.left_out.append((what, outcome))
            elif outcome is not None:
                self.results += [(what, each) for each in outcome]
        self.tasks.clear()
        self.quick.clear()

    def _wants(self, metric: Metric) -> bool:
        return self.wanted(metric.func.__name__) or (metric in self.quick and self.wanted(QUICK))

    def generator(self) -> torch.Generator:
        """Noise that depends on the seed alone."""
        return torch.Generator().manual_seed(derived_seed(self.seed, Purpose.EVALUATION))

    def some(self, count: int) -> Int[np.ndarray, " n"]:
        """So many observations, the same for every model; of all the data where there are not as many codes."""
        rng = np.random.default_rng([self.seed, Purpose.EVALUATION, 3])
        known = self.index if count <= len(self.index) else len(self.data)
        return np.sort(rng.permutation(known)[:count])

    def batches(self, index: Int[np.ndarray, " n"]) -> list[Batch]:
        """The observations at `index` in chunks."""
        return [self.data.batch(part) for part in np.array_split(index, -(-len(index) // CHUNK))]

    def codes(self, index: Int[np.ndarray, " n"]) -> dict[str, Float[np.ndarray, "n *code"]]:
        """Posterior means of every block."""
        parts, done = [], 0
        with ProgressBar(f"{self.run.path.name}: encoding", len(index), "observations") as display:
            for part in np.array_split(index, -(-len(index) // CHUNK)):
                parts.append(self.model.encode(self.data.batch(part).x))
                done += len(part)
                display.show(done)
        return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}

    def kept_codes(self, index: Int[np.ndarray, " n"]) -> dict[str, Float[np.ndarray, "n *code"]]:
        """The same, kept in the run for the next evaluation; for many observations."""
        name = "codes.npz" if self.weights == WEIGHTS else f"codes-{Path(self.weights).stem}.npz"
        file = self.run.path / "evaluation" / name
        key = fingerprint({**self.state, "index": index.tolist()})
        codes = recall_codes(file, key)
        if codes is None:
            codes = self.codes(index)
            keep_codes(file, key, codes)
        return codes


def _outcome(metric: Metric) -> list[Result] | str:
    try:
        found = metric()
    except ValueError as error:
        return str(error)
    return [found] if isinstance(found, Result) else list(found.values())


def general(subject: Subject) -> Arrays:
    """Reconstruction of the observations, divergence of the posterior and latents in use."""
    reconstructions(subject)
    return likelihoods(subject)


def reconstructions(subject: Subject) -> None:
    """Squared error of a pass without noise, with and without the skip where there is one, and latents in use.

    Of probabilities of classes the squared error is the Brier score.
    """
    model, batches = subject.model, subject.batches(subject.index)
    clean = [model(batch) for batch in batches]
    pairs = list(zip(clean, batches, strict=True))
    x = torch.cat([model.target(batch) for batch in batches]).numpy()
    shown = torch.cat([model.likelihood.mean(forward.output, batch.library) for forward, batch in pairs]).numpy()
    subject.judge(_what(model), partial(squared_error, x, shown))
    for name in clean[0].posteriors:
        # without noise: in a sequential pass the noise of earlier latents moves the means of later ones
        means = torch.cat([forward.posteriors[name].mean for forward in clean]).numpy()
        subject.judge(f"{name} block", partial(active_units, means))
    if isinstance(model, SequentialVAE) and model.skip:
        alone = np.concatenate([_decoded(model, forward.posteriors["z"].mean, batch) for forward, batch in pairs])
        subject.judge("decoder alone, without the skip", partial(squared_error, x, alone))


def squared_error(x: Float[np.ndarray, "n *shape"], shown: Float[np.ndarray, "n *shape"]) -> Result:
    """Squared error; where values are missing, of the observed coordinates alone."""
    missing = np.isnan(x)
    if not missing.any():
        return squared_error_of_all(x, shown)
    # a missing coordinate stands at the mean of the observed ones in both: no error, nor any for the mean observation
    mean = np.where(missing, 0, x).sum(0) / np.maximum((~missing).sum(0), 1)
    result = squared_error_of_all(np.where(missing, mean, x), np.where(missing, mean, shown))
    return replace(result, parameters={**result.parameters, "coordinates": OBSERVED})


def likelihoods(subject: Subject) -> Arrays:
    """Log-likelihood, KL of every block, and their sum where it is a bound; one posterior sample an observation."""
    model, population, generator = subject.model, subject.data.population, subject.generator()
    sampled: list[Forward] = [model(batch, generator) for batch in subject.batches(subject.index)]
    likelihood = _name(model.likelihood)
    fit = torch.cat([forward.log_likelihood for forward in sampled]).numpy()
    subject.judge(_what(model), partial(negative_log_likelihood, fit, likelihood))
    arrays: Arrays = {}
    total = np.zeros_like(fit)
    for name in sampled[0].posteriors:
        kl = torch.cat([forward.posteriors[name].kl() for forward in sampled]).numpy()
        total += kl.sum(1)
        subject.judge(f"{name} block", partial(kl_per_latent, kl))
        arrays["kl_per_latent" if name == "z" else f"kl_{name}"] = kl.mean(0)
        if name == "private" and population is not None:
            of = population[subject.index]
            arrays["kl_private"] = np.stack([kl[of == k].mean(0) for k in range(len(subject.data.populations))])
    if model.defines_density:
        subject.judge("model", partial(negative_elbo, fit - total, likelihood))
    return arrays


def negative_elbo(bound: Float[np.ndarray, " n"], likelihood: str) -> Result:
    """Minus the evidence lower bound, from one posterior sample an observation."""
    result = negative_log_likelihood(bound, likelihood)
    return replace(result, metric="negative_elbo", protocol="one posterior sample")


def _what(model: Model) -> str:
    if isinstance(model, Classifier):
        return "population"
    return "reconstruction" if model.defines_density else "output with the skip"


def _name(likelihood: Likelihood) -> str:
    if isinstance(likelihood, IgnoreMissing):
        return f"{type(likelihood.inner).__name__}, {OBSERVED}"
    return type(likelihood).__name__


def pictures(subject: Subject) -> Arrays:
    """Originals and reconstructions; traversals and the step view where the model has them."""
    if isinstance(subject.model, Classifier):
        return {}
    batch, model = subject.data.batch(shown(subject)), subject.model
    reconstruction = model.likelihood.mean(model(batch).output, batch.library)
    arrays: Arrays = {"original": batch.x.numpy(), "reconstruction": reconstruction.numpy()}
    if not isinstance(model, SequentialVAE):
        return arrays
    if model.skip:
        arrays["decoder_only"] = _decoder_only(model, batch)
    return arrays | _traversal(model, batch)


def shown(subject: Subject) -> Int[np.ndarray, " n"]:
    """The observations that figures show, grouped by population."""
    rng = np.random.default_rng([subject.seed, Purpose.EVALUATION, 1])
    groups = [subject.index]
    if subject.data.population is not None:
        of = subject.data.population[subject.index]
        groups = [subject.index[of == k] for k in range(len(subject.data.populations))]
    count = max(1, SHOWN // len(groups))
    index = np.concatenate([rng.permutation(group)[:count] for group in groups])
    if isinstance(subject.data, FactorGrid):  # the first one is traversed: the middle of every factor
        index[0] = subject.data.index(np.array([subject.data.factor_sizes]) // 2)[0]
    return index


def _decoder_only(model: SequentialVAE, batch: Batch) -> Float[np.ndarray, "batch *shape"]:
    return _decoded(model, model.posterior(batch.x).mean, batch)


def _decoded(
    model: SequentialVAE, z: Float[torch.Tensor, "batch latent"], batch: Batch
) -> Float[np.ndarray, "batch *shape"]:
    return model.likelihood.mean(model.decoder(z), batch.library).numpy()


def _traversal(model: SequentialVAE, batch: Batch) -> Arrays:
    """Every latent of the first observation set to each value in turn, the pass run with it.

    Source: sequential residual VAE, figures 3 and 4.
    """
    x, library = batch.x[:1], None if batch.library is None else batch.library[:1]
    count = model.latents * len(TRAVERSED)
    held = torch.full((count, model.latents), torch.nan)
    latent = torch.arange(count) // len(TRAVERSED)
    held[torch.arange(count), latent] = torch.from_numpy(TRAVERSED).repeat(model.latents)
    same = Batch(x.expand(count, *x.shape[1:]), None, None if library is None else library.expand(count))
    outputs = model.likelihood.mean(model(same, held=held).output, same.library)
    arrays: Arrays = {
        "traversal": outputs.unflatten(0, (model.latents, len(TRAVERSED))).numpy(),
        "traversal_values": TRAVERSED,
        "traversal_original": x[0].numpy(),
    }
    return arrays | (_step_view(model, x) if model.sequential else {})


def _step_view(model: SequentialVAE, x: Float[torch.Tensor, "one *shape"]) -> Arrays:
    value, rows = float(TRAVERSED[-1]), model.latents
    held = torch.full((rows, rows), torch.nan)
    held.fill_diagonal_(value)
    steps = model(Batch(x.expand(rows, *x.shape[1:])), held=held, record=True).steps
    assert steps is not None
    return {
        "step_latents": np.arange(rows),
        "step_value": np.array(value, dtype=np.float32),
        "step_outputs": steps.outputs.transpose(0, 1).numpy(),
        "step_residuals": steps.residuals.transpose(0, 1).numpy(),
    }
