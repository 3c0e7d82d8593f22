"""CPVAE on counts: planted genes come back, runs are rebuilt and judged, and the real blood cells."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.data.cells import Cells
from unbraid.recipes import evaluate, resume
from unbraid.recipes.cells import cells
from unbraid.report import report
from unbraid.settings import Training

anndata = pytest.importorskip("anndata", reason="needs the extra unbraid[anndata]")
pandas = pytest.importorskip("pandas")
GENES, CHANGED, TYPED = 60, (3, 7, 11), (20, 21, 22)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Two cell types in two conditions; three genes rise under treatment, three others differ between types."""
    rng = np.random.default_rng(0)
    condition, kind = np.repeat([0, 1], 300), np.tile([0, 1], 300)
    share = rng.gamma(1.0, 1.0, GENES)[None] * np.ones((600, 1))
    share[:, CHANGED] = np.where(condition == 1, 4.0, 0.3)[:, None]
    share[:, TYPED] = np.where(kind == 1, 4.0, 0.3)[:, None]
    mean = rng.uniform(200, 600, (600, 1)) * share / share.sum(1, keepdims=True)
    x = rng.negative_binomial(5, 5 / (5 + mean)).astype(np.float32)
    names = np.array(["control", "treated"])[condition]
    obs = pandas.DataFrame({"condition": names, "type": kind.astype(str)}, index=[f"c{k}" for k in range(600)])
    path = tmp_path_factory.mktemp("cells") / "planted.h5ad"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anndata.AnnData(x, obs, pandas.DataFrame(index=[f"g{k}" for k in range(GENES)])).write_h5ad(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["mi", "elbo"])
def test_planted_genes_are_what_private_parts_explain(file, objective, tmp_path):
    training = Training(300, learning_rate=3e-3, validate_every=100)
    sizes = {"shared": 3, "private": 2, "widths": (32,), "most_variable": None}
    run = cells(tmp_path / "run", file, "condition", label="type", objective=objective, training=training, **sizes)
    arrays, data = np.load(evaluate(run.path).path / "evaluation" / "arrays.npz"), run.rebuild("test")
    assert isinstance(data, Cells)
    treated = data.populations.index("treated")
    order = np.argsort(-arrays["feature_gain"][treated])
    assert set(order[:3].tolist()) == set(CHANGED)
    beyond = arrays["feature_gain"] > arrays["feature_gain_by_chance"]
    assert beyond[:, CHANGED].all()
    assert not beyond[:, TYPED].any()
    # 4 / 0.3 of the unnormalised shares, less what the rise takes from the others
    assert (np.abs(arrays["feature_shift"][treated, list(CHANGED)] - np.log2(4 / 0.3)) < 1).all()
    evaluation = run.evaluation()
    assert evaluation is not None
    explained = [one for one in evaluation["results"] if one["metric"] == "explained_features"]
    assert len(explained) == 4
    # over all cells together, which vary in the treatment too; so short a training has hardly found the types
    share = {part: arrays[f"explained_{part}_share"][-1] for part in ("shared", "private", "both")}
    assert set(np.argsort(-share["private"])[:3].tolist()) == set(CHANGED)
    assert (share["private"][list(CHANGED)] > arrays["explained_private_by_chance"][-1, list(CHANGED)]).all()
    assert (share["private"][list(TYPED)] < 0.1).all()
    assert (share["both"][list(CHANGED)] > 0.4).all()
    table = pandas.read_csv(run.path / "evaluation" / "features.csv", float_precision="round_trip")
    best = table[table["population"] == "treated"].head(3)
    assert best["feature"].tolist() == [f"g{gene}" for gene in order[:3]]
    assert best["rank"].tolist() == [1, 2, 3]
    together = arrays["explained_private_share"][-1, order[:3]].tolist()
    assert best["variance_private_together"].tolist() == together
    assert best["variance_shared"].tolist() == arrays["explained_shared_share"][treated, order[:3]].tolist()
    assert best["gain_nats"].tolist() == arrays["feature_gain"][treated, order[:3]].tolist()
    assert len(table) == 2 * GENES
    assert "Variance that each part explains" in report([run.path], tmp_path / "page.html").read_text()


def test_a_run_is_rebuilt_with_the_start_of_its_decoders(file, tmp_path):
    training = Training(2, batch_size=8)
    run = cells(tmp_path / "run", file, "condition", most_variable=20, widths=(4,), training=training)
    model = run.rebuild("model")
    model.load_state_dict(run.load_weights())
    data = run.rebuild("data")
    pooled = data.batch(np.arange(len(data))).x.sum(0).log()
    assert np.corrcoef(model.shared_decoder.last.bias.detach().numpy(), pooled.numpy())[0, 1] > 0.999
    assert resume(run.path).path == run.path
    again = cells(tmp_path / "again", file, "condition", most_variable=20, widths=(4,), training=training)
    for name, weight in again.load_weights().items():  # the seed says it all
        assert torch.equal(weight, run.load_weights()[name])


def test_a_vae_takes_the_same_counts(file, tmp_path):
    run = cells(tmp_path / "run", file, "condition", model="vae", widths=(4,), training=Training(2, batch_size=8))
    assert run.record["arguments"]["objective"] == "elbo"
    arrays = np.load(evaluate(run.path).path / "evaluation" / "arrays.npz")
    assert "feature_gain" not in arrays
    total = arrays["traversal_original"].sum()  # decoded at the depth of the cell that they are compared with
    np.testing.assert_allclose(arrays["traversal"].sum(-1), total, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA is unset: no real cells")
def test_interferon_genes_rank_first_in_stimulated_blood_cells(tmp_path):
    run = cells(tmp_path / "run", Path(os.environ["UNBRAID_TEST_DATA"]) / "pbmc-ifnb.h5ad", "condition")
    arrays = np.load(evaluate(run.path).path / "evaluation" / "arrays.npz")
    names, stimulated = arrays["feature_names"].tolist(), arrays["population_names"].tolist().index("stimulated")
    gain, by_chance = arrays["feature_gain"][stimulated], arrays["feature_gain_by_chance"][stimulated]
    rank = {names[gene]: place for place, gene in enumerate(np.argsort(-gain))}
    assert rank["ISG15"] < 3
    assert all(rank[gene] < 40 for gene in ("CXCL10", "IFIT1", "IFIT2", "IFIT3", "IFI6", "ISG20", "MX1", "LY6E"))
    assert rank["CD3D"] > 100
    assert gain[names.index("CD3D")] < by_chance[names.index("CD3D")]
