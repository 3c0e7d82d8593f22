"""The best splits of all nodes of all trees of a stage: through histograms, then row by row where it matters."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Integer, Real, Shaped, UInt8
from torch.nn.functional import embedding_bag

_TIE = 1e-4  # relative: gains come from sums in single precision
_NEAR = 0.8  # columns within this share of the best one are searched row by row
_BLOCK = 16  # lines that are summed together
_TAPER = 8  # bins grow by one row every so many rows from an end

PerNode = Float32[np.ndarray, "column node tree"]
Binned = Float32[np.ndarray, "bin column node tree"]


class Columns:
    """Columns sorted once, their places in that order gathered into bins.

    order: the row at each place. values: there. numbers: which distinct value that is. rank: each row's, in turn.
    start: the place where each bin starts, and the end. parted: whether a split is possible inside it.
    width: rows of the fullest bin that is parted; 0 where each value has its bin.
    counts: rows up to the end of each bin.
    """

    def __init__(self, x: Float[np.ndarray, "n column"], bins: int) -> None:
        self.order = np.argsort(x.T, axis=1, kind="stable")
        self.values = np.take_along_axis(x.T, self.order, axis=1)
        changes = np.diff(self.values, axis=1) > 0
        self.numbers = np.pad(np.cumsum(changes, axis=1), ((0, 0), (1, 0)))
        self.rank = np.empty(self.order.shape, np.uint16 if len(x) < 2**16 else np.int32)
        np.put_along_axis(self.rank, self.order, self.numbers.astype(self.rank.dtype), axis=1)
        bin_of = np.stack([_bins(numbers, bins) for numbers in self.numbers])
        self.bins = int(bin_of.max()) + 1
        self.start = np.stack([np.searchsorted(line, np.arange(self.bins + 1)) for line in bin_of])
        edges = np.minimum(self.start, len(x) - 1)
        first, last = edges[:, :-1], np.maximum(self.start[:, 1:] - 1, 0)
        self.parted = np.take_along_axis(self.numbers, last, 1) > np.take_along_axis(self.numbers, first, 1)
        self.width = int(np.diff(self.start, axis=1)[self.parted].max(initial=0))
        self._pad(changes)
        self._prepare(bin_of)

    def _pad(self, changes: Bool[np.ndarray, "column step"]) -> None:
        """Room before the first place, where no row is and no split."""
        self.padded = np.pad(self.order, ((0, 0), (self.width, 0)), constant_values=self.order.shape[1])
        self.splittable = np.pad(changes, ((0, 0), (self.width, 1)))

    def _prepare(self, bin_of: Int[np.ndarray, "column n"]) -> None:
        """The rows of every bin of every column, as sums over them read it."""
        line = bin_of * len(bin_of) + np.arange(len(bin_of))[:, None]
        rows = self.order.ravel()[np.argsort(line, axis=None, kind="stable")]
        self._rows = torch.from_numpy(rows.astype(np.int32))
        within = np.bincount(line.ravel(), minlength=self.bins * len(bin_of))
        self._offsets = torch.from_numpy((np.cumsum(within) - within).astype(np.int32))
        self.counts = within.reshape(self.bins, -1).cumsum(axis=0).astype(np.float32)

    def cumulated(self, weights: Float32[np.ndarray, "n weight"]) -> Float32[np.ndarray, "bin column weight"]:
        """Sums of the weights of all rows up to the end of each bin of each column."""
        sums = embedding_bag(self._rows, torch.from_numpy(weights), self._offsets, mode="sum").numpy()
        return _cumulate(sums.reshape(self.bins, len(self.order), -1))

    def between(
        self, column: Int[np.ndarray, "node tree"], place: Int[np.ndarray, "node tree"], bin_: Int[np.ndarray, "..."]
    ) -> tuple[Int[np.ndarray, "node tree"], Float[np.ndarray, "node tree"]]:
        """The last rank and the value that part rows up to a place from those in a later bin, or later in its own."""
        after = np.maximum(place + 1, self.start[column, np.minimum(bin_, self.bins - 1)])
        low, high = self.values[column, place], self.values[column, np.minimum(after, self.values.shape[1] - 1)]
        middle = low / 2 + high / 2
        return self.numbers[column, place], np.where(middle < high, middle, low)


@dataclass(frozen=True)
class Nodes:
    """The nodes of one level of all trees.

    weights: what is summed, and a last row of zeros that is no one's. rows: the node of each row in each tree.
    sums, counts: of the rows of each node up to the end of each bin of each column.
    """

    columns: Columns
    weights: Float32[np.ndarray, "rows tree"]
    rows: UInt8[np.ndarray, "rows tree"]
    sums: Binned
    counts: Binned

    @classmethod
    def root(cls, columns: Columns, weights: Float32[np.ndarray, "rows tree"]) -> "Nodes":
        """All rows in one node of each tree."""
        rows = np.zeros(weights.shape, np.uint8)
        rows[-1] = 255
        counts = np.repeat(columns.counts[:, :, None, None], weights.shape[1], axis=3)
        return cls(columns, weights, rows, columns.cumulated(weights[:-1])[:, :, None], counts)

    def children(self, node: UInt8[np.ndarray, "tree n"]) -> "Nodes":
        """The next level, given each row's node there: left ones keep their parent's number, all right ones follow."""
        self.rows[:-1] = node.T
        (many, trees), parents = self.weights.shape, self.sums.shape[2]
        both = np.empty((many - 1, 2, parents, trees), np.float32)
        for parent in range(parents):
            inside = self.rows[:-1] == parent
            both[:, 1, parent] = inside
            np.multiply(inside, self.weights[:-1], out=both[:, 0, parent])
        left = self.columns.cumulated(both.reshape(many - 1, -1))
        left = left.reshape(*left.shape[:2], 2, parents, trees)
        sums, counts = _with_right(left[:, :, 0], self.sums), _with_right(left[:, :, 1], self.counts)
        return Nodes(self.columns, self.weights, self.rows, sums, counts)

    def best(
        self, rng: np.random.Generator
    ) -> tuple[
        Int[np.ndarray, "node tree"],
        Integer[np.ndarray, "node tree"],
        Float[np.ndarray, "node tree"],
        Float[np.ndarray, " column"],
    ]:
        """The split of every node: its column, the last rank and value that go left, and what each column gained."""
        total, count = self.sums[-1, 0], self.counts[-1, 0]
        gains = _gains(self.sums, self.counts, total, count)
        edge = gains.argmax(axis=0)
        gain, left = _at(gains, edge), _at(self.counts, edge)
        place = self.columns.start[np.arange(len(edge))[:, None, None], edge + 1] - 1
        if self.columns.width:
            self._refine(edge, gain, place, left)
        top = gain.max(axis=0)
        tied = gain >= top * (1 - _TIE)
        column = (tied * rng.random(tied.shape)).argmax(axis=0)
        place, left = _at(place, column), _at(left, column)
        split = (left > 0) & (left < count)
        shares = tied * (np.where(split, top * count, 0) / tied.sum(axis=0))
        following = (self.counts.reshape(len(self.counts), -1)[:, _flat(column)] <= left).sum(axis=0)
        cut, threshold = self.columns.between(column, place, following)
        rank = self.columns.rank.dtype
        cut = np.where(split, cut, np.iinfo(rank).max).astype(rank)  # with no split, all go left
        return column, cut, np.where(split, threshold, np.inf), shares.sum(axis=(1, 2))

    def _refine(
        self, edge: Int[np.ndarray, "column node tree"], gain: PerNode, place: np.ndarray, left: PerNode
    ) -> None:
        """Replaces what is better inside the bins on both sides of the best edge, or the first and last of a node.

        Elsewhere gains hardly change from edge to edge; at the ends a single row of a rare class makes a split.
        """
        total, count = self.sums[-1, 0], self.counts[-1, 0]
        top = gain.max(axis=0)
        near = gain >= _NEAR * top
        empty, before_end = (part.sum(axis=0, dtype=np.float32) for part in (self.counts == 0, self.counts < count))
        most = (1 + np.abs(total) / np.maximum(count, 1)) ** 2  # a row's square at most: residuals are within -1 and 1
        wanted = []
        for asked, ends in ((edge, False), (edge + 1, False), (empty, True), (before_end, True)):
            bin_ = np.minimum(asked.astype(int), len(self.counts) - 1)
            inside = _at(self.counts, bin_) - np.where(bin_ > 0, _at(self.counts, np.maximum(bin_ - 1, 0)), 0)
            ask = inside * most > top * (count - inside) if ends else near
            ask = ask & (inside > 1) & self.columns.parted[np.arange(len(bin_))[:, None, None], bin_]
            where = np.nonzero(ask)
            wanted.append(np.stack([bin_[where], *where]))
        asks = np.concatenate(wanted, axis=1)
        self._search(asks[0], asks[1], asks[2], asks[3], gain, place, left)

    def _search(
        self,
        bin_: Int[np.ndarray, " ask"],
        column: Int[np.ndarray, " ask"],
        node: Int[np.ndarray, " ask"],
        tree: Int[np.ndarray, " ask"],
        gain: PerNode,
        place: Int[np.ndarray, "column node tree"],
        left: PerNode,
    ) -> None:
        """Tries a split after every row in the named bins, and replaces what is not as good."""
        columns, known = self.columns, (bin_, column, node, tree)
        end = columns.start[column, bin_ + 1] + column * columns.padded.shape[1] + columns.width
        at = end + np.arange(-columns.width, 0)[:, None]
        cell = columns.padded.take(at) * self.weights.shape[1] + tree
        both = np.empty((columns.width, 2, len(bin_)), np.float32)
        sums, counts = both[:, 0], both[:, 1]
        counts[:] = self.rows.take(cell) == node.astype(np.uint8)
        np.multiply(self.weights.take(cell), counts, out=sums)
        _cumulate(both)
        sums += self.sums[known] - sums[-1]  # both end where the bin does
        counts += self.counts[known] - counts[-1]
        found = _gains(sums, counts, self.sums[-1, 0, node, tree], self.counts[-1, 0, node, tree])
        found *= columns.splittable.take(at)
        best = found.max(axis=0)
        better = np.flatnonzero(best > gain[column, node, tree])
        better = better[np.argsort(best[better])]  # of several bins of one column the best is written last
        chosen, where = (found[:, better].argmax(axis=0), better), (column[better], node[better], tree[better])
        gain[where], left[where] = found[chosen], counts[chosen]
        place[where] = at[chosen] % columns.padded.shape[1] - columns.width


def descend(
    columns: Real[np.ndarray, "column n"],
    node: UInt8[np.ndarray, "tree n"],
    column: Int[np.ndarray, "node tree"],
    cut: Real[np.ndarray, "node tree"],
) -> UInt8[np.ndarray, "tree n"]:
    """Each row's node one level on; what is greater than the cut goes right."""
    right = np.zeros(node.shape, bool)
    for number, (which, limit) in enumerate(zip(column, cut, strict=True)):
        right |= (columns[which] > limit[:, None]) & (node == number)
    return node + len(column) * right.astype(np.uint8)


def _bins(numbers: Int[np.ndarray, " n"], bins: int) -> Int[np.ndarray, " n"]:
    """The bin of each place in a sorted column; equal values share one, and a frequent value has one to itself.

    Bins are n / bins rows wide and narrower towards both ends; up to four times as many values have a bin each. They
    are the same for the column with its sign changed.
    """
    within = np.bincount(numbers)
    if len(within) <= 4 * bins:
        return numbers
    width = len(numbers) / bins
    before = np.cumsum(within) - within
    from_end = np.minimum(before, len(numbers) - before - within)
    parts = within / np.clip(from_end / _TAPER, 1, width)
    middle = np.cumsum(parts) - parts / 2
    frequent = within >= width
    changes = np.diff((middle / parts.sum() * np.ceil(parts.sum())).astype(int), prepend=-1) > 0
    return (np.cumsum(frequent | np.append(True, frequent[:-1]) | changes) - 1)[numbers]


def _cumulate(parts: Float32[np.ndarray, "place *rest"]) -> Float32[np.ndarray, "place *rest"]:
    """Running sums along the first axis, in place: by whole lines, several times faster than `np.cumsum`."""
    count = len(parts) // _BLOCK
    blocks = parts[: count * _BLOCK].reshape(count, _BLOCK, *parts.shape[1:])
    for before, line in pairwise(np.moveaxis(blocks, 1, 0)):
        np.add(before, line, out=line)
    for before, block in pairwise(blocks):
        np.add(before[-1], block, out=block)
    for before, line in pairwise(parts[max(count * _BLOCK - 1, 0) :]):
        np.add(before, line, out=line)
    return parts


def _with_right(
    left: Float32[np.ndarray, "bin column parent tree"], parent: Float32[np.ndarray, "bin column parent tree"]
) -> Float32[np.ndarray, "bin column node tree"]:
    """The left nodes and then the right ones, which are their parents without them."""
    parents = parent.shape[2]
    both = np.empty((*parent.shape[:2], 2 * parents, parent.shape[3]), np.float32)
    both[:, :, :parents] = left
    np.subtract(parent, left, out=both[:, :, parents:])
    return both


def _gains(
    sums: Float32[np.ndarray, "place *node"],
    counts: Float32[np.ndarray, "place *node"],
    total: Float32[np.ndarray, "..."],
    count: Float32[np.ndarray, "..."],
) -> Float32[np.ndarray, "place *node"]:
    """Decrease of squared error by a split after each place, over the node's rows; 0 where a side is empty."""
    gain = counts * (total / np.maximum(count, 1))
    np.subtract(sums, gain, out=gain)
    gain *= gain
    gain += 1e-20  # a split that gains nothing is still better than none: its children may gain
    sides = count - counts
    sides *= counts
    np.copyto(sides, np.inf, where=sides == 0)
    gain /= sides
    return gain


def _flat(index: Int[np.ndarray, "*rest"]) -> Int[np.ndarray, "*rest"]:
    return index * index.size + np.arange(index.size).reshape(index.shape)


def _at(values: Shaped[np.ndarray, "line *rest"], index: Int[np.ndarray, "*rest"]) -> Shaped[np.ndarray, "*rest"]:
    """What is on the indexed line, element by element; many times faster than `np.take_along_axis`."""
    return values.take(_flat(index))
