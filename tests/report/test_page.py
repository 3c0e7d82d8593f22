"""What the page says, and what it refuses to be made from."""

import base64
import io
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from unbraid import plots
from unbraid.report import report
from unbraid.report.drawing import DOTS_PER_INCH, png


class Parsed(HTMLParser):
    """Tags, their attributes and the text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data + " "

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


EVERYTHING = ("sequential", "baseline", "hostile")
HEADINGS = {
    "sequential": {
        "Reconstructions",
        "What each latent does",
        "The pass, step by step",
        "KL of each latent",
        "Codes and known factors",
        "Training",
    },
    "cpvae": {
        "Reconstructions",
        "Transfer between populations",
        "Samples",
        "Private codes",
        "KL of each latent",
        "Training",
    },
    "baseline": {"Reconstructions", "KL of each latent", "Training"},
    "curves": {"Training"},
}


@pytest.mark.parametrize("name", HEADINGS)
def test_page_shows_what_the_run_has(page, name):
    html = page(name).read_text()
    headings = set(re.findall(r"<h2[^>]*>(.*?)</h2>", html))
    numbers = {"Numbers"} if name != "curves" else set()
    assert headings == HEADINGS[name] | numbers | {"Arguments and versions"}
    parsed = Parsed(html)
    assert all(image["alt"] and image["src"].startswith("data:image/png;base64,") for image in parsed.all("img"))
    drawings = [attributes for attributes in parsed.all("div") if attributes.get("role") == "img"]
    assert len(drawings) == len(parsed.all("svg"))
    assert all(attributes["aria-label"] for attributes in drawings)


def test_numbers_stand_side_by_side(page):
    text = " ".join(Parsed(page("baseline", "cpvae").read_text()).text.split())
    assert "ARI shared code, digits 0-4 dlib 0.190 0.160 to 0.210 0.050 0.020 to 0.070 0.000 1.000" in text
    assert "ARI private code, digits 0-4 dlib – 0.230 0.200 to 0.250 0.000 1.000 votes 10000, L 64" in text
    assert "CPVAE, alpha 1: seed 0; pruned 2, per factor [0.1, 0.2]" in text
    assert "CrossPopulationVAE · ELBO · Digits" in text
    assert "no bound on log p(x)" in text


def test_arguments_that_differ_are_marked(page):
    html = page("baseline", "cpvae").read_text()
    marked = re.findall(r'<tr class="differs"><th scope="row">(.*?)</th>', html)
    assert {"arguments › latent", "arguments › alpha", "model"} <= set(marked)
    assert "seed" not in marked


def test_hostile_text_stays_text(page):
    html = page(*EVERYTHING).read_text()
    parsed = Parsed(html)
    assert not parsed.all("script")
    assert "<script" not in html
    assert parsed.text.count("<script>alert('x')</script>") > 5
    assert html.count("</svg>") == html.count("<svg")


def test_page_points_nowhere(page):
    html = page(*EVERYTHING).read_text()
    assert "://" not in html
    assert "xmlns" not in html
    parsed = Parsed(html)
    (policy,) = [meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta]
    assert "default-src 'none'" in policy
    for _, attributes in parsed.tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))


def test_identifiers_are_unique_and_references_resolve(page):
    html = page(*EVERYTHING).read_text()
    identifiers = [attributes["id"] for _, attributes in Parsed(html).tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', html)) <= set(identifiers)


def test_the_same_run_gives_the_same_page(page, folders, tmp_path):
    again = report([folders["sequential"]], tmp_path / "deep" / "report.html")
    assert again.read_text() == page("sequential").read_text()
    assert [file.name for file in again.parent.iterdir()] == ["report.html"]


def test_a_page_is_small_and_its_grey_pictures_exact(page):
    file = page(*EVERYTHING)
    assert file.stat().st_size < 3e6
    figure = plots.reconstructions({"original": np.random.default_rng(0).random((8, 1, 28, 28))})
    stored = Image.open(io.BytesIO(base64.b64decode(png(figure).partition(",")[2])))
    assert stored.mode == "P"
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DOTS_PER_INCH)
    difference = np.asarray(stored.convert("RGB"), dtype=int) - np.asarray(Image.open(drawn).convert("RGB"))
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    "missing",
    ["decoder_only", "codes", "traversal_original", "step_residuals", "kl_per_latent", "factor_names", "original"],
)
def test_absent_arrays_leave_figures_out(folders, tmp_path, missing):
    run = tmp_path / "run"
    shutil.copytree(folders["sequential"], run)
    with np.load(run / "evaluation" / "arrays.npz") as stored:
        kept = {name: stored[name] for name in stored.files if name != missing}
    np.savez(run / "evaluation" / "arrays.npz", **kept)
    assert "Training" in report([run], tmp_path / "report.html").read_text()


def test_runs_of_the_same_name_are_told_apart(folders, tmp_path):
    again = tmp_path / "again" / "curves"
    shutil.copytree(folders["curves"], again)
    html = report([folders["curves"], again], tmp_path / "report.html").read_text()
    assert "training (again/curves)" in html


def test_a_line_being_written_is_not_read(folders, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folders["curves"], run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"split": "train", "ste')
    html = report([run], tmp_path / "report.html").read_text()
    assert "Not finished (running)" in html
    assert f"unbraid evaluate {run}" in html


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.jsonl", b"{\n", "one is damaged"),
        ("metrics.jsonl", b"[1]\n", "one is damaged"),
        ("status.json", b"", "one is damaged"),
        ("evaluation/results.json", b"[]", "one is damaged"),
        ("evaluation/results.json", b'{"results": [1]}', "one is damaged"),
        ("evaluation/arrays.npz", b"nothing", "unbraid evaluate"),
        ("run.json", b'{"format": 99}', "format 1"),
    ],
)
def test_damage_is_named(folders, tmp_path, name, content, message):
    run = tmp_path / "run"
    shutil.copytree(folders["sequential"], run)
    (run / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        report([run], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_what_is_no_run_is_refused(folders, tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(ValueError, match="at least one run"):
        report([], out)
    with pytest.raises(ValueError, match=r"run\.json"):
        report([tmp_path / "nowhere"], out)
    with pytest.raises(ValueError, match="unbraid evaluate"):
        report([folders["untrained"]], out)
    with pytest.raises(ValueError, match="expected a file to write"):
        report([folders["curves"]], tmp_path)


def test_importing_the_signature_is_cheap():
    code = """
import sys
import unbraid.report
assert not {"matplotlib", "jinja2", "torch", "numpy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
