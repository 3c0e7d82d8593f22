"""Runs in pythae's own environment: takes steps when told to, and answers how long they took.

A line of standard input is `{"case": ..., "how": "bare" | "trainer", "calls": n}`, the answer a line `{"seconds": s}`.
The network is that of the first paper (table 1) with 10 latents, the optimiser and losses are pythae's, as its trainers
have them. "trainer" is pythae's own epoch over its DataLoader; "bare" leaves out the loader, the progress bar and the
reading of the loss: the same forward pass and the same update by the trainer on a batch that is there already.
pythae's FactorVAE divides what it is given into two halves, one for the VAE and one for its discriminator: "FactorVAE"
gives it 128 images, 64 for each as in the paper's algorithm, and "FactorVAE of 32" gives it 64.
"""

import json
import logging
import sys
import tempfile
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset, DatasetOutput  # pyright: ignore[reportMissingImports]
from pythae.models import (  # pyright: ignore[reportMissingImports]
    VAE,
    BetaVAE,
    BetaVAEConfig,
    FactorVAE,
    FactorVAEConfig,
    VAEConfig,
)
from pythae.models.base.base_utils import ModelOutput  # pyright: ignore[reportMissingImports]
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder  # pyright: ignore[reportMissingImports]
from pythae.trainers import (  # pyright: ignore[reportMissingImports]
    AdversarialTrainer,
    AdversarialTrainerConfig,
    BaseTrainer,
    BaseTrainerConfig,
)
from torch import Tensor, nn

LATENTS, BATCH = 10, 64
SHARED = {"input_dim": (1, 64, 64), "latent_dim": LATENTS, "reconstruction_loss": "bce"}
CASES = {
    "VAE": (VAE, VAEConfig(**SHARED), BATCH),
    "beta-VAE": (BetaVAE, BetaVAEConfig(beta=4.0, **SHARED), BATCH),
    "FactorVAE": (FactorVAE, FactorVAEConfig(gamma=35.0, **SHARED), 2 * BATCH),
    "FactorVAE of 32": (FactorVAE, FactorVAEConfig(gamma=35.0, **SHARED), BATCH),
}


class Encoder(BaseEncoder):
    """Table 1 of the first paper."""

    def __init__(self):
        super().__init__()
        layers = []
        for before, after in ((1, 32), (32, 32), (32, 64), (64, 64)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, 256, 4), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(256, 2 * LATENTS)

    def forward(self, x: Tensor) -> ModelOutput:
        """Mean and log variance, by pythae's names."""
        mean, log_variance = self.head(self.layers(x)).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """Its mirror; pythae's likelihood takes probabilities."""

    def __init__(self):
        super().__init__()
        layers = [nn.Linear(LATENTS, 256), nn.ReLU(), nn.Unflatten(1, (256, 1, 1)), nn.ConvTranspose2d(256, 64, 4)]
        for before, after in ((64, 64), (64, 32), (32, 32), (32, 1)):
            layers += [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        self.layers = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        """Probabilities of the pixels, by pythae's name."""
        return ModelOutput(reconstruction=self.layers(z))


class Discriminator(BaseDiscriminator):
    """Six hidden layers of 1000, as in the paper of FactorVAE; pythae's own has five."""

    def __init__(self):
        super().__init__()
        layers = []
        for before in (LATENTS, *(1000,) * 5):
            layers += [nn.Linear(before, 1000), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(1000, 2))

    def forward(self, z: Tensor) -> Tensor:
        """Two logits."""
        return self.layers(z)


class Case:
    """A model and its trainer over some images."""

    def __init__(self, name: str, images: Tensor, folder: str):
        kind, config, self.batch = CASES[name]
        torch.manual_seed(0)
        model = kind(model_config=config, encoder=Encoder(), decoder=Decoder())
        adversarial = kind is FactorVAE
        if adversarial:
            model.set_discriminator(Discriminator())
        make, configure = (
            (AdversarialTrainer, AdversarialTrainerConfig) if adversarial else (BaseTrainer, BaseTrainerConfig)
        )
        self.make, self.model, self.images = make, model, images
        self.config = configure(output_dir=folder, per_device_train_batch_size=self.batch, num_epochs=1)
        self.trainers = {}

    def trainer(self, steps: int) -> BaseTrainer:
        """A trainer whose epoch has so many steps."""
        if steps not in self.trainers:
            chosen = self.images[torch.arange(steps * self.batch) % len(self.images)]
            trainer = self.make(self.model, BaseDataset(chosen, torch.zeros(len(chosen))), training_config=self.config)
            trainer.prepare_training()
            self.trainers[steps] = trainer
        return self.trainers[steps]

    def __call__(self, how: str, calls: int) -> float:
        """Seconds of so many steps."""
        trainer = self.trainer(calls if how == "trainer" else 1)
        given = DatasetOutput(data=self.images[: self.batch], labels=torch.zeros(self.batch))
        self.model.train()
        began = time.perf_counter()
        if how == "trainer":
            trainer.train_step(1)
        else:
            for _ in range(calls):
                trainer._optimizers_step(self.model(given))
        return time.perf_counter() - began


def main() -> None:
    """Answer until there is no more input."""
    file, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    logging.disable(logging.CRITICAL)
    images, cases = torch.from_numpy(np.load(file)).float(), {}
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            asked = json.loads(line)
            name = asked["case"]
            if name not in cases:
                cases[name] = Case(name, images, folder)
            print(json.dumps({"seconds": cases[name](asked["how"], asked["calls"])}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
