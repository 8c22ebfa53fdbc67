"""Whether a group is put to the model now. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

from exporter.config.model import Reason, Watch
from exporter.screening.groups import GroupScore

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


def decide(reason: Reason, score: GroupScore, asked: Asked, now: float) -> Decision:
    """What to do about a group with this score.

    A suspicious group is asked about as soon as the last question is `cooldown` old; a calm one when it is
    `every` old, and first when it has been known for that long.
    """
    if reason.when == "never":
        return "never"
    if math.isnan(score.top_score):
        return "warming"
    if asked.in_flight:
        return "skipped_busy"
    if score.suspicious == 0 and reason.when == "suspicious" and not (reason.every and now - asked.at >= reason.every):
        return "skipped_calm"
    if asked.ever and now - asked.at < reason.cooldown:
        return "skipped_cooldown"
    return "ask"


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
    reason, age = watch.reason, now - verdict_at
    if score is not None and asked.suspicious and score.suspicious == 0 and age > reason.cooldown:
        return False
    return age <= max(reason.every, reason.cooldown, watch.interval) + 2 * watch.interval
