"""Gradient-boosted classification trees, those of all classes grown at once, for the importance of each column."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real, UInt8

from unbraid.metrics._splitting import Columns, Nodes, descend


@dataclass(frozen=True)
class Trees:
    """A fitted classifier; with two classes its trees are those of the second alone.

    kinds: the classes, in order.
    prior: log prior of each class, or the log odds of the second of two.
    column, threshold: of every split, level by level; values up to the threshold go left.
    value: what each leaf adds to the score of its class.
    importance: decrease of squared error by the splits of each column, as shares; all 0 where nothing was split.
    fitted: the class of each row that it was fitted on, as `predict` gives it.
    """

    kinds: Int[np.ndarray, " kind"]
    prior: Float[np.ndarray, " tree"]
    column: Int[np.ndarray, "stage split tree"]
    threshold: Float[np.ndarray, "stage split tree"]
    value: Float[np.ndarray, "stage tree leaf"]
    importance: Float[np.ndarray, " column"]
    fitted: Int[np.ndarray, " n"]

    def predict(self, x: Float[np.ndarray, "n column"]) -> Int[np.ndarray, " n"]:
        """The class of every row."""
        tried = [np.unique(self.threshold[self.column == column]) for column in range(x.shape[1])]
        rank = np.stack([np.searchsorted(*pair) for pair in zip(tried, x.T, strict=True)]).astype(np.int32)
        cuts = np.zeros(self.threshold.shape, np.int32)
        for column, values in enumerate(tried):
            own = self.column == column
            cuts[own] = np.searchsorted(values, self.threshold[own])
        scores = np.repeat(self.prior[:, None], len(x), axis=1)
        for column, cut, value in zip(self.column, cuts, self.value, strict=True):
            scores += _per_row(value, _leaves(rank, column, cut))
        return self.kinds[_decided(scores)]


def boosted(
    x: Float[np.ndarray, "n column"],
    y: Int[np.ndarray, " n"],
    stages: int = 100,
    depth: int = 3,
    rate: float = 0.1,
    bins: int = 256,
    seed: int = 0,
) -> Trees:
    """Gradient boosting of the multinomial deviance (Friedman 2001, algorithm 6), as scikit-learn defaults to it.

    A stage fits one regression tree a class to indicator minus probability, by greatest decrease of squared error,
    and sets its leaves by one Newton step, times (classes - 1) / classes. Where scikit-learn tries every threshold,
    a column's bins are searched first and then every threshold in the two bins beside the best edge. Equally good
    columns share the importance of the split, and one of them, drawn at random, makes it.

    Args:
        x: finite values.
        y: classes.
        stages: trees a class.
        depth: splits between root and leaf.
        rate: factor that each tree is added with.
        bins: about how many a column has; with as many as it has values, every threshold is tried.
        seed: of the choice between equally good columns.
    """
    kinds, y = np.unique(y, return_inverse=True)
    shares = np.bincount(y) / len(y)
    prior = np.log(shares[1:] / shares[:1]) if len(kinds) == 2 else np.log(shares)
    scale = rate * (1 if len(kinds) == 2 else (len(kinds) - 1) / len(kinds))
    columns, rng = Columns(x, bins), np.random.default_rng(seed)
    scores = np.repeat(prior[:, None], len(y), axis=1)
    stages, splits = stages if len(kinds) > 1 else 0, (2**depth - 1, len(prior))
    gains, column = np.zeros(x.shape[1]), np.zeros((stages, *splits), int)
    threshold, value = np.zeros((stages, *splits)), np.zeros((stages, len(prior), 2**depth))
    for stage in range(stages):
        residual, curvature = _derivatives(scores, y)
        column[stage], threshold[stage], leaf, gain = _grow(columns, residual, depth, rng)
        value[stage] = scale * _newton(residual, curvature, leaf, 2**depth)
        scores += _per_row(value[stage], leaf)
        gains += gain
    return Trees(kinds, prior, column, threshold, value, gains / (gains.sum() or 1), kinds[_decided(scores)])


def _decided(scores: Float[np.ndarray, "tree n"]) -> Int[np.ndarray, " n"]:
    return scores.argmax(axis=0) if len(scores) > 1 else (scores[0] > 0).astype(np.int64)


def _derivatives(
    scores: Float[np.ndarray, "tree n"], y: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "tree n"], Float[np.ndarray, "tree n"]]:
    """Negative gradient of the deviance in the scores, and the diagonal of its Hessian."""
    if len(scores) == 1:
        shifted = np.exp(-np.abs(scores))
        probability = np.where(scores > 0, 1, shifted) / (1 + shifted)
        return y - probability, probability * (1 - probability)
    residual = scores - scores.max(axis=0)
    np.exp(residual, out=residual)
    residual /= -residual.sum(axis=0)  # minus the probability
    curvature = residual * residual
    curvature += residual
    np.negative(curvature, out=curvature)
    residual[y, np.arange(len(y))] += 1
    return residual, curvature


def _newton(
    residual: Float[np.ndarray, "tree n"],
    curvature: Float[np.ndarray, "tree n"],
    leaf: UInt8[np.ndarray, "tree n"],
    leaves: int,
) -> Float[np.ndarray, "tree leaf"]:
    """Each leaf's one step: the sum of the residuals over that of the curvatures."""
    trees = len(residual)
    cell = (leaf + leaves * np.arange(trees)[:, None]).ravel()
    above, below = (np.bincount(cell, part.ravel(), leaves * trees) for part in (residual, curvature))
    return np.divide(above, below, out=np.zeros_like(above), where=below > 1e-150).reshape(trees, leaves)


def _grow(
    columns: Columns, residual: Float[np.ndarray, "tree n"], depth: int, rng: np.random.Generator
) -> tuple[
    Int[np.ndarray, "split tree"],
    Float[np.ndarray, "split tree"],
    UInt8[np.ndarray, "tree n"],
    Float[np.ndarray, " column"],
]:
    """A tree for each line of residuals: columns and thresholds of their splits, each row's leaf, and gains."""
    weights = np.zeros((residual.shape[1] + 1, len(residual)), np.float32)
    weights[:-1] = residual.T
    node, gains, splits = np.zeros(residual.shape, np.uint8), np.zeros(len(columns.order)), []
    nodes = Nodes.root(columns, weights)
    for level in range(depth):
        nodes = nodes.children(node) if level else nodes
        column, cut, threshold, gain = nodes.best(rng)
        node = descend(columns.rank, node, column, cut)
        gains += gain
        splits.append((column, threshold))
    column, threshold = (np.concatenate(part) for part in zip(*splits, strict=True))
    return column, threshold, node, gains


def _leaves(
    columns: Real[np.ndarray, "column n"],
    column: Int[np.ndarray, "split tree"],
    cut: Int[np.ndarray, "split tree"],
) -> UInt8[np.ndarray, "tree n"]:
    """The leaf of each row in each tree, as `_grow` numbers them."""
    node, first = np.zeros((column.shape[1], columns.shape[1]), np.uint8), 0
    while first < len(column):
        level = slice(first, 2 * first + 1)
        node, first = descend(columns, node, column[level], cut[level]), 2 * first + 1
    return node


def _per_row(value: Float[np.ndarray, "tree leaf"], leaf: UInt8[np.ndarray, "tree n"]) -> Float[np.ndarray, "tree n"]:
    """What each row's leaf adds."""
    return value.take(leaf + value.shape[1] * np.arange(len(value))[:, None])
