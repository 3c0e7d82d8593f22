"""`make bench`: every part in a process of its own, one after the other, into build/bench.json and build/bench.md.

Each part can be run alone with the same options, and leaves `bench-<part>.json`, a list. A part that fails is named at
the end, and its figures are missing.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from harness import Effort, Entry, asked, rows
from rich.console import Console

PARTS = ("steps", "scaling", "together", "evidence", "gpu", "data", "votes", "dci", "tables")
QUICK = ("steps", "scaling", "data", "votes", "dci", "tables")
HEADINGS = ("what", "ratio", "against", "median (10 % to 90 %)", "of the other", "GFLOP/s", "of the peak")


def main() -> int:
    """Run the parts, put their entries together, say what failed."""
    effort = asked(__doc__)
    effort.out.mkdir(parents=True, exist_ok=True)
    for file in effort.out.glob("bench-*.json"):
        file.unlink()  # nothing of an earlier run among this one's
    parts = QUICK if effort.quick else PARTS
    failed = [name for name in parts if not succeeds(name, effort)]
    files = [effort.out / f"bench-{name}.json" for name in parts]
    entries = [entry for file in files if file.exists() for entry in json.loads(file.read_text())]
    (effort.out / "bench.json").write_text(json.dumps(entries, indent=1))
    (effort.out / "bench.md").write_text(page(entries))
    Console().print(f"{effort.out / 'bench.json'} and {effort.out / 'bench.md'}, {len(entries)} figures")
    if failed:
        Console().print(f"failed, and missing there: {', '.join(failed)}")
    return bool(failed)


def succeeds(name: str, effort: Effort) -> bool:
    """Whether a part, run now, ends well."""
    script = Path(__file__).with_name(f"{name}.py")
    if not script.exists():
        return True
    options = ["--threads", str(effort.threads), "--out", str(effort.out), "--seconds", str(effort.seconds)]
    options += ["--quick"] * effort.quick + ["--full"] * effort.full
    began = time.monotonic()
    Console().rule(name)
    done = subprocess.run([sys.executable, str(script), *options], check=False)
    Console().print(f"{name}: {time.monotonic() - began:.0f} s")
    return done.returncode == 0


def page(entries: list[Entry]) -> str:
    """The figures as a table for the documentation, under the machine they are of."""
    about = next((entry for entry in entries if "machine" in entry), None)
    lines: list[str] = []
    if about:
        of, low, high = about["machine"], about["against_median"], about["median"]
        text = (
            f"{of['cpu']} ({of['capability']}), {of['cores']} cores, {about['threads']} threads, PyTorch {of['torch']}"
        )
        text += f", load {of['load']:.1f} before; matrix products: {low:.0f} GFLOP/s in float32, {high:.0f} in bfloat16"
        lines = [text, ""]
    table = [HEADINGS, ["---"] * len(HEADINGS), *rows(entries)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in table)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
