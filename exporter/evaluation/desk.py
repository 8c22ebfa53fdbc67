"""The model's side of a watch that runs in no time: each question is answered while the watch waits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from exporter.lmstudio.pool import LaneSession
from exporter.lmstudio.wire import ChatRequest, Model, Prediction
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import ScreenedGroup


class Nobody:
    """Events that only a running program counts."""

    def analysis(self, watch: str, outcome: str, duration_seconds: float | None) -> None:
        """One group was analysed or skipped."""

    def snapshot(self, watch: str, dropped: int) -> None:
        """A snapshot was made."""


@dataclass(frozen=True)
class Session:
    """What a job uses of a LaneSession."""

    server: str
    model: Model
    ask: Callable[[ChatRequest], Prediction]


class Desk:
    """A pool of one place, where each job is done while its submitter waits."""

    def __init__(self, session: Session | None) -> None:
        self._session = session

    def submit(
        self, job: Callable[[LaneSession], None], *, patience_seconds: float, on_expired: Callable[[], None]
    ) -> bool:
        """Do the job at once; False where there is nobody to ask."""
        del patience_seconds, on_expired
        if self._session is None:
            return False
        # A job reads `server` and `model` of its session and calls `ask`; the rest belongs to a lane, and here is none.
        job(cast("LaneSession", self._session))
        return True

    def usable(self) -> bool:
        """Whether somebody answers."""
        return self._session is not None


class ShowingAnalyst(Analyst):
    """An analyst that lets others see which group it is at work on."""

    group: ScreenedGroup | None = None

    def judge(self, group: ScreenedGroup, **details: Any) -> Verdict:
        """As every analyst does."""
        self.group = group
        return super().judge(group, **details)
