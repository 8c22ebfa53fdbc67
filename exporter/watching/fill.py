"""History from a source that has the past: replayed into a tracker of its own, some of it at a time.

The past is screened as the present is, so that what is remembered is what a watch would remember that had been running:
the hours' summaries, how surprising they were, and which of them were part of an episode. Only the step is coarser, and
several instants are judged at once.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from exporter.clock import Clock
from exporter.config.model import Watch
from exporter.errors import LmwatchError
from exporter.logs import fields
from exporter.screening.archive import Identity
from exporter.screening.slots import slot_seconds
from exporter.screening.tracking import Tracker
from exporter.series.frame import FloatArray, Frame
from exporter.watching.feed import PastFeed
from exporter.watching.remembering import meaning_of, meanings_in
from exporter.watching.tables import members_of

logger = logging.getLogger(__name__)

_COARSEST_SECONDS = 60.0
_LEAST_INSTANTS = 60
"""A window has at least so many instants at the coarser step, if it has them at the source's own."""
_JUDGED = 5
"""Instants that are screened at once. With 1 the same takes three times as long and finds the same oddities."""
_LONGEST_CHUNK_SECONDS = 86400.0
_CHUNK_SAMPLES = 2_000_000
"""About as many samples are asked for at once: 60 MB of JSON."""
_ATTEMPTS = 6
_FIRST_DELAY_SECONDS = 30.0
"""After the first failure; doubled after each further one: 15 minutes in all."""


def fill_step(step: float, window: float) -> float:
    """Seconds between the instants that are asked for: a multiple of the source's own step, at most a minute where that is
    less, and a 60th of the window where that is less still.
    """
    return step * max(1, int(min(_COARSEST_SECONDS, window / _LEAST_INSTANTS) // step))


class Fill:
    """Fills the history of one target. `work` may be called from another thread than everything else, one at a time.

    Args:
        watch: the configuration.
        tracker: to be filled; what it remembers already is kept.
        live: the newest frame: what is filled, and how much of it there is.
        past: who has the past.
        clock: tells the time.
    """

    def __init__(self, watch: Watch, tracker: Tracker, live: Frame, past: PastFeed, clock: Clock) -> None:
        self.target = live.target
        self.tracker = tracker
        self.ended = False
        """Whether there is nothing more to do; set last."""
        self.meanings: dict[Identity, str] = {}
        """Of the series that came."""
        self._watch = watch
        self._past = past
        self._clock = clock
        self._step = fill_step(live.interval, watch.window)
        self._window = max(1, round(watch.window / self._step))
        self._slot = slot_seconds(live.interval)
        self._begun_at = clock.now()
        first = (self._begun_at - watch.history) // self._slot * self._slot
        self._begin = self._reached = max(first, tracker.history.archive.seen)
        whole = _CHUNK_SAMPLES * self._step / (max(1, len(live.series)) * self._slot)
        self._slots_a_chunk = max(1, int(min(whole, _LONGEST_CHUNK_SECONDS / self._slot)))
        self._requests = self._failures = 0
        self._again_at = -np.inf
        self._of_selections = [meaning_of(selection) for selection in watch.select]

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        reached = datetime.fromtimestamp(self._reached, UTC)
        share = (self._reached - self._begin) / max(self._clock.now() - self._begin, 1.0)
        return f"history filled up to {reached:%Y-%m-%d %H:%M} UTC ({share:.0%})"

    def work(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Go on for about so many seconds: the stretch of the past that is at work is always finished.

        Args:
            seconds: how long.
            stopped: whether to end early, with nothing finished.
        """
        until = self._clock.monotonic() + seconds
        while not (self.ended or stopped()):
            now = self._clock.monotonic()
            if now >= until or now < self._again_at:
                return
            try:
                self._next(stopped)
            except LmwatchError as error:
                if not stopped():
                    self._failed(error)

    def _next(self, stopped: Callable[[], bool]) -> None:
        """Ask for the next stretch, a whole number of slots, and replay it."""
        if not self._requests:
            self._tell("a history is being filled from the source")
        end = min((self._reached // self._slot + self._slots_a_chunk) * self._slot, self._clock.now())
        self._requests += 1
        frame = self._past.past(self._reached - self._step * (self._window + _JUDGED), end, self._step)
        self._replay(frame, stopped)
        if stopped():
            return
        self._reached, self._failures = end, 0
        # What is newer than this is in the window of the next frame.
        if self._clock.now() - self._reached < self._watch.window / 2:
            self._tell("a history was filled from the source")
            self.ended = True

    def _replay(self, frame: Frame, stopped: Callable[[], bool]) -> None:
        """Screen a stretch as if it were now, a few instants at a time."""
        if not frame.series:
            return
        members = members_of(frame, self._watch)
        self.meanings |= meanings_in(frame, self._of_selections)
        # The first judged instants may belong to the slot before, which is summarised from the instants that are there.
        wide = self._window + _JUDGED - 1
        settings = replace(members.settings, judged=_JUDGED)
        first = int(np.searchsorted(frame.times, self.tracker.history.archive.seen, side="right"))
        first = max(first, int(np.searchsorted(frame.times, self._reached, side="right")))
        for end in self._ends(frame.times, first):
            if stopped():
                return
            span = slice(max(0, end - wide), end)
            piece = replace(frame, target=self.target, times=frame.times[span], values=frame.values[:, span])
            self.tracker.judge(piece, members.policy, settings, members.peer)

    def _ends(self, times: FloatArray, first: int) -> Iterator[int]:
        """Where the pieces end: none reaches over into another slot, so that an episode marks the one that it began in."""
        changes = first + 1 + np.flatnonzero(np.diff(times[first:] // self._slot))
        for begin, over in pairwise([first, *changes.tolist(), len(times)]):
            yield from (min(end, over) for end in range(begin + _JUDGED, over + _JUDGED, _JUDGED))

    def _failed(self, error: LmwatchError) -> None:
        """Ask for less the next time, and later; in the end go on without."""
        self._failures += 1
        self._slots_a_chunk = max(1, self._slots_a_chunk // 2)
        if self._failures < _ATTEMPTS:
            self._again_at = self._clock.monotonic() + _FIRST_DELAY_SECONDS * 2.0 ** (self._failures - 1)
            logger.info(
                "the source did not deliver its past; it will be asked again",
                extra=fields(watch=self._watch.name, target=self.target, attempt=self._failures, error=str(error)),
            )
            return
        logger.warning(
            "a history could not be filled; it goes on with what there is",
            extra=fields(watch=self._watch.name, target=self.target, progress=self.progress, error=str(error)),
        )
        self.ended = True

    def _tell(self, message: str) -> None:
        now = self._clock.now()
        extra = fields(
            watch=self._watch.name,
            target=self.target,
            days=round((now - self._begin) / 86400.0, 1),
            step_seconds=self._step,
            series=len(self.tracker.history.archive.identities),
            requests=self._requests,
            seconds=round(now - self._begun_at, 1),
        )
        logger.info(message, extra=extra)
