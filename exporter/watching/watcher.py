"""One watch at work: screening each interval, questions to the model, the picture that others see."""

import logging
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from exporter.board import WatchPicture
from exporter.clock import Clock
from exporter.config.model import Watch
from exporter.lmstudio.pool import LaneSession
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.leaning import Leaning
from exporter.reasoning.verdict import Verdict
from exporter.screening.groups import GroupScore, assemble, group_scores
from exporter.screening.result import ScreenedGroup
from exporter.series.frame import Frame
from exporter.series.labels import Labels
from exporter.watching.alarms import Alarms
from exporter.watching.decision import Asked, decide, is_suspicious, oddness, still_holds
from exporter.watching.feed import Fed, Feed, PastFeed
from exporter.watching.standings import GroupsKeeper, KeptStandings
from exporter.watching.state import Screened, watch_state
from exporter.watching.tables import Members, build_table, members_of
from exporter.watching.trackers import HistoryKeeper, Screener, Trackers

logger = logging.getLogger(__name__)


class JudgePool(Protocol):
    """The part of the server pool that a watch uses."""

    def submit(
        self,
        job: Callable[[LaneSession], None],
        *,
        patience_seconds: float,
        on_expired: Callable[[], None],
    ) -> bool:
        """Queue a job for a server; False when none can take it."""
        ...

    def usable(self) -> bool:
        """Whether some server could answer now."""
        ...


class Keeper(HistoryKeeper, GroupsKeeper, Protocol):
    """Where what a watch remembers outlives the program."""


class Events(Protocol):
    """Who wants to know how analyses end."""

    def analysis(self, watch: str, outcome: str, duration_seconds: float | None) -> None:
        """One group was analysed or skipped; no duration where no model was asked."""
        ...

    def snapshot(self, watch: str, dropped: int) -> None:
        """A snapshot was made, and this many series did not fit."""
        ...


@dataclass(frozen=True)
class Judging:
    """What a watch needs to put groups to a model and to tell about it."""

    pool: JudgePool
    analyst: Analyst
    events: Events
    on_verdict: Callable[[Verdict], None]
    firing: Callable[[Labels], str] = lambda _: ""
    """The alerts that fire about a group, in a few cleaned words."""


class Watcher:
    """Runs one watch. `tick` is called each interval; everything else happens in answer to it.

    Args:
        watch: what to watch.
        feed: where its frames come from.
        judging: the model's side.
        publish: takes the watch's picture whenever it changed.
        clock: tells the time.
        keeper: keeps over a restart what is remembered of targets and groups; None for nobody.
        past: who has the past that history is filled from; None for nobody.
        screener: judges frames; a history kept here when None.
    """

    def __init__(
        self,
        watch: Watch,
        feed: Feed,
        judging: Judging,
        publish: Callable[[WatchPicture], None],
        clock: Clock,
        *,
        keeper: Keeper | None = None,
        past: PastFeed | None = None,
        screener: Screener | None = None,
    ) -> None:
        self.watch = watch
        self._feed = feed
        self._judging = judging
        self._publish = publish
        self._clock = clock
        self._descriptions = [selection.description for selection in watch.select]
        self._members: dict[str, Members] = {}
        self._screener = screener or Trackers(watch, clock, keeper, past)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._screened = Screened(at=clock.now())
        self._standings = KeptStandings(watch, keeper)
        self._scores: Mapping[Labels, GroupScore] = {}
        self._alarms = Alarms(watch.window)
        self._leaning = Leaning()
        self._asked: dict[Labels, Asked] = {}
        self._verdicts: dict[Labels, Verdict] = {}

    def tick(self) -> None:
        """Screen what the source has now, show it, and put to the model what should be."""
        if self._closed.is_set():
            return
        now = self._clock.now()
        try:
            screened = self._screen(self._feed.take(now), now)
        except Exception as error:
            failed = f"screening failed: {error!r}"
            if not self._closed.is_set():
                self._publish(WatchPicture(self.watch.name, "failed", failed, now, threshold=self.watch.threshold))
            raise
        counted = group_scores(screened.results, [of.grouping for of in screened.members], self.watch.threshold)
        scores = self._standings.judge(counted, now)
        self._forget(scores, screened)
        self._alarms.note(screened.results, now)
        with self._lock:
            self._screened = screened
            self._scores = scores
        self._show()
        for score in scores.values():
            self._consider(score, screened, now)

    def groups(self, wanted: Callable[[Labels], bool] = lambda _: True) -> tuple[ScreenedGroup, ...]:
        """The groups whose labels are wanted, with their most anomalous series, for pages and alerts."""
        screened = self._screened
        keys = dict.fromkeys(key for of in screened.members for key in of.grouping.keys)
        return tuple(self._group(key, screened) for key in keys if wanted(key))

    def waiting(self) -> int:
        """How many groups wait for an answer."""
        return sum(asked.in_flight for asked in list(self._asked.values()))

    @property
    def closed(self) -> bool:
        """Whether it shows nothing any more."""
        return self._closed.is_set()

    def close(self) -> None:
        """Show nothing any more, whatever answers still come."""
        with self._lock:
            self._closed.set()

    def keep(self) -> None:
        """Save what is remembered of targets and groups, also after `close`."""
        self._screener.keep()
        self._standings.keep()

    def fill(self, seconds: float) -> None:
        """Go on filling history from the source's past, where some is missing, for about so many seconds."""
        self._screener.fill(seconds, self._closed.is_set)

    def _screen(self, fed: Fed, now: float) -> Screened:
        self._members = {frame.target: self._members_of(frame) for frame in fed.frames}
        members = [self._members[frame.target] for frame in fed.frames]
        results = [self._screener.judge(frame, of) for frame, of in zip(fed.frames, members, strict=True)]
        targets = [frame.target for frame in fed.frames]
        self._screener.forget(targets)
        return Screened(now, tuple(results), tuple(members), fed.troubles, self._screener.words(targets))

    def _members_of(self, frame: Frame) -> Members:
        known = self._members.get(frame.target)
        if known is not None and known.series is frame.series:
            return known
        return members_of(frame, self.watch)

    def _group(self, key: Labels, screened: Screened) -> ScreenedGroup:
        group = assemble(
            self.watch.name,
            key,
            screened.results,
            [of.grouping for of in screened.members],
            self._descriptions,
            limit=self.watch.reason.max_series,
            threshold=self.watch.threshold,
        )
        return replace(group, series=tuple(replace(one, alarms=self._alarms.of(one.series)) for one in group.series))

    def _consider(self, score: GroupScore, screened: Screened, now: float) -> None:
        asked = self._asked.setdefault(score.key, Asked(now))
        decision = decide(self.watch, score, asked, now)
        if decision == "ask":
            self._ask(score, screened, now)
        elif decision not in ("never", "warming"):
            self._count(decision)

    def _count(self, outcome: str, duration_seconds: float | None = None) -> None:
        """Count an analysis; not that of a watch which is closed, whose series may be gone already."""
        if not self._closed.is_set():
            self._judging.events.analysis(self.watch.name, outcome, duration_seconds)

    def _ask(self, score: GroupScore, screened: Screened, now: float) -> None:
        group = self._group(score.key, screened)
        if not group.series:  # no windows are here to show
            return
        asked_before = self._asked[score.key]
        self._asked[score.key] = Asked(
            now, in_flight=True, ever=True, suspicious=is_suspicious(score, self.watch.threshold), score=oddness(score)
        )

        def give_up() -> None:
            self._asked[score.key] = asked_before
            self._count("skipped_busy")

        taken = self._judging.pool.submit(
            lambda session: self._judge(group, session),
            patience_seconds=max(self.watch.interval, self.watch.reason.cooldown),
            on_expired=give_up,
        )
        if not taken:
            give_up()

    def _judge(self, group: ScreenedGroup, session: LaneSession) -> None:
        if self._closed.is_set():  # while the question waited: nobody wants the answer
            return
        began = self._clock.monotonic()
        try:
            verdict = self._judging.analyst.judge(
                group,
                context=" ".join(filter(None, (self.watch.context, self._judging.firing(group.key)))),
                at=self._clock.now(),
                ask=session.ask,
                server=session.server,
                model=session.model,
                image=self.watch.reason.image,
            )
            with self._lock:
                if self._closed.is_set():
                    return
                self._verdicts[group.key] = verdict
                self._leaning = self._leaning.heard(finding.llm_score for finding in verdict.findings)
            self._count(verdict.outcome, self._clock.monotonic() - began)
            self._judging.events.snapshot(self.watch.name, verdict.dropped)
            self._judging.on_verdict(verdict)
            self._show()
        finally:
            with self._lock:
                self._asked[group.key] = replace(self._asked[group.key], in_flight=False)

    def _forget(self, present: Mapping[Labels, GroupScore], screened: Screened) -> None:
        """Let go of verdicts that no longer speak for the present, and of groups that are gone.

        While the source is in trouble a group that is not there may be back at the next interval.
        """
        may_be_back = bool(screened.troubles)
        with self._lock:
            self._verdicts = {
                key: verdict
                for key, verdict in self._verdicts.items()
                if (key in present or may_be_back)
                and still_holds(self.watch, verdict.at, self._asked[key], present.get(key), screened.at)
            }
            for key in self._asked.keys() - present.keys() - self._verdicts.keys():
                asked = self._asked[key]
                expired = not still_holds(self.watch, asked.at, asked, None, screened.at)
                if not asked.in_flight and (expired or not may_be_back):
                    del self._asked[key]

    def _show(self) -> None:
        """Build the picture from the newest screening and the verdicts, and hand it out."""
        with self._lock:
            if self._closed.is_set():
                return
            present = {key for of in self._screened.members for key in of.grouping.keys}
            shown = {key: verdict for key, verdict in self._verdicts.items() if key in present}
            verdicts = tuple(shown.values())
            state, reason = watch_state(
                self.watch,
                self._screened,
                verdicts,
                model_usable=self._judging.pool.usable(),
                now=self._screened.at,
            )
            newest = max((verdict for verdict in verdicts if verdict.predictions), key=lambda v: v.at, default=None)
            self._publish(
                WatchPicture(
                    name=self.watch.name,
                    state=state,
                    reason=reason,
                    at=self._screened.at,
                    tables=tuple(
                        build_table(result, members, shown, self._leaning.weight)
                        for result, members in zip(self._screened.results, self._screened.members, strict=True)
                    ),
                    verdicts=shown,
                    model_weight=self._leaning.weight,
                    standings={key: one.score for key, one in self._scores.items() if not math.isnan(one.score)},
                    prompt_tokens=newest.predictions[-1].prompt_tokens if newest else None,
                    threshold=self.watch.threshold,
                    group_by=tuple(self.watch.group_by),
                ),
            )
