"""What outlives a configuration: the board, the journal's users, the scheduler, the two ways to Alertmanager."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.alerting import grafana
from exporter.alerting.alertmanager import REASONS
from exporter.alerting.annotations import Annotations
from exporter.alerting.bridge import AlertBridge
from exporter.alerting.delivery import CAPACITY
from exporter.alerting.fleet import Fleet
from exporter.alerting.inbox import Inbox
from exporter.alerting.keeping import Keeper
from exporter.board import Board, BoardHolder, ReloadState
from exporter.clock import Clock
from exporter.errors import TransientError
from exporter.journal.histories import Histories
from exporter.journal.store import Journal
from exporter.lmstudio.tokens import TokenCounter
from exporter.metrics.annotating import AnnotationInstruments
from exporter.metrics.exposition import Exposition, make_registry
from exporter.metrics.instruments import Instruments
from exporter.metrics.pushing import PushInstruments
from exporter.metrics.rendering import WatchRenderer
from exporter.metrics.webhook import WebhookInstruments
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.memory import Memory
from exporter.reasoning.sight import Sight
from exporter.reasoning.verdict import Verdict
from exporter.reporter import Reporter
from exporter.scheduling import KINDS, Scheduler

logger = logging.getLogger(__name__)

_REMEMBERED_VERDICTS = 1000


@dataclass(frozen=True)
class Services:
    """What outlives a configuration."""

    clock: Clock
    scheduler: Scheduler
    reporter: Reporter
    exposition: Exposition
    alerts: AlertBridge
    annotations: Annotations
    tokens: TokenCounter
    memory: Memory
    sight: Sight
    histories: Histories | None
    inbox: Inbox
    filling: threading.Lock = field(default_factory=threading.Lock)
    """Held by the watch whose history is being filled: one at a time."""


def make_services(
    clock: Clock,
    journal: Journal,
    on_verdict: Callable[[Verdict], None],
    histories: Histories | None = None,
    *,
    external_url: str = "",
    base_url: str = "",
) -> Services:
    """What outlives a configuration, nothing of it started.

    Args:
        clock: tells the time.
        journal: keeps verdicts and alerts.
        on_verdict: told each verdict after it was kept.
        histories: keep what is remembered of series over a restart; None where nothing is kept.
        external_url: under which address people reach lmwatch; empty where that is not configured.
        base_url: what goes in front of a page's path in links for others; empty where it is not known.
    """
    now = clock.now()
    loaded = ReloadState(successful=True, last_success_at=now)
    board = BoardHolder(Board(started_at=now, reload=loaded, external_url=external_url))
    registry = make_registry(board.current)
    instruments = Instruments(registry)
    for kind in KINDS:
        instruments.declare_pool(kind)
    annotating = Annotations(clock, board.current, AnnotationInstruments(registry, grafana.REASONS), base_url=base_url)

    def listen(verdict: Verdict) -> None:
        annotating.put(verdict)
        on_verdict(verdict)

    reporter = Reporter(clock, board, instruments, WatchRenderer(), journal, listener=listen)
    tokens, memory = TokenCounter(), _memory_of(journal)
    inbox = Inbox(
        clock,
        journal,
        WebhookInstruments(registry),
        Analyst(tokens.estimate, tokens.learn, memory),
        base_url=base_url,
        on_verdict=reporter.verdict,
    )
    return Services(
        clock=clock,
        scheduler=Scheduler(instruments.job_missed, clock),
        reporter=reporter,
        exposition=Exposition(registry, board.current),
        alerts=_alerts(clock, board, journal, PushInstruments(registry, REASONS, CAPACITY)),
        annotations=annotating,
        tokens=tokens,
        memory=memory,
        sight=Sight(),
        histories=histories,
        inbox=inbox,
    )


def _alerts(clock: Clock, board: BoardHolder, journal: Journal, instruments: PushInstruments) -> AlertBridge:
    return AlertBridge(clock, board.current, Keeper(journal.alerts), Fleet(instruments, clock), instruments)


def _memory_of(journal: Journal) -> Memory:
    """What models said before this start, as far as the journal still knows."""
    memory = Memory()
    try:
        memory.restore(record.document for record in journal.list(limit=_REMEMBERED_VERDICTS))
    except TransientError as error:
        logger.warning("the model is not told of earlier verdicts: %s", error)
    return memory
