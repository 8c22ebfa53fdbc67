"""Robust random cut forest: how many points of a sample of the past the newest ones displace."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from exporter.evaluation.labelled import Case
from exporter.evaluation.reference.cut_trees import displacement, grow
from exporter.evaluation.reference.scores import bounded, half_at
from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray, IntArray

_SHINGLE = 4
"""Neighbouring values that make a point."""
_SAMPLE = 256
"""Points in each tree."""
_TREES, _FEWEST_TREES = 40, 8
_WORK = 2_000_000
"""Values × trees of a case, at most, as long as there are more than 8 trees."""
_DECAY = 0.1 / _SAMPLE
"""How fast points lose their weight in the sample, per instant."""
_RENEWED = 1 / 16
"""Share of the sample that is renewed, about, before trees are drawn anew."""
_SHORTEST = 16
"""Instants at least before that."""
_FEWEST = 32
"""Points in the sample below which there is no score."""
_BOUNDARY = 0.5
"""Share of a tree that a point displaces where its score is 0.5."""


def random_cut_forest(case: Case, seed: int) -> FloatArray:
    """Judge by the mean collusive displacement over the trees, as a share of their points; score 0.5 at half of them.

    Source: Guha, Mishra, Roy & Schrijvers, Robust Random Cut Forest Based Anomaly Detection on Streams (ICML 2016).
    Each series has a forest over shingles of 4 neighbouring values; 40 trees hold samples of 256 points each, as in the
    streaming example of the library `rrcf`. The sample is a reservoir in which newer points weigh more (by a decay of
    0.1 / 256 a point, the default of Amazon's implementation). The boundary is a choice; the paper has none.

    The paper keeps its trees by inserting and deleting points, and proves that they then are distributed like new trees
    over the same sample. New ones can be drawn for all series at once, so that is done here, whenever about a
    sixteenth of the sample is new. Cases of more than 50,000 values get fewer trees, down to 8.
    """
    series, instants = case.values.shape
    shingles = _shingles(bounded(case.values))
    known = ~np.asarray(np.isnan(shingles).any(axis=2))
    sample = _Sample(series, trees_for(series * instants))
    scores = np.full(case.values.shape, np.nan)
    for block in _blocks(instants):
        rng = np.random.default_rng([seed, block.start])
        scores[:, block] = _judged(shingles, known, block, sample, rng)
        sample.take(block, known, rng)
    return half_at(scores, _BOUNDARY)


def trees_for(values: int) -> int:
    """How many trees each series of a case gets that has so many values in all."""
    return min(_TREES, max(_FEWEST_TREES, _WORK // max(values, 1)))


def _blocks(instants: int) -> Iterator[slice]:
    """Stretches of instants that are judged by the same trees.

    A sample takes a new point with a probability of its size by the number of points so far, but at least of its size
    times the decay; so long a stretch renews the share of it that is wanted.
    """
    start = 0
    while start < instants:
        length = max(_SHORTEST, round(_RENEWED * min(start, 1 / _DECAY)))
        yield slice(start, min(start + length, instants))
        start += length


class _Sample:
    """Which instants each tree of each series holds: a weighted reservoir.

    Source: Efraimidis & Spirakis, Weighted random sampling with a reservoir (2006): each point draws a key, an
    exponential variable by its weight, and the smallest keys are kept. Keys are logarithms, so weights may grow for ever.
    """

    def __init__(self, series: int, trees: int) -> None:
        self._trees = trees
        self.instants: IntArray = np.zeros((series, trees, 0), dtype=np.intp)
        """[series × trees × points]: the instant at which a held point ends."""
        self._keys: FloatArray = np.zeros((series, trees, 0))

    @property
    def held(self) -> BoolArray:
        """[series × trees × points]: whether a place holds a point."""
        held: BoolArray = np.isfinite(self._keys)
        return held

    def take(self, block: slice, known: BoolArray, rng: np.random.Generator) -> None:
        """Offer the points of a block of instants to all trees."""
        instants = np.arange(block.start, block.stop)
        drawn = np.log(rng.exponential(size=(self._trees, instants.size))) - _DECAY * instants
        offered = np.where(known[:, None, block], drawn, np.inf)
        keys = np.concatenate((self._keys, offered), axis=2)
        owners = np.concatenate((self.instants, np.broadcast_to(instants, offered.shape)), axis=2)
        if keys.shape[2] > _SAMPLE:
            kept = np.argpartition(keys, _SAMPLE - 1, axis=2)[:, :, :_SAMPLE]
            keys, owners = np.take_along_axis(keys, kept, axis=2), np.take_along_axis(owners, kept, axis=2)
        self._keys, self.instants = keys, owners


def _shingles(values: FloatArray) -> FloatArray:
    """[series × instants × 4]: the newest values up to each instant; NaN before the first."""
    padded = np.pad(values, ((0, 0), (_SHINGLE - 1, 0)), constant_values=np.nan)
    return sliding_window_view(padded, _SHINGLE, axis=1)


def _judged(
    shingles: FloatArray, known: BoolArray, block: slice, sample: _Sample, rng: np.random.Generator
) -> FloatArray:
    """[series × instants of the block]: mean share of the trees' points that each point displaces."""
    held = sample.held
    count = np.count_nonzero(held, axis=2)
    ready = np.flatnonzero((count >= _FEWEST).all(axis=1))
    result = np.full(known[:, block].shape, np.nan)
    if not ready.size:
        return result
    row, tree, place = np.nonzero(held[ready])
    trees = count.shape[1]
    forest = grow(shingles[ready[row], sample.instants[ready[row], tree, place]], row * trees + tree, rng)
    judged, instant = np.nonzero(known[ready, block])
    roots = judged[:, None] * trees + np.arange(trees)
    points = np.repeat(shingles[ready[judged], block.start + instant], trees, axis=0)
    displaced = displacement(forest, roots.ravel(), points).reshape(roots.shape)
    result[ready[judged], instant] = (displaced / count[ready[judged]]).mean(axis=1)
    return result
