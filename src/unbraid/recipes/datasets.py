"""What data there are: their terms, a look at them, and whether the files are what they should be."""

import difflib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from unbraid.data import Card, Data, FactorData

SHOWN, ROWS = 8, 20
GENERATED = 2000  # of data that are generated, where only some are looked at


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    what: in a few words.
    fine: whether it is as it should be; None where nothing says how it should be.
    detail: what was found, and what was expected.
    """

    what: str
    fine: bool | None
    detail: str


def list_data() -> "list[Card]":
    """List the data sets with their licences, citations and what is downloaded."""
    kinds = catalogue()
    return [kinds[name].card for name in sorted(kinds)]  # type: ignore[misc]


def show_data(name: str, out: Path = Path("contact-sheet.png"), folder: Path | None = None, seed: int = 0) -> Path:
    """Draw some observations of a data set: a row for every factor, population or class.

    Args:
        name: of a data set, as `unbraid data list` prints it.
        out: picture to write; the ending (png, svg, pdf) says which kind.
        folder: where its official files are; default: the folder that UNBRAID_DATA names, else they are downloaded.
        seed: of what is shown.
    """
    import numpy as np

    from unbraid import plots
    from unbraid.data import FactorData

    data = _open(_named(name), folder, chosen={"count": GENERATED, "by": "Male"})
    rng = np.random.default_rng(seed)
    rows = _by_factor(data, rng) if isinstance(data, FactorData) else _by_group(data, rng)
    assert data.card is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    plots.contact_sheet(rows, data.card.title).savefig(out, dpi=200)
    return out


def check_data(name: str, folder: Path | None = None) -> list[Finding]:
    """Check the files of a data set (checksums) and what is read from them (counts, ranges).

    Of data that are generated in any number, 2,000 are made.

    Args:
        name: of a data set, as `unbraid data list` prints it.
        folder: where its official files are; default: the folder that UNBRAID_DATA names, else they are downloaded.
    """
    from unbraid.data import SPLITS

    kind = _named(name)
    splits = SPLITS if "split" in inspect.signature(kind).parameters else (None,)
    parts = {split or "all": _open(kind, folder, split, {"count": GENERATED}) for split in splits}
    findings = [*_files(parts), _counts(parts)]
    return findings + [finding for split, part in parts.items() for finding in _values(split, part)]


def catalogue() -> "dict[str, type[Data]]":
    """Every data set that has a card, by its name."""
    import unbraid.data

    members = [getattr(unbraid.data, name) for name in unbraid.data.__all__]
    kinds = [one for one in members if inspect.isclass(one) and issubclass(one, unbraid.data.Data)]
    return {kind.card.name: kind for kind in kinds if kind.card is not None}


def _named(name: str) -> "type[Data]":
    known = catalogue()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "`unbraid data list` describes them"
        raise ValueError(f"expected a data set out of {', '.join(sorted(known))}, got '{name}'; {hint}")
    return known[name]


def _open(
    kind: "type[Data]", folder: Path | None, split: str | None = None, chosen: dict[str, object] | None = None
) -> "Data":
    takes = inspect.signature(kind).parameters
    if folder is not None and "folder" not in takes:
        raise ValueError(f"expected no folder for {kind.__name__}, which is made and not read, got '{folder}'")
    given = {"folder": folder if folder is None else str(folder), "split": split}
    given |= {key: value for key, value in (chosen or {}).items() if key in takes}
    return kind(**{key: value for key, value in given.items() if value is not None})


def _by_factor(data: "FactorData", rng: "np.random.Generator") -> "dict[str, np.ndarray]":
    """Each factor from its smallest to its largest value, the others in the middle."""
    import numpy as np

    drawn = np.sort(data.sample_factors(1001, rng), axis=0)
    middle = drawn[500]
    rows = {}
    for column, name in enumerate(data.factor_names):
        values = np.unique(drawn[np.linspace(0, 1000, SHOWN).astype(int), column])
        factors = np.repeat(middle[None], len(values), axis=0)
        factors[:, column] = values
        rows[name] = data.sample(factors).numpy()
    return rows


def _by_group(data: "Data", rng: "np.random.Generator") -> "dict[str, np.ndarray]":
    """Some observations of every population, or of every class."""
    import numpy as np

    groups, names = data.population, data.populations
    if groups is None:
        groups, names = data.labels, data.classes
    if groups is None:
        return {"some": data.batch(rng.permutation(len(data))[:SHOWN]).x.numpy()}
    names = names or tuple(map(str, range(int(groups.max()) + 1)))
    chosen = {name: rng.permutation(np.flatnonzero(groups == k))[:SHOWN] for k, name in enumerate(names[:ROWS])}
    return {name: data.batch(np.sort(index)).x.numpy() for name, index in chosen.items() if len(index)}


def _files(parts: "dict[str, Data]") -> list[Finding]:
    """Checksums of what was read, against the official ones."""
    facts = [part.facts() for part in parts.values()]
    if not any("files" in each for each in facts):
        return []
    same = all(bool(each.get("official")) for each in facts)
    card = next(iter(parts.values())).card
    official = {file.name: file.sha256 for file in (card.files if card else ()) if file.sha256}
    read = {str(name): str(sha256) for each in facts for name, sha256 in dict(each.get("files", {})).items()}  # type: ignore[arg-type]
    findings = []
    for name, sha256 in read.items():
        known = official.get(name)
        # a file that was packed anew has another checksum, but may hold what the official one holds
        fine = None if known is None or (same and known != sha256) else known == sha256
        text = "no official one is known" if known is None else f"the official one is {known}"
        findings.append(Finding(f"SHA-256 of {name}", fine, sha256 if fine else f"{sha256}; {text}"))
    content = "as published" if same else "not known to be as published"
    differs = any(finding.fine is False for finding in findings)  # else nobody knows
    return [*findings, Finding("content of the files", same or (False if differs else None), content)]


def _counts(parts: "dict[str, Data]") -> Finding:
    card = next(iter(parts.values())).card
    counts = {split: len(part) for split, part in parts.items()}
    found, expected = sum(counts.values()), card.observations if card else None
    text = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    of = "" if expected is None else f" of {expected:,}"
    return Finding("observations", None if expected is None else found == expected, f"{found:,}{of} ({text})")


def _values(split: str, data: "Data") -> list[Finding]:
    import numpy as np

    index = np.unique(np.linspace(0, len(data) - 1, min(len(data), 2000)).astype(np.int64))
    x = data.batch(index).x.numpy()
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    bounds = data.bounds or (-np.inf, np.inf)
    inside = bounds[0] <= low and high <= bounds[1] and (data.missing or bool(np.isfinite(x).all()))
    found = [Finding(f"{split}: values", inside, f"{low:.3g} to {high:.3g}, shape {tuple(data.shape)}")]
    for kind, of, names in (("population", data.population, data.populations), ("class", data.labels, data.classes)):
        if of is not None and names:
            counts = np.bincount(of, minlength=len(names))
            text = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts.tolist(), strict=True))
            found.append(Finding(f"{split}: observations a {kind}", bool(counts.min() > 0), text))
    return [*found, Finding(f"{split}: bytes in memory", None, f"{data.held:,}")]
