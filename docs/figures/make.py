"""Draw the README's figure from the demo's runs: `python docs/figures/make.py build/demo docs/figures/demo.png`."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

ROWS = {
    "original": "seen",
    "full": "CPVAE",
    "private_only": "private part",
    "shared_only": "shared part",
    "clean": "true digit",
    "background": "true grass",
}


def load(run: Path) -> dict[str, np.ndarray]:
    """The arrays of an evaluated run."""
    with np.load(run / "evaluation" / "arrays.npz", allow_pickle=False) as file:
        return dict(file)


def tiled(images: np.ndarray, gap: int = 2) -> np.ndarray:
    """`[row, column, 1, height, width]` as one picture, white between images, each row on its own scale."""
    rows, columns, _, height, width = images.shape
    sheet = np.ones((rows * (height + gap), columns * (width + gap)))
    for row in range(rows):
        low, high = np.quantile(images[row], (0.005, 0.995))
        for column in range(columns):
            top, left = row * (height + gap), column * (width + gap)
            sheet[top : top + height, left : left + width] = (images[row, column, 0] - low) / (high - low)
    return sheet.clip(0, 1)


def main(demo: Path, out: Path) -> None:
    """Traversals of SR-VAE beside the parts of CPVAE."""
    shapes, digits = load(demo / "sr-vae"), load(demo / "cpvae")
    order = np.argsort(-shapes["kl_per_latent"])
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(9 / 6, 12 / 6))
    traversal = shapes["traversal"][order]
    names = [f"z{latent + 1}  {shapes['kl_per_latent'][latent]:.1f} nats" for latent in order]
    draw(left, tiled(traversal), names, "SR-VAE: one latent set to -2.5 ... 2.5 in each row")
    rows = {key: name for key, name in ROWS.items() if key in digits}
    parts = np.stack([digits[key] for key in rows])
    draw(right, tiled(parts), list(rows.values()), "CPVAE: never shown a digit without grass, or grass without a digit")
    figure.savefig(out, dpi=110, bbox_inches="tight", pad_inches=0.05)


def draw(axes, sheet: np.ndarray, names: list[str], title: str) -> None:
    """A sheet of images with a name for each row."""
    axes.imshow(sheet, cmap="gray", interpolation="nearest")
    axes.set_title(title, fontsize=10, loc="left")
    height = sheet.shape[0] / len(names)
    axes.set_yticks([(row + 0.5) * height for row in range(len(names))], names, fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
