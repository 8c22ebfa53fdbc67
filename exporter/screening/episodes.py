"""Episodes: an anomaly as a person gets it, from its onset to its end, however its score flickers. Pure."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.archive import BEGAN, CALM_SINCE, KIND, ODD_SINCE, SETTLED
from exporter.screening.detection import KindArray
from exporter.screening.policy import BoolArray
from exporter.screening.result import THRESHOLD
from exporter.series.frame import FloatArray

STILL_ODD = 0.375
"""An episode goes on while the score is above this: 0.6 of the surprise at which it begins. Between 0.3 and 0.9 of
it, and between 2 and 8 calm hours, the labelled series gave F1 0.62 to 0.63."""
CALM_INSTANTS = 12
"""It is over after so many instants below."""
_SETTLED_SCORE = 0.49
"""The most that a series scores whose new level has become normal, until it has been calm once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The times that make an episode."""

    settle: float
    """Seconds after which a level that stays is what is normal."""
    release: float
    """Seconds of calm that end it."""


@dataclass(frozen=True, eq=False)
class Followed:
    """What became of one instant; arrays `[rows]`."""

    score: FloatArray
    """At least THRESHOLD while an episode goes on, below it otherwise."""
    kind: KindArray
    episode: FloatArray
    """[5 × rows]: what is known of episodes now, as in `archive`."""
    going_on: BoolArray
    over: BoolArray
    """Whether one ended now, or has become what is normal."""


def follow(
    episode: FloatArray,
    score: FloatArray,
    lasting: FloatArray,
    kind: KindArray,
    *,
    certain: BoolArray,
    wait: FloatArray,
    now: float,
    pace: Pace,
) -> Followed:
    """Take in one instant's scores.

    An episode begins when the score has been at or above THRESHOLD for `wait` seconds, goes on while what lasts is above
    STILL_ODD, and ends when that has been calm for `pace.release`. One that goes on for `pace.settle` has become what is normal.
    After either the score stays below THRESHOLD until it was calm once: what has been told is not told again.

    Args:
        episode: `[5 × rows]`, as in `archive`; not changed.
        score: `[rows]`, NaN where there is none: what is known of the series stays as it is.
        lasting: `[rows]`, what the score would be if only what still goes on counted.
        kind: `[rows]`, what it looks like; -1 for nothing.
        certain: `[rows]`: anomalous by what the user configured; that neither waits nor settles.
        wait: `[rows]` seconds that an oddness must last.
        now: Unix seconds.
        pace: how long the parts of an episode are.
    """
    known = ~np.isnan(score)
    certain = certain & known
    odd = known & (score >= THRESHOLD)
    calm = known & (score < STILL_ODD)
    passed = known & (lasting < STILL_ODD)
    was_on = ~np.isnan(episode[BEGAN])
    settled = (episode[SETTLED] > 0) & ~calm & ~certain
    odd_since = np.where(odd, np.fmin(episode[ODD_SINCE], now), np.where(known, np.nan, episode[ODD_SINCE]))
    begins = ~was_on & odd & ((now - odd_since >= wait) | certain) & ~settled
    began = np.where(begins, now, episode[BEGAN])
    on = was_on | begins
    calm_since = np.where(on & passed, np.fmin(episode[CALM_SINCE], now), np.nan)
    calm_since = np.where(known, calm_since, episode[CALM_SINCE])
    ended = on & known & (now - calm_since >= pace.release)
    settles = on & known & ~passed & ~certain & (now - began >= pace.settle)
    on &= ~(ended | settles)
    settled |= settles | (ended & ~calm)
    kept_kind = np.where(on, np.where(odd & (kind >= 0), kind, episode[KIND]), -1)
    below = np.minimum(score, _SETTLED_SCORE)
    return Followed(
        score=np.where(on & known, np.maximum(score, THRESHOLD), np.where(odd, below, score)),
        kind=np.where(known, kept_kind, -1).astype(np.int8),
        episode=np.stack(
            [
                np.where(on, began, np.nan),
                np.where(on, calm_since, np.nan),
                odd_since,
                settled.astype(np.float64),
                kept_kind.astype(np.float64),
            ]
        ),
        going_on=on,
        over=ended | settles,
    )
