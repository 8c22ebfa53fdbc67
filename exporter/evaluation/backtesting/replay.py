"""A real watch that lives through a stretch of the past, one screening after the other, on a clock that is set by hand."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from exporter.board import WatchPicture
from exporter.clock import ManualClock
from exporter.config.model import Watch
from exporter.errors import LmwatchError
from exporter.evaluation.backtesting.past import WarmUp
from exporter.evaluation.desk import Desk, Nobody, Session, ShowingAnalyst
from exporter.evaluation.labelled import Case
from exporter.evaluation.models import Respondent
from exporter.evaluation.scripted import Situation
from exporter.lmstudio.tokens import TokenCounter
from exporter.lmstudio.wire import ChatRequest, Prediction
from exporter.reasoning.memory import Memory
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import ScreenedGroup
from exporter.watching.feed import Feed
from exporter.watching.watcher import Judging, Watcher

_ATTEMPTS: Final = 6
"""How often a watch asks for its past before it goes on without; a replay stops then."""
_LONGER_THAN_ANY_DELAY: Final = 3600.0
_FILLING_SECONDS: Final = 1.0
"""The clock stands while the past is filled, so any length is enough for all of it."""
_UNLABELLED: Final = Case("", (), (), np.empty(0), np.empty((0, 0)), 1.0, 0, ())


class Replay:
    """One watch. Nothing of it knows that this is not the present.

    Args:
        watch: how it watches.
        feed: where its windows come from.
        warm_up: where its history is filled from; None for a watch that begins with nothing.
        respondent: who is asked; None for nobody.
        begin: Unix seconds; the first `step` is later.

    Attributes:
        verdicts: in order of time.
    """

    def __init__(
        self, watch: Watch, feed: Feed, warm_up: WarmUp | None, respondent: Respondent | None, begin: float
    ) -> None:
        self.verdicts: list[Verdict] = []
        self._clock = ManualClock(begin)
        self._warm_up = warm_up
        # By bytes, whatever tables this machine has: a recording asks for the same elsewhere.
        tokens = TokenCounter(load=lambda: None)
        self._analyst = ShowingAnalyst(tokens.estimate, tokens.learn, Memory())
        session = None
        if respondent is not None:
            session = Session(respondent.server, respondent.model, partial(self._ask, respondent))
        judging = Judging(Desk(session), self._analyst, Nobody(), self.verdicts.append)
        self._picture = WatchPicture(watch.name, "warming", "", begin)
        self._watcher = Watcher(watch, feed, judging, self._show, self._clock, past=warm_up)

    def step(self, at: float) -> WatchPicture:
        """Screen at this moment (Unix seconds, never earlier than the last), and fill what history is missing by then.

        Raises:
            LmwatchError: the source does not deliver, or the respondent says that going on makes no sense.
        """
        self._clock.advance(at - self._clock.now())
        self._watcher.tick()
        self._fill()
        return self._picture

    def groups(self, _watch: str) -> Sequence[ScreenedGroup]:
        """The groups of the last screening, with the evidence of their most anomalous series."""
        return self._watcher.groups()

    def _fill(self) -> None:
        """All at once. What fails is asked for again at once, in smaller pieces."""
        if self._warm_up is None:
            return
        errors: list[LmwatchError] = []
        while len(errors) < _ATTEMPTS:
            self._watcher.fill(_FILLING_SECONDS)
            error = self._warm_up.failure()
            if error is None:
                return
            errors.append(error)
            self._clock.advance(_LONGER_THAN_ANY_DELAY)
            self._clock.jump(-_LONGER_THAN_ANY_DELAY)
        raise errors[-1]

    def _show(self, picture: WatchPicture) -> None:
        self._picture = picture

    def _ask(self, respondent: Respondent, request: ChatRequest) -> Prediction:
        group = self._analyst.group
        ranked = tuple(one.series for one in group.series) if group is not None else ()
        return respondent.answer(request, Situation(_UNLABELLED, self._clock.now(), ranked))
