"""The code that README and documentation show does run, as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "metrics").glob("*.md"))
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))


def run(code: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_code_of_the_readme(tmp_path: Path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    run(blocks[0], tmp_path)
    assert (tmp_path / "runs" / "known.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples(example: Path, tmp_path: Path):
    run(example.read_text(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_code_of_a_metric_page(page: Path, tmp_path: Path):
    run("\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)), tmp_path)
