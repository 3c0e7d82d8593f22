"""`unbraid data`: terms, contact sheets, checks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unbraid import data, recipes
from unbraid.recipes.datasets import catalogue

GENERATED = ["grassy-digits", "sprites", "vectors"]


def test_every_card_says_whose_data_they_are_and_under_what_terms():
    cards = {card.name: card for card in recipes.list_data()}
    assert {"mnist", "celeba", "sprites", "teapots"} < set(cards)
    for card in cards.values():
        assert card.title
        assert card.licence
        assert card.citation
        for file in card.files:
            assert file.sha256 is None or (len(file.sha256) == 64 and int(file.sha256, 16))
            # what comes over an open line must be known by its checksum
            assert (
                file.url is None or file.url.startswith("https://") or (file.url.startswith("http://") and file.sha256)
            )


def test_names_are_the_cards():
    assert [card.name for card in recipes.list_data()] == sorted(catalogue())
    assert catalogue()["sprites"] is data.Sprites


@pytest.mark.parametrize("name", GENERATED)
def test_a_contact_sheet_shows_something(name: str, tmp_path: Path):
    out = recipes.show_data(name, tmp_path / "deep" / "sheet.png")
    with Image.open(out) as image:
        assert min(image.size) > 200
        assert np.asarray(image.convert("L")).std() > 10


def test_the_same_seed_shows_the_same(tmp_path: Path):
    sheets = [recipes.show_data("sprites", tmp_path / f"{k}.png", seed=seed) for k, seed in enumerate((0, 0))]
    assert sheets[0].read_bytes() == sheets[1].read_bytes()


@pytest.mark.parametrize("name", ["grassy-digits", "vectors"])
def test_generated_data_check_out(name: str):
    findings = recipes.check_data(name)
    assert {finding.fine for finding in findings} <= {True, None}
    assert any("values" in finding.what for finding in findings)


def test_an_unknown_name_is_an_error_with_a_suggestion(tmp_path: Path):
    with pytest.raises(ValueError, match=r"got 'mnst'; did you mean mnist\?"):
        recipes.check_data("mnst")
    with pytest.raises(ValueError, match="which is made and not read"):
        recipes.show_data("sprites", tmp_path / "x.png", tmp_path)
