"""What a watch remembers of its targets: followed each interval, kept over a restart, filled where the source has the past."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from exporter.clock import Clock
from exporter.config.durations import format_duration
from exporter.config.model import Watch
from exporter.errors import TransientError
from exporter.journal.histories import Remembered
from exporter.logs import fields
from exporter.screening.archive import Identity
from exporter.screening.history import DAY, History
from exporter.screening.past import LEAST_SLOTS
from exporter.screening.result import ScreenResult
from exporter.screening.slots import slot_seconds
from exporter.screening.tracking import Tracker
from exporter.series.frame import Frame
from exporter.series.labels import Series
from exporter.watching.feed import PastFeed
from exporter.watching.fill import Fill
from exporter.watching.remembering import copied, known_slots, meaning_of, meanings_in, restore, restricted
from exporter.watching.tables import Members

logger = logging.getLogger(__name__)

_WHOLE = 0.9
"""A history that was kept is asked for again where it has less than this share of the configured length."""
_LONGEST_GAP_SECONDS = 3600.0
_ABSENT_SECONDS = DAY
"""A target that is gone for longer than the others is forgotten here; what was kept of it stays."""


class HistoryKeeper(Protocol):
    """Where histories outlive the program."""

    def load(self, target: str) -> Remembered | None:
        """What was saved of a target; None for nothing."""
        ...

    def save(self, target: str, remembered: Remembered) -> None:
        """Keep it.

        Raises:
            TransientError: it could not be written.
        """
        ...


class Screener(Protocol):
    """What a watch has its frames judged by. `keep` and `fill` may be called from any thread, the rest from one at a time."""

    def judge(self, frame: Frame, members: Members) -> ScreenResult:
        """Screen one target's newest instants."""
        ...

    def forget(self, present: Collection[str]) -> None:
        """Let go of targets that are gone for long."""
        ...

    def words(self, targets: Collection[str]) -> str:
        """What is missing for full scores, in words; empty where nothing is."""
        ...

    def keep(self) -> None:
        """Save what is new."""
        ...

    def fill(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Go on filling history, where there is something to fill, for about so many seconds."""
        ...


@dataclass(eq=False)
class _Followed:
    """One target."""

    tracker: Tracker
    interval: float
    series: tuple[Series, ...] = ()
    """Of the newest frame."""
    meanings: dict[Identity, str] = field(default_factory=dict)
    """Of all series that are remembered."""
    saved: float = -np.inf
    """The newest instant that was saved, in Unix seconds."""
    counted: tuple[int, int] = (-1, 0)
    """The slot that ran when the known slots were counted last, and how many there were."""


class Trackers:
    """Follows the targets of one watch. `keep` and `fill` may be called from any thread, the rest from one at a time.

    Args:
        watch: the configuration.
        clock: tells the time.
        keeper: keeps what is remembered; None for nobody.
        past: who can say what was before; None for nobody.
    """

    def __init__(self, watch: Watch, clock: Clock, keeper: HistoryKeeper | None, past: PastFeed | None) -> None:
        self._watch = watch
        self._clock = clock
        self._keeper = keeper
        self._past = past
        self._meanings = [meaning_of(selection) for selection in watch.select]
        self._followed: dict[str, _Followed] = {}
        self._lock = threading.Lock()
        """Held while arrays of a history change, or are copied."""
        self._fill: Fill | None = None

    def judge(self, frame: Frame, members: Members) -> ScreenResult:
        """Screen one target's newest instants by what is remembered of it, and remember them."""
        followed = self._followed.get(frame.target) or self._begin(frame)
        self._fill_gap(followed, frame)
        if self._fill is not None and self._fill.target == frame.target and self._fill.ended:
            followed = self._take_over(followed, self._fill)
            self._fill = None
        with self._lock:
            result = followed.tracker.judge(frame, members.policy, members.settings, members.peer)
            if frame.series is not followed.series:
                identities = followed.tracker.history.archive.identities
                known = {one: followed.meanings[one] for one in identities if one in followed.meanings}
                followed.meanings = known | meanings_in(frame, self._meanings)
                followed.series = frame.series
        return result

    def forget(self, present: Collection[str]) -> None:
        """Let go of targets that are gone for long."""
        newest = max((followed.tracker.history.archive.seen for followed in self._followed.values()), default=0.0)
        for target in self._followed.keys() - set(present):
            if self._followed[target].tracker.history.archive.seen < newest - _ABSENT_SECONDS:
                del self._followed[target]

    def words(self, targets: Collection[str]) -> str:
        """What history lacks, in words; empty where there is enough."""
        if self._fill is not None:
            return self._fill.progress
        present = [self._followed[target] for target in targets if target in self._followed]
        young = [hours for one in present if self._matters(one.interval) and (hours := self._known(one)) < LEAST_SLOTS]
        if not young:
            return ""
        if len(young) < len(present):
            return (
                f"{len(young)} of {len(present)} targets have less than a day of history: scores from the window alone"
            )
        known = format_duration(max(young) * slot_seconds(present[0].interval))
        return f"history: {known} of {format_duration(self._watch.history)}; scores come from the window alone"

    def keep(self) -> None:
        """Save what is new. What is being filled is not: what was saved before tells how much is missing."""
        if self._keeper is None:
            return
        for target, followed in list(self._followed.items()):
            fill = self._fill
            if fill is None or fill.target != target:
                self._save(self._keeper, target, followed)

    def fill(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Go on filling, where there is something to fill, for about so many seconds."""
        fill = self._fill
        if fill is not None:
            fill.work(seconds, stopped)

    def _begin(self, frame: Frame) -> _Followed:
        followed = _Followed(self._tracker(frame.interval), frame.interval)
        remembered = self._keeper.load(frame.target) if self._keeper is not None else None
        if remembered is not None:
            self._restore(followed, frame, remembered)
        self._followed[frame.target] = followed
        return followed

    def _tracker(self, interval: float) -> Tracker:
        history = History(interval, self._watch.history)
        return Tracker(history, settle=self._watch.settle, interval=self._watch.interval)

    def _restore(self, followed: _Followed, frame: Frame, remembered: Remembered) -> None:
        """Go on from what was kept, as far as it still means the same."""
        archive = remembered.archive
        if remembered.slot_length != slot_seconds(frame.interval):
            where = fields(watch=self._watch.name, target=frame.target)
            logger.info("what was remembered in slots of another length is not used", extra=where)
            return
        meanings = dict(zip(archive.identities, remembered.meanings, strict=True))
        present = meanings_in(frame, self._meanings)
        archive = restricted(archive, remembered.meanings, present, self._meanings)
        restore(followed.tracker.history, archive)
        followed.meanings = {identity: meanings[identity] for identity in archive.identities}
        followed.saved = archive.seen

    def _fill_gap(self, followed: _Followed, frame: Frame) -> None:
        """Begin to fill what is missing, once for each gap."""
        if self._past is None or self._fill is not None or not self._matters(frame.interval) or not frame.times.size:
            return
        archive = followed.tracker.history.archive
        if float(frame.times[0]) - archive.seen <= _LONGEST_GAP_SECONDS and followed.series:
            return
        tracker = self._tracker(frame.interval)
        whole = known_slots(archive) * slot_seconds(frame.interval) >= _WHOLE * self._watch.history
        if whole or followed.series:
            if float(frame.times[0]) - archive.seen <= _LONGEST_GAP_SECONDS:
                return
            with self._lock:
                restore(tracker.history, copied(archive))
        self._fill = Fill(self._watch, tracker, frame, self._past, self._clock)

    def _take_over(self, followed: _Followed, fill: Fill) -> _Followed:
        """Go on with what was filled, unless the other has more: the source may have lost its past."""
        if known_slots(fill.tracker.history.archive) < known_slots(followed.tracker.history.archive):
            return followed
        filled = _Followed(fill.tracker, followed.interval, meanings={**followed.meanings, **fill.meanings})
        self._followed[fill.target] = filled
        return filled

    def _save(self, keeper: HistoryKeeper, target: str, followed: _Followed) -> None:
        with self._lock:
            archive = followed.tracker.history.archive
            if archive.slot < 0 or archive.seen == followed.saved:
                return
            archive, known = copied(archive), followed.meanings
        meanings = tuple(known.get(identity, "") for identity in archive.identities)
        try:
            keeper.save(target, Remembered(archive, meanings, slot_seconds(followed.interval)))
        except TransientError as error:
            extra = fields(watch=self._watch.name, target=target, error=str(error))
            logger.error("a history was not kept", extra=extra)  # noqa: TRY400 - the text says it
        else:
            followed.saved = archive.seen

    def _matters(self, interval: float) -> bool:
        """Whether a history of this length is ever looked at."""
        return self._watch.history >= LEAST_SLOTS * slot_seconds(interval)

    def _known(self, followed: _Followed) -> int:
        archive = followed.tracker.history.archive
        if followed.counted[0] != archive.slot:
            followed.counted = (archive.slot, known_slots(archive))
        return followed.counted[1]
