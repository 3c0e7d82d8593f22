"""Train CPVAE on vectors whose shared and private factors are known, read codes, judge the run, write a page."""

from pathlib import Path

import torch

from unbraid.data import TwoPopulationVectors
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import CrossPopulation
from unbraid.randomness import seeded
from unbraid.recipes import evaluate
from unbraid.report import report
from unbraid.settings import Training
from unbraid.training import train

data, test = TwoPopulationVectors("train", (5000, 5000)), TwoPopulationVectors("test")
with seeded(0):  # initial weights that depend on this seed alone
    trunk, shared = MLPTrunk(data.features), MLPDecoder(2, data.features, widths=())
    private = [MLPDecoder(2, data.features, widths=()) for _ in data.populations]
    model = CPVAE(trunk, shared, private, Gaussian(1.0, learned=True), data.populations)
run = train(model, CrossPopulation(), data, "runs/known", Training(steps=3000, learning_rate=1e-3), test=test)
codes = model.encode(torch.from_numpy(test.x))  # "shared" [n, 2]; "private" [n, population, 2], every head
evaluate(run.path)  # clusters, leakage, canonical correlations: into the run folder
report([run.path], Path("runs/known.html"))
