"""One watch over a stretch of the past: its pictures, followed at every threshold and at several sensitivities."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from exporter.alerting.observing import Policy, policy_of
from exporter.board import WatchPicture, WatchStateName
from exporter.config.alerting import Alerting
from exporter.config.model import Watch
from exporter.evaluation.backtesting.columns import Columns
from exporter.evaluation.backtesting.past import ReplayFeed, WarmUp
from exporter.evaluation.backtesting.pushes import Push, Pushes
from exporter.evaluation.backtesting.replay import Replay
from exporter.evaluation.backtesting.results import SensitivityTable, WatchResult
from exporter.evaluation.backtesting.thresholds import threshold_row, thresholds_for
from exporter.evaluation.labelled import Case
from exporter.evaluation.models import Respondent
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.results import Episode, SeriesResult
from exporter.reasoning.verdict import Verdict
from exporter.screening.baseline import DEFAULT_SENSITIVITY_DAYS
from exporter.series.labels import Series
from exporter.sources.collected import Collected
from exporter.sources.prometheus import PrometheusSource
from exporter.watching.feed import QueryFeed

_DAY: Final = 86400.0
PUSHDOWN_NOTE: Final = (
    "screen: pushdown is replayed with baselines kept here, over the recorded inputs: scores differ by a few percent"
    " from those of the ruler's records"
)

Tell = Callable[[int], None]
"""Is told how many screenings were done, or filled, since the last time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is replayed, and how."""

    begin: float
    """Unix seconds of the first screening that counts."""
    end: float
    """Of the last, at most."""
    step: float | None = None
    """Seconds between screenings; None: each watch's interval."""
    warm_up: float | None = None
    """Seconds before `begin` that baselines are filled from; None: each watch's history."""
    sensitivities: tuple[float, ...] = ()
    """Seconds; further ones to be tried."""
    alerting: Alerting = field(default_factory=Alerting)

    def step_of(self, watch: Watch) -> float:
        """Seconds between the screenings of a watch."""
        return self.step or watch.interval

    def warm_up_of(self, watch: Watch) -> float:
        """Seconds of warm-up of a watch; what its history cannot hold is not asked for."""
        return watch.history if self.warm_up is None else min(self.warm_up, watch.history)

    def moments(self, watch: Watch) -> list[float]:
        """Unix seconds of the screenings that count: multiples of the step, as a scheduler would."""
        step = self.step_of(watch)
        first, last = int(-(-self.begin // step)), int(self.end // step)
        return [count * step for count in range(first, last + 1)]

    def amount(self, watch: Watch) -> int:
        """How many screenings, and as many steps of warm-up, a watch takes in all."""
        filled = round(self.warm_up_of(watch) / self.step_of(watch))
        return (len(self.moments(watch)) + filled) * len(self.sensitivities_of(watch))

    def sensitivities_of(self, watch: Watch) -> tuple[float, ...]:
        """Seconds; the watch's own first."""
        own = watch.sensitivity or DEFAULT_SENSITIVITY_DAYS * _DAY
        return (own, *sorted({one for one in self.sensitivities if one != own}))


def run_watch(
    watch: Watch, source: PrometheusSource, plan: Plan, respondent: Respondent | None, tell: Tell
) -> WatchResult:
    """Take a watch through the past.

    Args:
        watch: the configuration.
        source: has the past.
        plan: from when to when, and how.
        respondent: who is asked; None for nobody.
        tell: is told of the progress: `plan.amount` in all, where the source has all of the warm-up.

    Raises:
        LmwatchError: the source does not deliver, or the respondent says that going on makes no sense.
    """
    # As configured, whether a model is asked here or not: the running program waits for its answers.
    policy = policy_of(watch.model_copy(update={"interval": plan.step_of(watch)}), plan.alerting)
    replayed = _as_replayed(watch, plan, asked=respondent is not None)
    own, *others = plan.sensitivities_of(watch)
    lane = _Lane(replayed, source, plan, respondent, tell, policy=policy, pictured=True)
    lane.run()
    tables = [lane.table(own, present=True)]
    silent = _as_replayed(watch, plan, asked=False)
    for seconds in others:
        tried = silent.model_copy(update={"sensitivity": seconds})
        other = _Lane(tried, source, plan, None, tell, policy=policy)
        other.run()
        tables.append(other.table(seconds, present=False))
    return lane.result(tables, (PUSHDOWN_NOTE,) if watch.screen == "pushdown" else ())


def _as_replayed(watch: Watch, plan: Plan, *, asked: bool) -> Watch:
    """With values and bands of all series for the pictures, and nobody to ask where nobody is."""
    return watch.model_copy(
        update={
            "interval": plan.step_of(watch),
            "screen": "local",
            "select": [one.model_copy(update={"band": True}) for one in watch.select],
            "reason": watch.reason if asked else watch.reason.model_copy(update={"when": "never"}),
        }
    )


class _Lane:
    """One watch at one sensitivity."""

    def __init__(
        self,
        watch: Watch,
        source: PrometheusSource,
        plan: Plan,
        respondent: Respondent | None,
        tell: Tell,
        *,
        policy: Policy,
        pictured: bool = False,
    ) -> None:
        self._watch = watch
        self._step = plan.step_of(watch)
        self._moments = plan.moments(watch)
        self._tell = tell
        queries, warm = QueryFeed(watch, source, _nobody), plan.warm_up_of(watch)
        begun = self._moments[0] - self._step
        self._feed = ReplayFeed(watch, queries, source.step, self._moments[-1])
        warm_up = WarmUp(queries, begun - warm, self._filled) if warm else None
        self._replay = Replay(watch, self._feed, warm_up, respondent, begun)
        self._pushes = {
            threshold: Pushes(
                replace(policy, threshold=threshold),
                self._replay.groups if pictured and threshold == watch.threshold else None,
            )
            for threshold in thresholds_for(watch.threshold)
        }
        self._columns = Columns(self._moments[0], self._moments[-1], self._step) if pictured else None
        self._states: Counter[WatchStateName] = Counter()
        self._told = 0.0

    def run(self) -> None:
        """Go through all moments. The screening before the first one is there for the warm-up only."""
        self._replay.step(self._moments[0] - self._step)
        for moment in self._moments:
            picture = self._replay.step(moment)
            self._take(picture, moment)
            self._tell(1)

    def table(self, seconds: float, *, present: bool) -> SensitivityTable:
        """What came of it, by threshold."""
        begin, end = self._moments[0], self._moments[-1]
        return SensitivityTable(
            seconds,
            present,
            tuple(
                threshold_row(threshold, self._watch.threshold, pushes.all(), begin, end)
                for threshold, pushes in self._pushes.items()
            ),
        )

    def result(self, tables: Sequence[SensitivityTable], notes: Sequence[str]) -> WatchResult:
        """What came of it, whole."""
        columns = self._columns
        if columns is None:
            raise ValueError("only a lane that is drawn has a whole result")
        pushes, verdicts = self._pushes[self._watch.threshold].all(), tuple(self._replay.verdicts)
        return WatchResult(
            watch=self._watch,
            notes=tuple(notes),
            series=len(columns.series) + columns.left_out,
            samples=self._feed.samples,
            screenings=len(self._moments),
            states=dict(self._states),
            tables=tuple(tables),
            pushes=pushes,
            verdicts=verdicts,
            drawn=drawn(self._watch, columns, pushes, verdicts, self._moments[-1]),
            pictured=len(columns.series),
        )

    def _take(self, picture: WatchPicture, moment: float) -> None:
        for pushes in self._pushes.values():
            pushes.look(picture, moment)
        if self._columns is not None:
            self._columns.add(picture, moment)
        self._states[picture.state] += 1

    def _filled(self, seconds: float) -> None:
        self._told += seconds
        whole, self._told = divmod(self._told, self._step)
        self._tell(int(whole))


def drawn(
    watch: Watch, columns: Columns, pushes: Sequence[Push], verdicts: tuple[Verdict, ...], end: float
) -> SeriesResult:
    """As the pictures of an evaluation take it: a case without labels."""
    empty = np.empty((0, columns.times.size))
    series: tuple[Series, ...] = tuple(columns.series)
    case = Case(watch.name, series, tuple(watch.group_by), columns.times, columns.values(), columns.width, 0, ())
    run = CaseRun(
        case=case,
        screen=columns.screen(),
        combined=columns.combined(),
        expected_lower=columns.lower(),
        expected_upper=columns.upper(),
        group_screen=empty,
        group_combined=empty,
        groups=(),
        verdicts=verdicts,
        seconds=0.0,
    )
    episodes = tuple(
        Episode(push.fired_at, end if push.resolved_at is None else push.resolved_at, push.peak, None, labelled=False)
        for push in pushes
    )
    return SeriesResult(watch.name, run, columns.score, episodes)


def _nobody(_collected: Collected) -> None: ...
