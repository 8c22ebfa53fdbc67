"""Whether a group is put to the model now. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

from exporter.config.model import Watch
from exporter.screening.groups import GroupScore

RISE = 0.1
"""A suspicious group whose score has risen by this since the last question is asked about again at once."""

_AHEAD_SECONDS = 60.0
"""A moment further ahead than this was noted before the clock was set back."""

Decision = Literal["ask", "never", "warming", "skipped_calm", "skipped_cooldown", "skipped_busy"]


@dataclass(frozen=True, slots=True)
class Asked:
    """When a group was last put to the model, or first seen, and whether the answer is still to come."""

    at: float
    """Unix seconds."""
    in_flight: bool = False
    ever: bool = False
    """False while `at` is only when the group was first seen."""
    suspicious: bool = False
    """Whether it was asked about because the screen found something."""
    score: float = 0.0
    """How odd the group was then: the greater of its own score and its oddest series'."""


def decide(watch: Watch, score: GroupScore, asked: Asked, now: float) -> Decision:
    """What to do about a group with this score.

    A suspicious group is asked about as soon as the last question is `cooldown` old, and at once where its score has risen
    since; a calm one when it is `every` old, and first when it has been known for that long. With `screen: pushdown` a calm
    one is not asked about: its windows are not here.
    """
    reason, suspicious = watch.reason, is_suspicious(score, watch.threshold)
    if reason.when == "never":
        return "never"
    if math.isnan(score.top_score):
        return "warming"
    if asked.in_flight:
        return "skipped_busy"
    since = _seconds_since(asked.at, now)
    due = watch.screen == "local" and reason.every > 0 and since >= reason.every
    if not suspicious and reason.when == "suspicious" and not due:
        return "skipped_calm"
    rising = suspicious and oddness(score) >= asked.score + RISE
    if asked.ever and since < reason.cooldown and not rising:
        return "skipped_cooldown"
    return "ask"


def is_suspicious(score: GroupScore, threshold: float) -> bool:
    """Whether some series of a group is anomalous, or the group as a whole."""
    return score.suspicious > 0 or score.score >= threshold


def oddness(score: GroupScore) -> float:
    """The greater of a group's own score and its oddest series'; 0 where it has none."""
    return max((one for one in (score.score, score.top_score) if not math.isnan(one)), default=0.0)


def still_holds(watch: Watch, verdict_at: float, asked: Asked, score: GroupScore | None, now: float) -> bool:
    """Whether a verdict still speaks for the present.

    One about an episode ends with it, once the group has been calm and the cooldown has passed. Any other holds until
    the next regular question is overdue.

    Args:
        watch: the configuration.
        verdict_at: Unix seconds when it was reached.
        asked: about its group.
        score: of its group now; None when the group is not there.
        now: Unix seconds.
    """
    reason, age = watch.reason, _seconds_since(verdict_at, now)
    if score is not None and asked.suspicious and not is_suspicious(score, watch.threshold) and age > reason.cooldown:
        return False
    return age <= max(reason.every, reason.cooldown, watch.interval) + 2 * watch.interval


def _seconds_since(at: float, now: float) -> float:
    """Endlessly many where the clock was set back since: nothing is to wait until it has caught up."""
    return now - at if at - now <= _AHEAD_SECONDS else math.inf
