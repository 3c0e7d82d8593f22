"""The page: what is read, drawn and counted, put together and written. Heavy imports wait until it is wanted."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


def report(runs: Sequence[Path | str], out: Path | str) -> Path:
    """Write one HTML page that shows `runs` side by side, and return its path.

    The page needs no network and no other file: pictures first, then every number with how it was computed, then
    arguments and versions. Runs that were not evaluated show their curves only. The same runs give the same page.

    Raises:
        ValueError: no run given, a folder is no run or has nothing to show yet, a file in it is damaged, or `out` is
            a folder.
    """
    from unbraid.report.reading import read
    from unbraid.runs import write_atomically

    out = Path(out)
    if not runs:
        raise ValueError("expected at least one run folder, got none; pass the folders that training wrote")
    if out.is_dir():
        raise ValueError(f"expected a file to write, got the folder '{out}'; name a file such as '{out}/report.html'")
    html = _render(read([Path(run) for run in runs]))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, html.encode())
    return out


def template(name: str, package: str = "unbraid.report") -> "Template":
    """A page's template; those of other packages share the style and the parts of the report."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(one, ".") for one in dict.fromkeys((package, "unbraid.report"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _render(runs: list) -> str:
    from unbraid.report.pictures import compare, sections
    from unbraid.report.tables import facts, measures, overview

    rows = measures(runs)
    return template("page.html.jinja").render(
        runs=runs,
        overview=[overview(run) for run in runs],
        sections=sections(runs),
        comparison=compare(rows, runs),
        measures=rows,
        facts=facts(runs),
    )
