"""What a model always says tells nothing: how much its word counts, learned from the spread of its answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.series.frame import FloatArray

_FULL_SPREAD = 0.25
"""Standard deviation of its scores from which on a model's word counts in full; scores of 0 and 1 by halves have 0.5."""
_EVEN = 0.5
"""The mean of its scores up to which a model's yes counts in full. There is no such limit for a no: most is calm, and a
good model says so."""


@dataclass(frozen=True, slots=True)
class Weight:
    """How much a model's word counts in the scores, 0..1."""

    raising: float = 0.0
    """Of scores above the middle."""
    lowering: float = 0.0
    """Of the others."""

    def of(self, llm: FloatArray) -> FloatArray:
        """What counts for each of the model's scores (0..1, any shape)."""
        return np.where(llm > _EVEN, self.raising, self.lowering)


UNHEARD = Weight()
"""Of a model that nobody asked."""


@dataclass(frozen=True, slots=True)
class Leaning:
    """The scores that a model gave, summed up. Grows by `heard`; a value, not a place.

    It begins as if the model had said 0 and 1 once each: a new model is heard until it shows that it always says the same.
    """

    count: int = 2
    total: float = 1.0
    squares: float = 1.0

    def heard(self, scores: Iterable[float]) -> Self:
        """With these scores (0..1) too."""
        new = list(scores)
        return type(self)(
            self.count + len(new), self.total + sum(new), self.squares + sum(score * score for score in new)
        )

    @property
    def weight(self) -> Weight:
        """Towards 0 for a model that says the same about everything, whatever that is.

        A yes counts for less besides where most that the model said was yes.
        """
        mean = self.total / self.count
        variance = max(0.0, self.squares / self.count - mean * mean)
        spread = min(1.0, variance / _FULL_SPREAD**2) ** 2
        return Weight(raising=spread * min(1.0, (1.0 - mean) / _EVEN), lowering=spread)
