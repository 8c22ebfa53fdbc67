"""A real watch with a labelled case for its world: a clock that stands where it is told to, a feed of the past, a model at hand.

At each instant the watch is given the window of values up to it, as a source would give it, and what it publishes is
kept. A question to the model is answered at once: what its answer changes counts from the instant at which it was asked.
"""

from functools import partial
from typing import Final

import numpy as np

from exporter.board import WatchPicture
from exporter.config.model import Watch
from exporter.evaluation.desk import Desk, Nobody, Session, ShowingAnalyst
from exporter.evaluation.labelled import Case
from exporter.evaluation.models import Respondent
from exporter.evaluation.scripted import Situation
from exporter.lmstudio.tokens import TokenCounter
from exporter.lmstudio.wire import ChatRequest, Prediction
from exporter.reasoning.combine import combine
from exporter.reasoning.memory import Memory
from exporter.reasoning.verdict import Verdict
from exporter.screening.groups import group_rows
from exporter.series.frame import FloatArray, Frame
from exporter.watching.feed import Fed
from exporter.watching.watcher import Judging, Watcher

_TARGET: Final = "eval"


class _CaseClock:
    """Shows the time of the instant that is looked at."""

    def __init__(self, times: FloatArray) -> None:
        self._times = times
        self.instant = 0

    def now(self) -> float:
        return float(self._times[self.instant]) if self._times.size else 0.0

    def monotonic(self) -> float:
        return self.now()


class _CaseFeed:
    """Windows of a case, as views of its values."""

    def __init__(self, case: Case, samples: int, clock: _CaseClock) -> None:
        self._case = case
        self._clock = clock
        self._select = np.zeros(len(case.series), dtype=np.intp)
        # Half an interval of tolerance: the times of real data tremble.
        oldest = np.searchsorted(case.times, case.times - (samples - 0.5) * case.interval, side="right")
        places = np.arange(case.times.size)
        self._first = np.maximum(oldest, places - (samples - 1)).tolist()

    def take(self, at: float) -> Fed:  # noqa: ARG002 - the clock's instant says when
        case, instant = self._case, self._clock.instant
        span = slice(self._first[instant], instant + 1)
        return Fed(
            (Frame(_TARGET, case.series, self._select, case.times[span], case.values[:, span], case.interval),), ()
        )


class Stage:
    """A watch with a case for its world, and columns for what it publishes.

    Args:
        case: what it watches.
        watch: how.
        samples: instants in a whole window.
        respondent: who is asked; None for nobody.

    Attributes:
        screen: [series × instants]: the screen's scores, as far as `step` went; NaN where there is none.
        combined: likewise: after the model's say.
        lower: likewise: the band in which a value was expected.
        upper: likewise.
        group_screen: [groups × instants]: the screen's score of each group as a whole.
        group_combined: likewise: after the model's say about the group.
        verdicts: in order of time.
    """

    def __init__(self, case: Case, watch: Watch, samples: int, respondent: Respondent | None) -> None:
        self._case = case
        self.grouping = group_rows(case.series, case.group_by)
        self._alone = np.bincount(self.grouping.group) == 1
        self._row_of = {group: row for row, group in enumerate(self.grouping.group.tolist())}
        self.group_screen, self.group_combined = (
            np.full((len(self.grouping.keys), case.times.size), np.nan) for _ in range(2)
        )
        self._clock = _CaseClock(case.times)
        self.screen, self.combined, self.lower, self.upper = (np.full(case.values.shape, np.nan) for _ in range(4))
        self.verdicts: list[Verdict] = []
        # By bytes, whatever tables this machine has: a recording asks for the same elsewhere.
        tokens = TokenCounter(load=lambda: None)
        self._analyst = ShowingAnalyst(tokens.estimate, tokens.learn, Memory())
        session = None
        if respondent is not None:
            session = Session(respondent.server, respondent.model, partial(self._ask, respondent))
        judging = Judging(Desk(session), self._analyst, Nobody(), self.verdicts.append)
        feed = _CaseFeed(case, samples, self._clock)
        self._watcher = Watcher(watch, feed, judging, self._keep, self._clock)

    def step(self, instant: int) -> None:
        """Let the watch see this instant."""
        self._clock.instant = instant
        self._watcher.tick()

    def _keep(self, picture: WatchPicture) -> None:
        instant = self._clock.instant
        for table in picture.tables:
            self.screen[:, instant] = table.screen
            self.combined[:, instant] = table.anomaly
            self.lower[:, instant] = table.expected_lower
            self.upper[:, instant] = table.expected_upper
        for number, key in enumerate(self.grouping.keys):
            score = picture.standings.get(key, np.nan)
            self.group_screen[number, instant] = score
            self.group_combined[number, instant] = self._after_the_model(
                number, score, picture, picture.verdicts.get(key)
            )

    def _after_the_model(self, group: int, score: float, picture: WatchPicture, verdict: Verdict | None) -> float:
        """A group's score moved by what the model said of it; a group of one series scores what that series scores."""
        if self._alone[group]:
            return float(self.combined[self._row_of[group], self._clock.instant])
        if verdict is None or verdict.group_score is None:
            return score
        confidence = max((finding.confidence for finding in verdict.findings if finding.grounded), default=0.0)
        llm = np.array([verdict.group_score])
        moved = combine(np.array([score]), llm, confidence * picture.model_weight.of(llm))
        return float(moved[0])

    def _ask(self, respondent: Respondent, request: ChatRequest) -> Prediction:
        group = self._analyst.group
        ranked = tuple(one.series for one in group.series) if group is not None else ()
        return respondent.answer(request, Situation(self._case, self._clock.now(), ranked))
