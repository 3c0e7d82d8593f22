"""Two populations of one's own table: benign and malignant tumours, 30 measurements each."""

from pathlib import Path

from sklearn.datasets import load_breast_cancer

from unbraid.data import Arrays
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.randomness import seeded
from unbraid.recipes import evaluate
from unbraid.report import report
from unbraid.settings import Training
from unbraid.training import train

table = load_breast_cancer()
x = (table.data - table.data.mean(0)) / table.data.std(0)
population = table.target_names[table.target]  # a name for each row
data = Arrays(x[:400], population[:400])
held_out = Arrays(x[400:], population[400:])

with seeded(0):
    private = [MLPDecoder(3, 30, widths=(64,)) for _ in data.populations]
    shared = MLPDecoder(5, 30, widths=(64,))
    model = CPVAE(MLPTrunk(30), shared, private, Gaussian(1.0, learned=True), data.populations)

settings = Training(steps=2000, batch_size=64, learning_rate=1e-3, validate_every=100, patience=5)
run = train(model, ELBO(), data, "runs/own", settings, validation=held_out)
evaluate(run.path, data=held_out)  # arrays in memory are recorded by checksum: pass them again
report([run.path], Path("runs/own.html"))
