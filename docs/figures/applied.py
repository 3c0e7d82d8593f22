"""Draw the figures of the applied examples from their sweeps: `python docs/figures/applied.py runs docs/figures`.

`runs` holds the folders that the commands of docs/examples-mice.md and docs/examples-cells.md make.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats

from unbraid.plots import explained_dots
from unbraid.recipes import stability

CELLS = ["ISG15", "IFI6", "IFIT1", "IFIT3", "MX1", "CXCL10", "CD3D", "GNLY", "CD79A", "LYZ"]
MICE = [
    "SOD1_N",
    "CaNA_N",
    "pPKCAB_N",
    "pCAMKII_N",
    "pERK_N",
    "BRAF_N",
    "DYRK1A_N",
    "ITSN1_N",
    "pNUMB_N",
    "APP_N",
    "NR1_N",
    "P38_N",
]
GENES = ["APP_N", "S6_N", "TIAM1_N", "ITSN1_N", "SOD1_N", "AcetylH3K9_N", "pPKCG_N", "ERK_N"]
DOTS = 110


def judged(sweep: Path) -> list[Path]:
    """The runs of a sweep."""
    return sorted(file.parent.parent for file in sweep.glob("*/seed-*/evaluation/features.csv"))


def tables(sweep: Path) -> list[pd.DataFrame]:
    """What each run with true populations says of the features."""
    true = [run for run in judged(sweep) if "shuffle_populations=false" in run.parts]
    return [pd.read_csv(run / "evaluation" / "features.csv") for run in true]


def parts(sweep: Path, names: list[str]) -> Figure:
    """Shares of variance of some features: mean and 95% interval over seeds, within each population and together."""
    runs = tables(sweep)
    populations = sorted(runs[0]["population"].unique())
    places = [(name, "") for name in populations] + [(populations[0], "_together")]
    found = {}
    for part, label in (("shared", "shared part"), ("private", "private part"), ("both", "both")):
        columns = [(name, f"variance_{part}{end}") for name, end in places]
        values = np.array([[_values(run, name, column, names) for name, column in columns] for run in runs])
        half = stats.t.ppf(0.975, len(runs) - 1) * values.std(0, ddof=1) / np.sqrt(len(runs))
        found[label] = np.stack([values.mean(0), values.mean(0) - half, values.mean(0) + half], axis=-1)
    as_listed = np.tile(-np.arange(len(names), dtype=float), (len(places), 1))
    return explained_dots(names, found, [*map(str, populations), "all populations together"], as_listed)


def _values(run: pd.DataFrame, population: str, column: str, names: list[str]) -> list[float]:
    return run[run["population"] == population].set_index("feature")[column].loc[names].tolist()


def main(runs: Path, out: Path) -> None:
    """All figures, each a palette PNG."""
    for sweep, names in (("ifnb", CELLS), ("behavior", MICE), ("genotype", GENES)):
        parts(runs / sweep, names).savefig(out / f"{sweep}-parts.png", dpi=DOTS)
    for sweep, by in (("ifnb", "variance_private_together"), ("genotype", "gain_nats")):
        picture = stability(judged(runs / sweep), runs / sweep / "stability", by).picture
        (out / f"{sweep}-seeds.png").write_bytes(picture.read_bytes())
    for file in [*out.glob("ifnb-*.png"), *out.glob("genotype-*.png"), *out.glob("behavior-*.png")]:
        Image.open(file).convert("RGB").quantize(64).save(file, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
