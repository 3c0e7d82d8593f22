"""Several seeds of one recipe: which features do their parts agree on, and what would be found by chance?"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas

    from unbraid.metrics import Result
    from unbraid.runs import Run

Row = dict[str, Any]
SHUFFLED, TOGETHER = "shuffle_populations", "all populations together"


@dataclass(frozen=True)
class Stability:
    """What several runs say of the features, and where it was written.

    results: agreement of the runs in each population, and of the runs with shuffled populations if there are two.
    rows: one for each population and feature, the largest mean first, as in the table.
    table, picture: the files.
    """

    results: "list[tuple[str, Result]]"
    rows: list[Row]
    table: Path
    picture: Path


def stability(runs: Sequence[Path], out: Path, by: str = "gain_nats", top: int = 20) -> Stability:
    """Say which features the parts of a model explain under every seed, from evaluated runs of one recipe.

    Runs with `shuffle_populations` are the null: what a part claims where populations mean nothing. The table has for
    each population and feature the mean over seeds with its 95% interval (Student's t), in how many runs the feature
    was judged, in how many it is among the first, the mean and the largest value in the null, and in how many runs it
    exceeds the largest null value of any feature that all runs have; then the means of what else the runs' tables hold.

    Args:
        runs: folders of evaluated runs, at least two that are not shuffled.
        out: folder for features.csv and features.png.
        by: column of the runs' evaluation/features.csv that orders the features, the largest first. Of those that end
            in _together all populations have the same values.
        top: how many features of a run count as first.

    Raises:
        ValueError: fewer than two runs, one without a table of features or such a column, seeds that come twice, or
            runs that differ in more than seed and shuffling.
    """
    from unbraid.plots import feature_seeds
    from unbraid.runs import Run

    opened = [Run(path) for path in runs]
    _check_same(opened)
    real_runs, null_runs = ([run for run in opened if shuffled(run) == null] for null in (False, True))
    values, nulls = _values(real_runs, by), _values(null_runs, by)
    others = _others(real_runs, by)
    table: list[Row] = []
    results: list[tuple[str, Result]] = []
    for name, real in values.items():
        rows = _rows(name, real, nulls.get(name), top)
        table += [{**row, **others[name, str(row["feature"])]} for row in rows]
        results += _agreement(name, real, nulls.get(name), top)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "features.csv", table)
    panels = {name: _panel(real, nulls.get(name)) for name, real in values.items()}
    feature_seeds(panels, by.replace("_", " ")).savefig(out / "features.png", dpi=110)
    return Stability(results, table, out / "features.csv", out / "features.png")


def _values(runs: "Sequence[Run]", by: str) -> "dict[str, pandas.DataFrame]":
    """Population to what each run (columns) says of each feature (rows); NaN where it did not have the feature."""
    import pandas

    tables = [_read(run, by) for run in runs]
    found = {}
    for population in tables[0]["population"].unique() if tables else ():
        of = [table[table["population"] == population].set_index("feature")[by] for table in tables]
        name = TOGETHER if by.endswith("_together") else str(population)
        found[name] = pandas.concat(of, axis=1, keys=range(len(of)))
    return found


def _rows(name: str, real: "pandas.DataFrame", null: "pandas.DataFrame | None", top: int) -> list[Row]:
    """What the runs say of each feature, the largest mean first, those that all runs have before the others."""
    import numpy as np
    from scipy import stats

    count = real.count(axis=1)
    mean, error = real.mean(axis=1), real.std(axis=1) / np.sqrt(count)
    half = error * stats.t.ppf(0.975, np.maximum(count - 1, 1))
    first = (real.rank(ascending=False) <= top).sum(axis=1)
    order = sorted(real.index, key=lambda feature: (-count[feature], -mean[feature]))
    limit = None if null is None else np.nanmax(null.reindex(real.dropna().index).to_numpy())
    rows = []
    for rank, feature in enumerate(order, 1):
        row: Row = {"population": name, "rank": rank, "feature": str(feature), "mean": float(mean[feature])}
        row |= {"low": float(mean[feature] - half[feature]), "high": float(mean[feature] + half[feature])}
        row |= {"runs": int(count[feature]), f"in_first_{top}": int(first[feature])}
        if null is not None:
            here = null.loc[feature] if feature in null.index else null.iloc[:0].max()
            row |= {"null_mean": float(here.mean()), "null_largest": float(here.max())}
            row["beyond_null"] = int((real.loc[feature] > limit).sum())
        rows.append(row)
    return rows


def _agreement(
    name: str, real: "pandas.DataFrame", null: "pandas.DataFrame | None", top: int
) -> "list[tuple[str, Result]]":
    """Agreement of the runs on the features that all of them have."""
    from unbraid.metrics import rank_stability

    found = []
    for subject, table in ((name, real), (f"{name}, shuffled", null)):
        if table is not None and table.shape[1] > 1:
            shared = table.dropna().to_numpy().T
            found += [(subject, result) for result in rank_stability(shared, min(top, shared.shape[1])).values()]
    return found


def _panel(real: "pandas.DataFrame", null: "pandas.DataFrame | None") -> "tuple[list[str], np.ndarray, np.ndarray]":
    """Features, their values and those of the null, for the picture: those that all runs have."""
    import numpy as np

    shared = real.dropna()
    none = np.zeros((len(shared), 0))
    beside = none if null is None else null.reindex(shared.index).to_numpy()
    return [str(feature) for feature in shared.index], shared.to_numpy(), beside


def _others(runs: "Sequence[Run]", by: str) -> dict[tuple[str, str], Row]:
    """Means over the runs of what else their tables say, by population and feature."""
    import pandas

    every = pandas.concat([_read(run, by) for run in runs])
    kept = [name for name in every.columns if not name.endswith(("_low", "_high", "_by_chance")) and name != by]
    every = every[kept].drop(columns="rank")
    if by.endswith("_together"):
        every = every[["feature", *(name for name in kept if name.endswith("_together"))]].assign(population=TOGETHER)
    means = every.groupby(["population", "feature"]).mean()
    rows = zip(means.index, means.to_numpy().tolist(), strict=True)
    return {key: dict(zip(means.columns, row, strict=True)) for key, row in rows}


def _read(run: "Run", by: str) -> "pandas.DataFrame":
    """A run's table of features.

    Raises:
        ValueError: there is none, or it has no such column.
    """
    import pandas

    file = run.path / "evaluation" / "features.csv"
    if not file.is_file():
        raise ValueError(
            f"expected '{file}', got none; `unbraid evaluate {run.path}` makes it, of a cpvae or contrastive model on "
            "named features"
        )
    with file.open(newline="") as text:
        columns = next(csv.reader(text))
    numbers = [name for name in columns if name not in ("population", "rank", "feature")]
    table = pandas.read_csv(
        file,
        float_precision="round_trip",
        dtype={"population": str, "feature": str},  # names may look like numbers
        keep_default_na=False,
        na_values={name: ["nan"] for name in numbers},
    )
    if by not in numbers:
        raise ValueError(f"expected a column of '{file}', which are {', '.join(numbers)}, got '{by}'")
    return table


def _check_same(runs: "Sequence[Run]") -> None:
    """Refuse runs that seeds alone do not tell apart.

    Raises:
        ValueError: too few runs, seeds that come twice, or other differences.
    """
    kinds = [(shuffled(run), run.record["seed"]) for run in runs]
    real = sum(not null for null, _ in kinds)
    if real < 2:
        raise ValueError(f"expected at least two runs that are not shuffled, got {real}; train more seeds")
    twice = [seed for null, seed in kinds if kinds.count((null, seed)) > 1]
    if twice:
        raise ValueError(f"expected runs of different seeds, got seed {twice[0]} twice; name each run once")
    first = _told(runs[0])
    for run in runs[1:]:
        differing = {name: value for name, value in _told(run).items() if first.get(name) != value}
        if differing:
            raise ValueError(
                f"expected runs that differ in seed and shuffle_populations alone, but '{run.path}' has {differing} "
                f"and '{runs[0].path}' { ({name: first.get(name) for name in differing}) }"
            )


def _told(run: "Run") -> dict[str, object]:
    """How a run was made, but for what runs may differ in."""
    arguments = {name: value for name, value in run.record.get("arguments", {}).items() if name != SHUFFLED}
    training = {name: value for name, value in run.record["training"].items() if name != "seed"}
    return {"recipe": run.record.get("recipe"), **arguments, "training": training}


def shuffled(run: "Run") -> bool:
    """Whether the run's populations mean nothing."""
    return bool(run.record.get("arguments", {}).get(SHUFFLED, False))


def _write(file: Path, rows: Sequence[Row]) -> None:
    from unbraid.runs import write_atomically

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, text.getvalue().encode())
