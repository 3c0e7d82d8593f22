"""What each latent does: traversals, the steps of a sequential pass, KL, correlation with known factors."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from matplotlib.figure import Figure

from unbraid.plots.grid import Grid
from unbraid.plots.style import COLOURS, PALE, panels, styled, wrap

LARGEST_ROWS = 12
LARGEST_BARS = 40


@styled
def traversals(
    images: Float[np.ndarray, "latent value *shape"],
    values: Float[np.ndarray, " value"],
    kl: Float[np.ndarray, " latent"],
    original: Float[np.ndarray, "*shape"] | None = None,
    active: Bool[np.ndarray, " latent"] | None = None,
) -> Figure:
    """One observation decoded with one latent set to each value in turn, one row a latent, largest KL first.

    kl: nats, written beside the row; active: which latents are in use, marked with a filled dot.
    Latents are counted from 1; the 12 of largest KL are shown.
    """
    order = np.argsort(-kl, kind="stable")[:LARGEST_ROWS]
    cells, columns = images[order].astype(np.float64), [f"{value:.2f}".rstrip("0").rstrip(".") for value in values]
    if original is not None:
        first = np.full_like(cells[:, :1], np.nan)
        first[0, 0] = original
        cells, columns = np.concatenate([first, cells], axis=1), ["input", *columns]
    marks = [""] * len(kl) if active is None else [" ●" if one else " ○" for one in active]
    shown = "" if len(order) == len(kl) else f" ({len(order)} of {len(kl)} latents)"
    return Grid(
        cells=cells,
        title=f"One latent varied at a time, by KL{shown}" + ("" if active is None else "; ● active"),
        rows=[f"z{latent + 1}" for latent in order],
        columns=columns,
        right=[f"{kl[latent]:.2f}{marks[latent]}" for latent in order],
        right_title="KL, nats",
    ).figure()


@styled
def steps(
    outputs: Float[np.ndarray, "set step *shape"],
    residuals: Float[np.ndarray, "set step *shape"],
    latents: Int[np.ndarray, " set"],
    value: float,
) -> Figure:
    """Decoder outputs and residuals at every step of a sequential pass, for a few latents set to `value`.

    outputs, residuals: xhat_1..xhat_d and g_1..g_d before the likelihood (logits), any sign, one common scale; colour
    channels are averaged.
    latents: which latent was set in each pair of rows, from 0; its step is framed. At most 12 steps are shown:
    those of the set latents and of the largest outputs.
    """
    chosen = _largest_steps(outputs, latents)
    cells = np.stack([outputs[:, chosen], residuals[:, chosen]], axis=1).astype(np.float64)
    framed = [(row, chosen.tolist().index(latent)) for row, latent in enumerate(latents.tolist())]
    shown = "" if len(chosen) == outputs.shape[1] else f" ({len(chosen)} of {outputs.shape[1]})"
    return Grid(
        cells=cells.reshape(-1, *cells.shape[2:]),
        title=f"Steps of the pass{shown}, one latent set to {value:g}: output and residual, logits",
        rows=[f"z{latent + 1} set\n{kind}" for latent in latents for kind in ("output", "residual")],
        columns=[str(step + 1) for step in chosen],
        boxed=[(2 * row + side, column) for row, column in framed for side in (0, 1)],
        signed=True,
    ).figure()


@styled
def kl_bars(
    blocks: Mapping[str, Float[np.ndarray, " _latent"]],
    active: Mapping[str, Bool[np.ndarray, " _latent"]] | None = None,
) -> Figure:
    """KL divergence to the prior of each latent in nats, one panel a block, largest first.

    active: which latents of a block are in use; the others are pale. At most 40 latents a block are drawn.
    """
    text = "KL of each latent (nats)"
    figure, axes = panels(text, [1.35] * len(blocks))
    for panel, (name, kl) in zip(axes, blocks.items(), strict=True):
        order = np.argsort(-kl, kind="stable")[:LARGEST_BARS]
        used = (active or {}).get(name, np.ones(len(kl), dtype=bool))
        panel.bar(np.arange(len(order)), kl[order], color=[COLOURS[0] if used[one] else PALE for one in order])
        counted = f", {int(used.sum())} of {len(kl)} active" if name in (active or {}) else ""
        panel.set_title(f"{wrap(name, 2.2, lines=1)}: {kl.sum():.3g} in total{counted}")
        every = max(1, -(-len(order) // 14))
        panel.set_xticks(np.arange(0, len(order), every), [f"z{one + 1}" for one in order[::every]])
        panel.set(ylabel="nats", xlim=(-0.6, max(len(order), 8) - 0.4))
        panel.set_ylim(bottom=min(0.0, float(kl.min())), top=float(kl.max()) * 1.05 if kl.max() > 0 else 1.0)
    return figure


@styled
def code_factors(
    codes: Float[np.ndarray, "n latent"], factors: Num[np.ndarray, "n factor"], names: Sequence[str]
) -> Figure:
    """Absolute rank correlation (Spearman) between every latent's code and every known factor.

    Rows are ordered by the factor they follow most, so that one latent per factor looks like a staircase; the 20
    latents of largest correlation are shown. A constant code or factor correlates with nothing (0).
    """
    matrix = rank_correlation(codes, factors)
    kept = np.argsort(-matrix.max(1), kind="stable")[:20]
    kept = kept[np.lexsort((-matrix[kept].max(1), matrix[kept].argmax(1)))]
    shown = "" if len(kept) == len(matrix) else f" ({len(kept)} of {len(matrix)} latents)"
    figure, (axes,) = panels(f"Rank correlation of codes with factors{shown}, absolute", [0.75 + 0.23 * len(kept)])
    axes.imshow(matrix[kept], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(len(kept), len(names)):
        correlation = matrix[kept[row], column]
        colour = "white" if correlation > 0.6 else "#333333"
        axes.text(column, row, f"{correlation:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_yticks(range(len(kept)), [f"z{one + 1}" for one in kept])
    axes.set_xticks(range(len(names)), [wrap(name, 0.8, lines=1) for name in names], rotation=30, ha="right")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def rank_correlation(
    codes: Num[np.ndarray, "n latent"], factors: Num[np.ndarray, "n factor"]
) -> Float[np.ndarray, "latent factor"]:
    """Absolute Spearman correlation in [0, 1]; 0 where a column is constant."""
    left, right = (np.apply_along_axis(_ranks, 0, columns) for columns in (codes, factors))
    left, right = left - left.mean(0), right - right.mean(0)
    scale = np.sqrt(np.outer((left**2).sum(0), (right**2).sum(0)))
    return np.abs(left.T @ right) / np.where(scale > 0, scale, np.inf)


def _ranks(column: Num[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    # ties share their mean rank
    _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _largest_steps(
    outputs: Float[np.ndarray, "set step *shape"], latents: Int[np.ndarray, " set"]
) -> Int[np.ndarray, " chosen"]:
    size = np.abs(outputs).mean(axis=(0, *range(2, outputs.ndim)))
    size[latents] = np.inf
    return np.sort(np.argsort(-size, kind="stable")[: max(LARGEST_ROWS, len(latents))])
