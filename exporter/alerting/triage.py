"""Explaining alerts: which group is looked at next, what a model is asked about it, and what came of it.

A group that waits is asked about once, however often Alertmanager speaks of it meanwhile. Critical groups come first,
then the oldest. One that waited for five minutes is left alone: by then whoever was woken has looked.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from exporter.alerting.budget import CallBudget
from exporter.alerting.notes import headline, notes_of, told_to_model, unexplained, urgency
from exporter.alerting.webhook import Notification
from exporter.alerting.window import WATCH, Sights, look
from exporter.clock import Clock
from exporter.errors import TransientError
from exporter.journal.notifications import Notifications
from exporter.lmstudio.pool import LaneSession
from exporter.lmstudio.wire import ChatRequest, Prediction
from exporter.logs import fields
from exporter.metrics.webhook import TriageOutcome, WebhookInstruments
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.document import to_document
from exporter.reasoning.verdict import Verdict, verdict_id
from exporter.screening.result import ScreenedGroup
from exporter.watching.watcher import JudgePool

logger = logging.getLogger(__name__)

_WORTH_SECONDS = 300.0
_WHY: Mapping[str, str] = {
    "waiting": "the model had no time for it yet",
    "asked": "the model has not answered yet",
    "no_data": "lmwatch knows no series of this alert",
    "skipped_budget": "too many alerts came at once",
    "skipped_busy": "no model could be asked",
    "failed": "lmwatch failed to look at it; its log says why",
}


class Asking(Protocol):
    """What one configuration allows and offers."""

    @property
    def calls_per_minute(self) -> int:
        """Calls to models a minute."""
        ...

    @property
    def sights(self) -> Sights:
        """Where windows come from."""
        ...

    @property
    def pool(self) -> JudgePool | None:
        """Who is asked; None where nobody can be."""
        ...


@dataclass(eq=False)
class Case:
    """A group of alerts that is to be explained."""

    notification: Notification
    at: float
    """Unix seconds when it came."""
    received: float
    """Monotonic seconds when it came."""
    url: str
    """Where its verdict will be shown; empty where pages have no address."""
    id: str
    """Of its verdict."""
    told: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    """Numbers of the notifications that it explains, each with who waits for that."""
    state: str = "waiting"
    """`waiting`, `asked`, or how it ended."""
    document: Mapping[str, Any] | None = None
    """Of the verdict."""
    taken: float | None = None
    """Its place in the budget."""
    urgency: int = field(init=False)
    """Of what is newest: ranked for each case at each turn, it is worked out once."""

    def __post_init__(self) -> None:
        """Rank it."""
        self.hear(self.notification)

    def hear(self, notification: Notification) -> None:
        """Take what is newest about the group."""
        self.notification, self.urgency = notification, urgency(notification.firing)

    @property
    def rank(self) -> tuple[int, float]:
        """The smallest is looked at first."""
        return self.urgency, self.received

    def notes(self) -> Mapping[str, str]:
        """The annotations as they would be now."""
        if self.document is not None:
            return notes_of(self.document, self.url)
        return unexplained(_WHY.get(self.state, _WHY["failed"]), self.url if self.state == "asked" else "")


def make_case(notification: Notification, at: float, received: float, base_url: str) -> Case:
    """A case that waits.

    Args:
        notification: what came in.
        at: when, Unix seconds.
        received: when, monotonic seconds.
        base_url: what goes in front of a page's path; empty where it is not known.
    """
    name = verdict_id(f"{WATCH} {notification.group_key}", notification.group_labels, at)
    url = f"{base_url}/verdicts/{name}" if base_url else ""
    return Case(replace(notification, payload=""), at, received, url, name)


class Triage:
    """The cases that wait, and those that are looked at. Any thread may call any method.

    Args:
        clock: tells the time.
        store: told how each ended.
        instruments: count.
        analyst: puts groups to models.
        asking: what the present configuration allows.
        on_verdict: told each verdict, to keep it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        store: Notifications,
        instruments: WebhookInstruments,
        analyst: Analyst,
        asking: Callable[[], Asking],
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._instruments = instruments
        self._analyst = analyst
        self._asking = asking
        self._on_verdict = on_verdict
        self._budget = CallBudget(clock)
        self._lock = threading.Lock()
        self._waiting: dict[str, Case] = {}
        """By the key of their group."""

    def __len__(self) -> int:
        """How many groups wait."""
        return len(self._waiting)

    def offer(self, case: Case, number: int, done: Callable[[], None]) -> Case:
        """Let a case wait for its turn.

        Args:
            case: what is to be explained.
            number: of its notification.
            done: called when there is nothing more to wait for.

        Returns:
            The case that will explain the notification: this one, or one of the same group that waits already.
        """
        with self._lock:
            known = self._waiting.get(case.notification.group_key)
            if known is not None:
                known.hear(case.notification)
                known.told.append((number, done))
            else:
                case.told.append((number, done))
                self._waiting[case.notification.group_key] = case
        if known is not None:
            self._instruments.triage("coalesced")
        return known or case

    def due(self) -> list[Case]:
        """The cases to be looked at now, each to be given to `investigate`; those that waited too long end."""
        limit, now = self._asking().calls_per_minute, self._clock.monotonic()
        chosen: list[Case] = []
        with self._lock:
            ranked = sorted(self._waiting.values(), key=lambda case: case.rank)
            late = [case for case in ranked if limit < 1 or now - case.received >= _WORTH_SECONDS]
            for case in (case for case in ranked if limit >= 1 and now - case.received < _WORTH_SECONDS):
                case.taken = self._budget.take(limit)
                if case.taken is None:
                    break
                chosen.append(case)
            for case in (*late, *chosen):
                del self._waiting[case.notification.group_key]
        for case in late:
            self._end(case, "skipped_budget")
        return chosen

    def wait(self) -> float | None:
        """Seconds until something may be due; None where nothing will be."""
        with self._lock:
            if not self._waiting:
                return None
            oldest = min(case.received for case in self._waiting.values())
        free = self._budget.wait(self._asking().calls_per_minute)
        over = max(0.0, oldest + _WORTH_SECONDS - self._clock.monotonic())
        return over if free is None else min(free, over)

    def investigate(self, case: Case) -> None:
        """Look at a case and put it to a model; takes as long as the sources need."""
        asking = self._asking()
        pool = asking.pool
        if pool is None or not pool.usable():
            self._not_asked(case, "skipped_busy")
            return
        try:
            group = look(case.notification, asking.sights, case.at)
        except Exception:
            logger.exception("an alert could not be looked at", extra=fields(alerts=headline(case.notification)))
            self._not_asked(case, "failed")
            return
        if not group.series:
            self._not_asked(case, "no_data")
            return
        case.state = "asked"
        taken = pool.submit(
            lambda session: self._judge(case, group, session),
            patience_seconds=max(1.0, case.received + _WORTH_SECONDS - self._clock.monotonic()),
            on_expired=lambda: self._expired(case, group),
        )
        if not taken:
            self._not_asked(case, "skipped_busy")

    def _judge(self, case: Case, group: ScreenedGroup, session: LaneSession) -> None:
        asked = False

        def ask(request: ChatRequest) -> Prediction:
            nonlocal asked
            if asked:
                self._budget.charge()
            asked = True
            return session.ask(request)

        outcome: TriageOutcome = "failed"
        try:
            verdict = self._analyst.judge(
                group,
                context=told_to_model(case.notification),
                at=self._clock.now(),
                ask=ask,
                server=session.server,
                model=session.model,
            )
            verdict = replace(verdict, id=case.id, answers=headline(case.notification))
            self._on_verdict(verdict)
            outcome, case.document = verdict.outcome, to_document(verdict)
        finally:
            if case.document is None:
                self._on_verdict(_unanswered(case, group, self._clock.now(), _WHY["failed"]))
            self._end(case, outcome)

    def _expired(self, case: Case, group: ScreenedGroup) -> None:
        """No model came to it in time. What was sent on meanwhile names the page of a verdict: there has to be one."""
        self._on_verdict(_unanswered(case, group, self._clock.now(), _WHY["skipped_busy"]))
        self._not_asked(case, "skipped_busy")

    def _not_asked(self, case: Case, outcome: TriageOutcome) -> None:
        if case.taken is not None:
            self._budget.give_back(case.taken)
        self._end(case, outcome)

    def _end(self, case: Case, outcome: TriageOutcome) -> None:
        """Note how a case ended, and tell those who wait for it."""
        case.state = outcome
        self._instruments.triage(outcome)
        verdict = case.id if case.document is not None else None
        for number, done in case.told:
            try:
                self._store.explained(number, outcome, verdict)
            except TransientError as error:
                extra = fields(notification=number, error=str(error))
                logger.error("how an explanation ended was not kept", extra=extra)  # noqa: TRY400 - the text says it
            done()


def _unanswered(case: Case, group: ScreenedGroup, at: float, why: str) -> Verdict:
    """The verdict on a case that was put to a model and got none."""
    return Verdict(
        id=case.id,
        watch=group.watch,
        group=group.key,
        at=at,
        outcome="llm_error",
        model="",
        server="",
        group_score=None,
        summary="",
        cause="",
        next_steps="",
        findings=(),
        problems=(why,),
        facts=(),
        prompt="",
        answer="",
        shown=0,
        dropped=0,
        prompt_tokens_estimated=0,
        predictions=(),
        answers=headline(case.notification),
    )
