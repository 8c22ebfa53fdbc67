"""Random cut trees: many at once, as flat arrays."""

from dataclasses import dataclass, replace

import numpy as np

from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray, IntArray

_LEAF = -1
_NEGLIGIBLE = 1e-4
"""Where a point gets to with less probability than this is not looked at: of 256 points it would displace 0.03."""


@dataclass(frozen=True, eq=False)
class Forest:
    """The nodes of all trees; the first ones are the roots, in the order of the trees."""

    lower: FloatArray
    """[nodes × dimensions]: the corner of the box that bounds the points below a node."""
    upper: FloatArray
    """[nodes × dimensions]: the opposite corner."""
    size: IntArray
    """[nodes]: how many points are below."""
    shared: FloatArray
    """[nodes]: the most that a point displaces which gets here, of the nodes from here up to the root; 0 for a root."""
    axis: IntArray
    """[nodes]: the dimension that a node cuts; -1 for one that is not cut."""
    cut: FloatArray
    """[nodes]: points up to it go left."""
    left: IntArray
    """[nodes]: the left child; the right one follows it."""


def grow(points: FloatArray, tree: IntArray, rng: np.random.Generator) -> Forest:
    """Draw one random cut tree over each set of points.

    Source: Guha, Mishra, Roy & Schrijvers, Robust Random Cut Forest Based Anomaly Detection on Streams (ICML 2016). A
    dimension is drawn with a probability proportional to the side of the bounding box, a cut evenly inside that side,
    and both parts are cut on until they hold one point, or equal ones. A part with no more points than its `shared` is
    not cut either: nothing below it could be displaced that counts more.

    Args:
        points: `[points × dimensions]`, finite, in the order of their trees, at least one.
        tree: `[points]`, which tree each is in, from 0 without gaps.
        rng: draws dimensions and cuts.
    """
    levels: list[Forest] = []
    node, nodes = tree, 0
    shared = np.zeros(int(tree[-1]) + 1)
    while node.size:
        level, right = _level(points, node, shared, rng)
        nodes += level.axis.size
        splits = level.axis != _LEAF
        child = 2 * (np.cumsum(splits) - 1)
        levels.append(replace(level, left=np.where(splits, nodes + child, 0)))
        going = np.flatnonzero(splits[node])
        target = child[node[going]] + right[going]
        order = np.argsort(target, kind="stable")
        points, node = points[going[order]], target[order]
        pairs = np.bincount(node).reshape(-1, 2)
        shared = np.maximum(level.shared[splits, None], pairs[:, ::-1] / (pairs + 1.0)).ravel()
    return _joined(levels)


def _level(
    points: FloatArray, node: IntArray, shared: FloatArray, rng: np.random.Generator
) -> tuple[Forest, BoolArray]:
    """One level of nodes, still without children, and `[points]` which of them lie right of their node's cut.

    Args:
        points: `[points × dimensions]`.
        node: `[points]`, ascending.
        shared: `[nodes]`.
        rng: draws dimensions and cuts.
    """
    size = np.bincount(node)
    starts = np.cumsum(size) - size
    lower, upper = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    sides = upper - lower
    reach = np.cumsum(sides, axis=1)
    where, how_far = rng.random((2, size.size))
    # Rounding may point past the last side, or to one of length 0: the longest takes its place then.
    axis = np.minimum(np.count_nonzero(reach <= (where * reach[:, -1])[:, None], axis=1), points.shape[1] - 1)
    row = np.arange(size.size)
    axis = np.where(sides[row, axis] > 0, axis, sides.argmax(axis=1))
    low, high = lower[row, axis], upper[row, axis]
    cut = low + how_far * (high - low)
    cut = np.where(cut < high, cut, low)
    right = points[np.arange(node.size), axis[node]] > cut[node]
    axis = np.where((reach[:, -1] > 0) & (size > shared), axis, _LEAF)
    return Forest(lower, upper, size, shared, axis, cut, np.zeros_like(axis)), right


def _joined(levels: list[Forest]) -> Forest:
    return Forest(
        lower=np.concatenate([level.lower for level in levels]),
        upper=np.concatenate([level.upper for level in levels]),
        size=np.concatenate([level.size for level in levels]),
        shared=np.concatenate([level.shared for level in levels]),
        axis=np.concatenate([level.axis for level in levels]),
        cut=np.concatenate([level.cut for level in levels]),
        left=np.concatenate([level.left for level in levels]),
    )


def displacement(forest: Forest, root: IntArray, points: FloatArray) -> FloatArray:
    """The collusive displacement that each point would have in a tree if it were inserted there.

    Source: the same paper. What a point displaces is the part of the tree beside it, and points around it may share the
    blame: it is the largest, over the point and all nodes that would hold it, of the size of the sibling by the size
    of the node. Where the point would be inserted is drawn at random in the paper; here it is the mean over all draws:
    on the way down it parts from the box of a node with the probability that a cut falls between them, and the node
    becomes its sibling.

    Args:
        forest: the trees.
        root: `[k]`, the tree that each point is measured in.
        points: `[k × dimensions]`, finite.

    Returns:
        `[k]`: from 0 (the tree holds nothing but copies of the point) to the number of points in the tree.
    """
    result = np.zeros(len(points))
    which, node, reached = np.arange(len(points)), root, np.ones(len(points))
    while which.size:
        lower, upper, shared = forest.lower[node], forest.upper[node], forest.shared[node]
        outside = np.maximum(np.maximum(lower - points, points - upper), 0.0).sum(axis=1)
        parted = np.divide(
            outside, outside + (upper - lower).sum(axis=1), out=np.zeros_like(outside), where=outside > 0
        )
        ends = forest.axis[node] == _LEAF
        found = reached * parted * np.maximum(forest.size[node], shared)
        reached = reached * (1.0 - parted)
        result[which] += found + np.where(ends, reached * shared, 0.0)
        going = np.flatnonzero(~ends & (reached > _NEGLIGIBLE))
        which, node, points, reached = which[going], node[going], points[going], reached[going]
        right = points[np.arange(which.size), forest.axis[node]] > forest.cut[node]
        node = forest.left[node] + right
    return result
