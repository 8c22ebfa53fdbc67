"""One target over time: screened each interval, with what is remembered of it."""

from dataclasses import replace

import numpy as np

from exporter.screening.archive import ODD_SINCE
from exporter.screening.baseline import Settings
from exporter.screening.episodes import CALM_INSTANTS, Pace, follow
from exporter.screening.history import History
from exporter.screening.policy import Policy
from exporter.screening.result import ScreenResult
from exporter.screening.screen import screen
from exporter.screening.waiting import awaited
from exporter.series.frame import Frame, IntArray


class Tracker:
    """Follows one target of one watch. Not safe to use from several threads.

    Args:
        history: what is remembered of the target's series.
        settle: seconds after which a level that stays is what is normal.
        interval: seconds between screenings.
    """

    def __init__(self, history: History, *, settle: float, interval: float) -> None:
        self.history = history
        self._settle = settle
        self._interval = interval

    def judge(self, frame: Frame, policy: Policy, settings: Settings, peer: IntArray | None = None) -> ScreenResult:
        """Screen the newest instants, and remember them.

        The scores are those of `screen`, held at or above the threshold while an episode goes on. Values outside the valid
        range are known to be wrong: the history never learns of them.
        """
        outside = policy.outside(frame.values)
        valid = frame.values if outside is None else np.where(outside, np.nan, frame.values)
        past = self.history.advance(frame.series, frame.times, valid)
        found = screen(frame, policy, settings, remembered=past, peer=peer)
        if not frame.times.size:
            return found
        pace = Pace(settle=self._settle, release=CALM_INSTANTS * max(frame.interval, self._interval))
        rows = len(frame.series)
        before = self.history.archive.episode[:, :rows]
        followed = follow(
            before,
            awaited(found, past, policy, before),
            found.lasting,
            found.kind,
            certain=found.certain,
            wait=policy.for_seconds,
            now=float(frame.times[-1]),
            pace=pace,
        )
        self.history.archive.episode[:, :rows] = followed.episode
        waiting = (policy.for_seconds > 0) & ~np.isnan(followed.episode[ODD_SINCE])
        surprise = np.where(found.certain, np.nan, found.surprise)
        self.history.learn(surprise, followed.going_on | waiting, followed.over)
        return replace(found, score=followed.score, kind=followed.kind)
