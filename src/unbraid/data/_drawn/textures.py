"""Grey textures from people's images, and random patches cut from them."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from unbraid.data._files.archives import open_archive
from unbraid.data._files.images import FORMATS, SUFFIXES, decode, hidden
from unbraid.data._split import Split, split_number, stratified

SIDE = 28
SIZES = (SIDE, 1024)
ENLARGED = 4.0  # at most


def grey_textures(path: Path, size: int, split: Split, seed: int) -> UInt8[np.ndarray, "texture size size"]:
    """The largest centred square of each image of a folder or archive that this split has, grey, resized (Lanczos).

    Images are shared out by name and seed, so that no two splits have one in common; hidden files are left out.

    Raises:
        ValueError: nothing readable at `path`, too few images for three splits, one that cannot be decoded or is
            smaller than a patch.
    """
    with open_archive(path) as archive:
        names = sorted(name for name in archive.names() if name.lower().endswith(SUFFIXES) and not hidden(name))
        parts = stratified(np.zeros(len(names), dtype=np.int64), seed)
        if not all(map(len, parts)):
            raise ValueError(
                f"expected at least 6 images ({', '.join(SUFFIXES)}) in '{path}', so that each split has textures of "
                f"its own, got {len(names)}"
            )
        chosen = {names[k] for k in parts[split_number(split)]}
        found = {name: _texture(content, name, size) for name, content in archive.items(chosen)}
    return np.concatenate([found[name] for name in sorted(chosen)])


def cut(
    textures: UInt8[np.ndarray, "texture size size"], where: Float[np.ndarray, "4 n"], scale: tuple[float, float]
) -> UInt8[np.ndarray, "n 28 28"]:
    """A patch for every column of `where`, whose rows say which texture, what scale, and how far down and right.

    where: in [0, 1), each the position within all that is possible; patches begin on whole pixels.
    scale: least and greatest factor by which a texture is enlarged (bilinear, smoothed where it is shrunk).

    Raises:
        ValueError: a scale at which textures are smaller than a patch, or above 4.
    """
    from PIL import Image

    count, size = textures.shape[:2]
    low, high = scale
    if not SIDE / size <= low <= high <= ENLARGED:
        raise ValueError(
            f"expected scale as (least, greatest) from {SIDE / size:.3g} (at which textures of {size} pixels are as "
            f"small as a patch of {SIDE}) to {ENLARGED}, got {tuple(scale)}"
        )
    side = np.minimum(SIDE / (low + (high - low) * where[1]), size)
    which = (where[0] * count).astype(np.int64)
    top, left = (where[2:] * np.floor(size - side + 1)).astype(np.int64)
    images = [Image.fromarray(texture) for texture in textures]
    patches = np.empty((where.shape[1], SIDE, SIDE), dtype=np.uint8)
    for k, (number, y, x, wide) in enumerate(zip(which, top, left, side, strict=True)):
        patches[k] = images[number].resize((SIDE, SIDE), Image.Resampling.BILINEAR, (x, y, x + wide, y + wide))
    return patches


def _texture(content: bytes, name: str, size: int) -> UInt8[np.ndarray, "1 size size"]:
    from PIL import Image

    texture = decode(content, name, (size, size), 1)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if min(image.size) < SIDE:
            raise ValueError(
                f"expected textures of at least {SIDE} x {SIDE} pixels, got {image.size[0]} x {image.size[1]} in "
                f"'{name}'; take it away"
            )
    return texture
