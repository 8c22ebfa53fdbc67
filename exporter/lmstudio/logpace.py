"""How patient a log stream is: its waiting times, and how they grow."""

from dataclasses import dataclass

from exporter.lmstudio.own_calls import SETTLE_SECONDS


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that a log stream takes for its steps."""

    look: float = 5.0
    """Between two looks for an LM Studio that does not run."""
    check: float = 30.0
    """Between two looks whether it still runs, while the stream does."""
    first_pause: float = 1.0
    """After a child that ended; doubled for each further one that ended early."""
    longest_pause: float = 60.0
    steady: float = 30.0
    """A child that ran so long did not end early."""
    up_after: float = 3.0
    """A child that writes nothing counts as listening when it has run so long."""
    tick: float = 1.0
    """The longest that the stream's thread rests without a look at the clock."""
    settle: float = SETTLE_SECONDS
    """How long an event waits to be recognised as lmwatch's own."""
    grace: float = 2.0
    """How long a child may take to end when asked to."""


class Backoff:
    """Pauses between starts that double up to a limit, until a child ran steadily."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._next = pace.first_pause

    def pause(self, lived_seconds: float) -> float:
        """Seconds to wait after a child that ran so long."""
        if lived_seconds >= self._pace.steady:
            self._next = self._pace.first_pause
        pause = self._next
        self._next = min(2 * pause, self._pace.longest_pause)
        return pause
