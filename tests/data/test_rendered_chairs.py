"""3D Chairs in their official layout, drawn small."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unbraid.configuration import build, describe
from unbraid.data._split import Split
from unbraid.data.rendered_chairs import RENDERING, Chairs

AZIMUTHS = (0, 11, 23, 348)
MODELS = tuple(f"{n:x}" * 8 for n in range(1, 11))


def official(at: Path, models: Sequence[str] = MODELS, skip: Sequence[str] = ()) -> Path:
    """White renderings with a square whose red says the model, green the azimuth and blue the elevation."""
    for number, model in enumerate(models):
        renders = at / "rendered_chairs" / model / "renders"
        renders.mkdir(parents=True)
        for view in range(8):
            azimuth, elevation = AZIMUTHS[view % 4], 20 + 10 * (view // 4)
            image = Image.new("RGB", (60, 60), "white")
            image.paste((20 * number, azimuth // 2, 5 * elevation), (15, 15, 45, 45))
            name = f"image_{view:03d}_p{elevation:03d}_t{azimuth:03d}_r096.png"
            if f"{model}/{name}" not in skip:
                image.save(renders / name)
    (at / "rendered_chairs" / "all_chair_names.mat").write_bytes(b"matlab")
    return at


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return official(tmp_path_factory.mktemp("chairs"))


def test_names_say_what_is_shown(folder: Path):
    seen: list[int] = []
    expected: dict[Split, int] = {"train": 7, "validation": 1, "test": 2}
    for split, models in expected.items():
        data = Chairs(split, 16, folder=folder)
        assert data.labels is not None
        assert len(data) == 8 * models
        assert data.classes == tuple(sorted(MODELS))
        number = np.array([MODELS.index(data.classes[label]) for label in data.labels])
        shown = data.batch(np.arange(len(data))).x[:, :, 8, 8].numpy() * 255
        assert np.abs(shown - np.stack([20 * number, data.azimuth // 2, 5 * data.elevation], axis=1)).max() < 1.5
        seen += sorted(set(data.labels.tolist()))
    assert sorted(seen) == list(range(10))  # every model in one part


def test_crop_and_channels(folder: Path):
    grey = Chairs("train", 40, 1, folder=folder)
    assert grey.shape == (1, 40, 40)
    dark = grey.batch(np.arange(1)).x[0, 0] < 0.7
    assert dark.sum() == 30 * 30  # of 60, of which 40 are left
    whole = Chairs("train", 60, 1, 1.0, folder).batch(np.arange(1)).x[0, 0] < 0.7
    assert whole.sum() == 30 * 30


def test_an_archive_is_read_as_well(folder: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "rendered_chairs.tar", "w") as archive:  # told by its content, not its name
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    packed, unpacked = Chairs("train", 16, folder=tmp_path), Chairs("train", 16, folder=folder)
    assert torch.equal(packed.batch(np.arange(56)).x, unpacked.batch(np.arange(56)).x)
    assert packed.facts()["complete"] is True
    again = build(describe(packed))
    assert repr(again) == repr(packed)


def test_too_few_models_for_every_part_raise(tmp_path: Path):
    few = official(tmp_path, MODELS[:5])
    assert len(Chairs("train", 16, folder=few)) == 32
    with pytest.raises(ValueError, match="chairs in the validation part, got none of 5"):
        Chairs("validation", 16, folder=few)


def test_missing_views_are_told(tmp_path: Path):
    data = Chairs(folder=official(tmp_path, skip=[f"{MODELS[3]}/image_000_p020_t000_r096.png"]), size=16)
    facts = data.facts()
    assert (facts["models"], facts["images"], facts["complete"]) == (10, 79, False)


def test_other_trees_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"'rendered_chairs\.tar' of 3D Chairs .*www\.di\.ens\.fr"):
        Chairs(folder=tmp_path)
    official(tmp_path, MODELS[:3])
    with pytest.raises(ValueError, match=r"at least 4 models in .* got 3 models"):
        Chairs(folder=tmp_path)


def test_a_view_that_comes_twice_is_refused(tmp_path: Path):
    renders = official(tmp_path) / "rendered_chairs" / MODELS[2] / "renders"
    (renders / "image_077_p020_t011_r096.png").write_bytes((renders / "image_001_p020_t011_r096.png").read_bytes())
    with pytest.raises(ValueError, match=f"elevation 20 and azimuth 11 of '{MODELS[2]}' 2 times"):
        Chairs(folder=tmp_path)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1, float("nan")])
def test_share_must_be_one(share: Any, folder: Path):
    with pytest.raises(ValueError, match="expected share above 0 and at most 1"):
        Chairs(share=share, folder=folder)


@given(
    above=st.sampled_from(["", "rendered_chairs/", "a/b/"]),
    model=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1),
    numbers=st.tuples(*[st.integers(0, 999)] * 4),
)
def test_official_names_are_read(above: str, model: str, numbers: tuple[int, ...]):
    name = "{}{}/renders/image_{:03d}_p{:03d}_t{:03d}_r{:03d}.png".format(above, model, *numbers)
    match = RENDERING.fullmatch(name)
    assert match
    assert match.groups() == (model, f"{numbers[1]:03d}", f"{numbers[2]:03d}")
    assert RENDERING.fullmatch(name + "x") is None
    assert RENDERING.fullmatch(name.replace("renders", "other")) is None or "renders" in model


@given(content=st.text())
def test_other_names_are_not(content: str):
    assert RENDERING.fullmatch(content) is None
    assert RENDERING.fullmatch(f"model/renders/image_{content}.png") is None


def test_pixels_may_be_of_any_kind_that_is_read(tmp_path: Path):
    at = official(tmp_path)
    stream = io.BytesIO()
    Image.new("LA", (60, 60), (10, 0)).save(stream, "PNG")
    (at / "rendered_chairs" / MODELS[0] / "renders" / "image_000_p020_t000_r096.png").write_bytes(stream.getvalue())
    parts = [Chairs(split, 16, folder=at) for split in ("train", "validation", "test")]
    x = torch.cat([part.batch(np.arange(len(part))).x for part in parts])
    assert (x.flatten(1).min(1).values == 1).sum() == 1  # transparent: white
