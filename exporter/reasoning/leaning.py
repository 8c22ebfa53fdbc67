"""What a model always says tells nothing: how much its word counts, learned from the spread of its answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_FULL_SPREAD = 0.25
"""Standard deviation of its scores from which on a model's word counts in full; scores of 0 and 1 by halves have 0.5."""


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
    def weight(self) -> float:
        """0..1: towards 0 for a model that says the same about everything, whatever that is."""
        mean = self.total / self.count
        variance = max(0.0, self.squares / self.count - mean * mean)
        return min(1.0, variance / _FULL_SPREAD**2) ** 2
