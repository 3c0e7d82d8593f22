"""Tables: what stands there, on one scale for all splits; the files themselves: test_table_files.py."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from unbraid.configuration import build, describe
from unbraid.data import Table

N = 60
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "id": [f"p{index // 3}-{index % 3}" for index in range(N)],
        "arm": ["drug", "placebo"] * (N // 2),
        "weight": RNG.normal(70, 9, N),
        "dose": RNG.integers(0, 5, N),
        "sex": RNG.choice(["female", "male"], N),
        "smoker": RNG.random(N) < 0.4,
        "outcome": RNG.choice(["ill", "well"], N),
    }
)
FRAME.loc[[4, 9], "weight"] = np.nan
FRAME.loc[7, "sex"] = None
FEATURES = ("weight", "dose", "sex=female", "sex=male", "smoker=False", "smoker=True")
USUAL: dict[str, Any] = {"population": "arm", "label": "outcome", "leave_out": ["id"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    FRAME.to_csv(tmp_path / "study.csv", index=False)
    return tmp_path / "study.csv"


def counts(data: Table) -> list[int]:
    assert data.population is not None
    return np.bincount(data.population).tolist()


def test_first_run_of_a_biologist(file: Path):
    data = Table(file, population="arm", leave_out=["id", "outcome"])
    assert (data.populations, data.feature_names) == (("drug", "placebo"), FEATURES)
    assert (data.shape, len(data), data.missing) == ((6,), 42, True)
    assert data.labels is None


def test_values_are_standardised_by_the_training_rows_and_missing_ones_stay(file: Path):
    parts = {split: Table(file, **USUAL, split=split) for split in ("train", "validation", "test", "all")}
    train, whole = parts["train"], parts["all"]
    assert sum(map(len, parts.values())) == 2 * N
    numbers = FRAME["weight"].to_numpy()[train.rows]
    mean, deviation = np.nanmean(numbers), np.nanstd(numbers)
    for part in parts.values():
        expected = (FRAME["weight"].to_numpy()[part.rows] - mean) / deviation
        np.testing.assert_allclose(part.x[:, 0], expected, rtol=1e-5)
        assert part.facts()["columns"] == train.facts()["columns"]
        assert part.missing
    assert np.flatnonzero(np.isnan(whole.x[:, 0])).tolist() == [4, 9]
    assert np.flatnonzero(np.isnan(whole.x[:, 2])).tolist() == np.flatnonzero(np.isnan(whole.x[:, 3])).tolist() == [7]


def test_levels_of_a_category_have_variance_one_together(file: Path):
    data = Table(file, **USUAL)
    for names in (("sex=female", "sex=male"), ("smoker=False", "smoker=True")):
        x = data.x[:, [data.feature_names.index(name) for name in names]]
        np.testing.assert_allclose(np.nanmean(x, 0), 0, atol=1e-6)
        assert np.nanvar(x, 0).sum() == pytest.approx(1, abs=1e-5)


def test_splits_are_disjoint_seeded_and_in_proportion(file: Path):
    def rows(seed: int) -> list[np.ndarray]:
        return [Table(file, **USUAL, split=split, seed=seed).rows for split in ("train", "validation", "test")]

    assert np.array_equal(np.sort(np.concatenate(rows(0))), np.arange(N))
    assert all(np.array_equal(one, other) for one, other in zip(rows(3), rows(3), strict=True))
    assert not np.array_equal(rows(0)[0], rows(1)[0])
    assert counts(Table(file, **USUAL)) == [21, 21]


def test_labels_and_populations_stand_beside_their_rows(file: Path):
    data = Table(file, **USUAL, split="test")
    assert data.population is not None
    assert data.labels is not None
    assert [data.populations[k] for k in data.population] == FRAME["arm"][data.rows].tolist()
    assert [data.classes[k] for k in data.labels] == FRAME["outcome"][data.rows].tolist()


def test_populations_may_be_some_in_another_order():
    frame = FRAME.assign(arm=["drug", "placebo", "other"] * 20)
    data = Table(frame, **USUAL, populations=("placebo", "drug"), split="all")
    assert data.populations == ("placebo", "drug")
    assert data.facts()["left_out_rows"] == {"other": 20}
    assert np.array_equal(data.rows, np.flatnonzero(frame["arm"] != "other"))
    assert data.population is not None
    assert data.population[:2].tolist() == [1, 0]
    frame.loc[0, "arm"] = None  # not one of those that were asked for
    assert Table(frame, **USUAL, populations=("drug", "placebo")).facts()["left_out_rows"] == {"other": 20, "": 1}


@pytest.mark.parametrize("pattern", ["[^-]+", r"p(\d+)-\d"])
def test_groups_stay_in_one_split(file: Path, pattern: str):
    usual = {"population": "arm", "leave_out": ["outcome"], "group": "id", "group_pattern": pattern}
    parts = [Table(file, **usual, split=split) for split in ("train", "validation", "test")]
    groups = [set((part.rows // 3).tolist()) for part in parts]
    assert [len(group) for group in groups] == [14, 3, 3]
    assert len(set.union(*groups)) == 20
    assert "id" not in "".join(parts[0].feature_names)


def test_rows_that_are_left_out_need_no_group():
    frame = FRAME.assign(id=np.where(np.arange(N) % 5 == 0, "odd", FRAME["id"]))
    frame.loc[frame["id"] == "odd", "arm"] = "other"
    used = {"populations": ["drug", "placebo"], "leave_out": ["outcome"], "group": "id", "group_pattern": r"p\d+"}
    assert len(Table(frame, "arm", **used, split="all")) == N - N // 5


def test_categories_of_a_frame_are_read_like_words():
    words = np.array([" a", "b", "?", "NA"])[np.arange(N) % 4]
    frames = [FRAME.assign(kind=words), FRAME.assign(kind=pd.Categorical(words))]
    first, second = (Table(frame, **USUAL) for frame in frames)
    assert first.feature_names == second.feature_names
    assert {"kind=a", "kind=b"} < set(first.feature_names)
    np.testing.assert_array_equal(first.x, second.x)


def test_groups_within_one_population_are_shared_out_in_proportion():
    frame = FRAME.assign(arm=np.repeat(["drug", "placebo"], N // 2))
    data = Table(frame, population="arm", leave_out=["outcome"], group="id", group_pattern="[^-]+")
    assert counts(data) == [21, 21]


def test_new_rows_are_put_on_the_same_scale(file: Path):
    data = Table(file, **USUAL, split="all")
    unlabeled = FRAME[["smoker", "sex", "weight", "dose"]].assign(other="anything")
    np.testing.assert_array_equal(data.transform(unlabeled), data.x)
    np.testing.assert_array_equal(data.transform(file), data.x)
    back = data.to_original(data.x)
    np.testing.assert_allclose(back[:, 0], FRAME["weight"], rtol=1e-5)
    np.testing.assert_allclose(back[:, 3], np.where(FRAME["sex"].isna(), np.nan, FRAME["sex"] == "male"), atol=1e-6)
    with pytest.raises(ValueError, match=r"expected a column 'sex' in the data frame, got \['smoker', 'weight'"):
        data.transform(unlabeled[["smoker", "weight", "dose"]])
    with pytest.raises(ValueError, match="expected numbers in column 'dose', as in training, got words"):
        data.transform(unlabeled.assign(dose="high"))


def test_a_level_that_training_has_not_counts_as_missing():
    frame = FRAME.assign(site=np.where(np.arange(N) % 2, "north", "south"))
    data = Table(frame, population="arm", leave_out=["id", "outcome", "sex", "smoker"], split="all")
    frame.loc[0, "site"] = "west"
    x = data.transform(frame.iloc[:3])
    assert np.isnan(x).tolist() == [[False, False, True, True]] + [[False] * 4] * 2
    held_out = int(Table(frame, population="arm", leave_out=["id"], split="test").rows[0])
    rare = FRAME.assign(site=["west" if row == held_out else "north" if row % 3 else "south" for row in range(N)])
    assert Table(rare, population="arm", leave_out=["id"]).facts()["unseen_levels"] == {"site": 1}


def test_constant_columns_are_left_out_and_named():
    data = Table(FRAME.assign(batch="first", zero=0, tiny=0.1 + 0.2), **USUAL)
    assert data.feature_names == FEATURES
    assert data.facts()["constant"] == ["batch", "zero", "tiny"]


def test_columns_that_give_the_population_away_are_named(caplog: pytest.LogCaptureFixture):
    told = FRAME.assign(code=np.arange(N) % 2 * 4, batch=[f"b{row % 4}" for row in range(N)])
    assert Table(told, **USUAL).facts()["give_population_away"] == ["code", "batch"]
    assert "give the population away" in caplog.text


def test_codes_can_be_read_as_categories():
    data = Table(FRAME, **USUAL, categories=["dose"])
    assert data.feature_names[1:6] == tuple(f"dose={level}" for level in range(5))


def test_file_is_described_by_path_and_checksum(file: Path):
    data = Table(file, **USUAL, shares=(0.5, 0.25, 0.25), split="test")
    description = json.loads(json.dumps(describe(data)))
    again = build(description)
    assert isinstance(again, Table)
    assert (describe(again), repr(again)) == (description, repr(data))
    np.testing.assert_array_equal(again.x, data.x)
    assert data.facts()["files"] == {"study.csv": data.sha256}
    file.write_text(file.read_text().replace("male", "Male"))
    with pytest.raises(ValueError, match=rf"with the SHA-256 {data.sha256}, got \w{{64}}: it has changed since"):
        build(description)


def test_a_table_of_one_population_is_rebuilt(file: Path):
    data = Table(file, leave_out=["id"], split="all")
    again = build(describe(data))
    assert (again.populations, again.population, repr(again)) == ((), None, repr(data))
    np.testing.assert_array_equal(again.x, data.x)


def test_data_frame_is_described_by_checksum():
    data = Table(FRAME, **USUAL)
    description: Any = describe(data)
    assert description["in_memory"] == "Table"
    assert description == describe(Table(FRAME.copy(), **USUAL))
    assert description != describe(Table(FRAME, **USUAL, split="test"))
    assert description != describe(Table(FRAME.replace({"ill": "unwell"}), **USUAL))
    assert "values" not in repr(data)
    with pytest.raises(ValueError, match=r"the run used Table in memory .*pass the same data again"):
        build(description)
    with pytest.raises(ValueError, match="sha256 only with a file"):
        Table(FRAME, **USUAL, sha256="0" * 64)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(tmp_path: Path, separator: str):
    file = tmp_path / "study"
    FRAME.to_csv(file, index=False, sep=separator)
    np.testing.assert_array_equal(Table(file, **USUAL).x, Table(FRAME, **USUAL).x)


def test_marks_of_other_countries_and_programs_are_read(tmp_path: Path):
    text = FRAME.to_csv(index=False, sep=";", decimal=",", lineterminator="\r\n")
    file = tmp_path / "study.csv"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    np.testing.assert_allclose(Table(file, **USUAL, decimal=",").x, Table(FRAME, **USUAL).x, rtol=1e-6)


@pytest.mark.parametrize("compression", [None, "snappy", "gzip"])
def test_parquet_is_read_as_the_frame_it_was(tmp_path: Path, compression: Any):
    frame = FRAME.assign(sex=FRAME["sex"].astype("category"), dose=FRAME["dose"].astype("Int64"))
    frame.index = frame.index * 2  # which pandas writes along
    file = tmp_path / "study.parquet"
    frame.to_parquet(file, compression=compression)
    data = Table(file, **USUAL)
    assert data.feature_names == FEATURES
    np.testing.assert_array_equal(data.x, Table(FRAME, **USUAL).x)


def test_kinds_of_columns_of_a_data_frame():
    kinds: dict[str, Any] = {
        "nullable": pd.array([1, None, 4] * 20, dtype="Int64"),
        "float32": RNG.normal(size=N).astype(np.float32),
        "boolean": pd.array([True, False, None] * 20, dtype="boolean"),
        "text": pd.array(["a", "b", None] * 20, dtype="string"),
        "mixed": [1, 2.5, "3"] * 20,
        "category": pd.Categorical([3, 1, 2] * 20),
    }
    frame = FRAME[["arm"]].assign(**kinds)
    data = Table(frame, population="arm", split="all")
    names = ["nullable", "float32", "boolean=False", "boolean=True", "text=a", "text=b", "mixed"]
    assert data.feature_names == (*names, "category=1", "category=2", "category=3")
    assert np.isnan(data.x[:3]).sum(0).tolist() == [1, 0, 1, 1, 1, 1, 0, 0, 0, 0]


def test_numbers_of_every_size_are_standardised():
    frame = FRAME[["arm"]].assign(
        large=1e300 * RNG.normal(size=N), small=1e-300 * RNG.normal(size=N), far=1e9 + RNG.normal(size=N)
    )
    x = Table(frame, population="arm").x
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, atol=1e-5)


ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "population": ({"population": "arms"}, "a column 'arms' in .*; did you mean 'arm'"),
    "leave_out": ({"leave_out": ["ID"]}, "a column 'ID' in "),
    "label": ({"label": "outcom"}, "a column 'outcom' in .*; did you mean 'outcome'"),
    "categories": ({"categories": ["doses"]}, "a column 'doses' in .*; did you mean 'dose'"),
    "group": ({"group": "ids"}, "a column 'ids' in "),
    "populations": (
        {"populations": ["drug", "placbo"]},
        r"populations among \['drug', 'placebo'\] .*'placbo'; did you mean",
    ),
    "one population": ({"populations": ["drug"]}, r"two distinct populations of column 'arm', got \['drug'\]"),
    "a population twice": ({"populations": ["drug", "drug"]}, r"two distinct populations .*\['drug', 'drug'\]"),
    "populations of nothing": ({"population": None, "populations": ["a", "b"]}, "the column of the populations"),
    "a label for each": ({"label": "id", "leave_out": []}, "classes in column 'id', got 60 different ones in 60 rows"),
    "pattern": ({"group": "id", "group_pattern": "("}, r"a regular expression as group_pattern, got '\('"),
    "pattern that does not match": (
        {"group": "id", "group_pattern": "x"},
        "'id' that begin as group_pattern 'x' says, got 'p0-0' on",
    ),
    "one group": (
        {"group": "id", "group_pattern": "p"},
        "rows of every population in the validation split, .*few groups",
    ),
    "split": ({"split": "dev"}, "split to be one of train, validation, test, got 'dev'"),
    "shares": ({"shares": (1.0, 0.5, 0.0)}, "shares of train, validation, test that sum to 1"),
    "no share": ({"split": "test", "shares": (0.5, 0.5, 0.0)}, "rows of every population in the test split, got none"),
    "separator": ({"separator": ", "}, "one character as separator"),
    "checksum": ({"sha256": "0" * 64}, "with the SHA-256 0000.*, got .*: it has changed since"),
}


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(("changes", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str, file: Path):
    given = {**USUAL, **changes}
    if given.get("group") == "id":
        given = {**given, "leave_out": [], "split": "validation"}
    with pytest.raises(ValueError, match=f"expected .*{message}"):
        Table(file, **given)


FRAMES: dict[str, tuple[Any, str]] = {
    "no file": ("nowhere.csv", "a table .*, got '.*nowhere.csv', which does not exist"),
    "a list": ([[1, 2]], "the path of a table or a pandas data frame, got list"),
    "no rows": (FRAME.iloc[:0], "at least one row in the data frame, got none"),
    "dates": (FRAME.assign(day=pd.Timestamp("2020-01-01")), "booleans or words in column 'day', got datetime64"),
    "lists": (FRAME.assign(many=pd.Series([[1, 2]] * N)), "booleans or words in column 'many', got a list"),
    "complex": (FRAME.assign(z=1j), "booleans or words in column 'z', got complex128"),
    "infinity": (FRAME.assign(dose=np.inf), "finite numbers in column 'dose', got infinity"),
    "twice": (
        pd.concat([FRAME, FRAME[["dose"]]], axis=1),
        r"own for every column of the data frame, got \['dose'\] twice",
    ),
    "no values": (FRAME.assign(dose=np.nan), r"training rows of every column, got none in \['dose'\]"),
    "mixture": (FRAME.assign(dose=[1, "two"] * 30), "column 'dose', got 'two' on row 1 and '1' on row 0"),
}


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(("frame", "message"), FRAMES.values(), ids=FRAMES)
def test_what_is_no_table_is_refused(frame: Any, message: str):
    with pytest.raises(ValueError, match=f"expected .*{message}"):
        Table(frame, **USUAL)


def test_a_value_far_from_all_training_rows_is_refused():
    data = Table(FRAME, **USUAL)
    with pytest.raises(ValueError, match=r"values of column 'dose' near those of the training rows .* on row 2"):
        data.transform(FRAME.assign(dose=np.where(np.arange(N) == 2, 1e300, 1.0)))


def test_a_batch_has_missing_values_and_a_population(file: Path):
    batch = Table(file, **USUAL, split="all").batch(np.array([4, 0]))
    assert batch.x.isnan().tolist() == [[True] + [False] * 5, [False] * 6]
    assert batch.population is not None
    assert batch.population.tolist() == [0, 0]
    assert batch.x.dtype == torch.float32


def test_breast_cancer_as_a_file(tmp_path: Path):
    """30 features of 569 tumours; scikit-learn's own standardisation agrees."""
    bunch: Any = load_breast_cancer(as_frame=True)
    frame = bunch.frame.assign(diagnosis=bunch.target.map(dict(enumerate(bunch.target_names)))).drop(columns="target")
    frame.to_csv(tmp_path / "cancer.csv", index=False)
    data = Table(tmp_path / "cancer.csv", "diagnosis")
    assert (data.shape, data.populations, data.missing) == ((30,), ("benign", "malignant"), False)
    raw = frame.drop(columns="diagnosis").to_numpy()[data.rows]
    np.testing.assert_allclose(data.x, (raw - raw.mean(0)) / raw.std(0), rtol=1e-4, atol=1e-5)
    assert data.held < 60_000


def official() -> Path:
    folder = os.environ.get("UNBRAID_TEST_DATA")
    if not folder or not (Path(folder) / "mice-protein.csv").is_file():
        pytest.skip("UNBRAID_TEST_DATA names no folder with mice-protein.csv: THE REAL TABLE IS NOT TESTED")
    return Path(folder) / "mice-protein.csv"


def test_mice_proteins():
    """1,080 samples of 72 mice x 77 proteins, 1,396 values missing."""
    usual = {"label": "class", "leave_out": ["Treatment", "Behavior"], "group": "MouseID", "group_pattern": "[^_]+"}
    parts = {
        split: Table(official(), "Genotype", **usual, split=split) for split in ("train", "validation", "test", "all")
    }
    assert parts["all"].x.shape == (1080, 77)
    assert int(np.isnan(parts["all"].x).sum()) == 1396
    assert parts["all"].populations == ("Control", "Ts65Dn")
    assert len(parts["all"].classes) == 8
    mice = {split: set((part.rows // 15).tolist()) for split, part in parts.items()}
    assert len(mice["train"]) + len(mice["validation"]) + len(mice["test"]) == len(mice["all"]) == 72
    assert all(len(part) % 15 == 0 for part in parts.values())
