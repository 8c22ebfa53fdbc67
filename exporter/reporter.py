"""Where events become visible: one place that tells the board, the instruments, the journal and the log."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from types import MappingProxyType

from exporter.board import Board, BoardHolder, WatchPicture
from exporter.errors import TransientError
from exporter.journal.store import Journal, Record
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import Model, Origin, Prediction, ServerHealth
from exporter.logs import fields
from exporter.metrics.instruments import Instruments
from exporter.metrics.rendering import WatchRenderer
from exporter.reasoning.document import to_document
from exporter.reasoning.verdict import Verdict
from exporter.sources.collected import Collected

logger = logging.getLogger(__name__)


class Reporter:
    """Takes what happens and shows it. Every method may be called from any thread.

    Args:
        board: the picture that is read by others.
        instruments: counters and histograms.
        renderer: turns a watch's picture into sample lines.
        journal: keeps verdicts.
        listener: told each verdict, after it was kept; the demo prints them.
    """

    def __init__(
        self,
        board: BoardHolder,
        instruments: Instruments,
        renderer: WatchRenderer,
        journal: Journal,
        listener: Callable[[Verdict], None],
    ) -> None:
        self.board = board
        self.instruments = instruments
        self._renderer = renderer
        self._journal = journal
        self._listener = listener
        self._expected: frozenset[str] = frozenset()

    def prediction(self, origin: Origin, prediction: Prediction, model: Model) -> None:
        """A model answered."""
        self.instruments.prediction(origin, prediction, model.context_length)

    def failure(self, server: str, model: str, origin: Origin, failure: ModelFailure) -> None:
        """A model did not answer."""
        self.instruments.request_failed(server, model, origin, failure.reason)
        logger.warning("a model call failed", extra=fields(server=server, model=model, error=str(failure)))

    def poll(self, health: ServerHealth) -> None:
        """A server was polled."""
        self.instruments.poll(health.server, health.poll_duration_seconds, health.failure)
        before = self.board.current().servers.get(health.server)
        if before is None or before.up != health.up:
            logger.log(
                logging.INFO if health.up else logging.WARNING,
                "server is up" if health.up else "server is down",
                extra=fields(server=health.server, url=health.url, api=health.api or "", detail=health.detail),
            )
        for gone in _instances(before) - _instances(health):
            self.instruments.forget_model(health.server, gone)
        self.board.put_server(health)
        self._ready_when_all_are_polled()

    def collected(self, state: Collected) -> None:
        """A target was scraped, or a query answered."""
        before = self.board.current().sources.get((state.source, state.target))
        if before is None or before.up != state.up:
            logger.log(
                logging.INFO if state.up else logging.WARNING,
                "target is up" if state.up else "target is down",
                extra=fields(source=state.source, target=state.target, error=state.error),
            )
        self.board.put_source(state)

    def picture(self, picture: WatchPicture) -> None:
        """A watch has a new picture."""
        before = self.board.current().watches.get(picture.name)
        if before is None or before.state != picture.state:
            logger.info(
                "watch changed state", extra=fields(watch=picture.name, state=picture.state, reason=picture.reason)
            )
        self.board.put_watch(picture, self._renderer.render(picture))

    def verdict(self, verdict: Verdict) -> None:
        """A verdict was reached: kept first, then told. One that cannot be kept is shown all the same."""
        record = Record(
            id=verdict.id,
            watch=verdict.watch,
            group=verdict.group,
            at=verdict.at,
            outcome=verdict.outcome,
            document=to_document(verdict),
        )
        try:
            self._journal.put(record)
        except TransientError as error:
            logger.error("a verdict was not kept", extra=fields(id=verdict.id, error=str(error)))  # noqa: TRY400
        logger.info(
            "verdict",
            extra=fields(watch=verdict.watch, id=verdict.id, outcome=verdict.outcome, summary=verdict.summary),
        )
        self._listener(verdict)

    def retain(self, *, servers: Collection[str], sources: Collection[str], watches: Collection[str]) -> None:
        """Forget what the configuration no longer names, and announce what it does."""
        self._expected = frozenset(servers)
        before = self.board.current()
        for name in before.servers.keys() - set(servers):
            self.instruments.forget_server(name)
        for name in before.watches.keys() - set(watches):
            self.instruments.forget_watch(name)
            self._renderer.forget(name)
        for name in servers:
            self.instruments.declare_server(name)
        for name in watches:
            self.instruments.declare_watch(name)

        def keep(board: Board) -> Board:
            return replace(
                board,
                servers=MappingProxyType({k: v for k, v in board.servers.items() if k in servers}),
                sources=MappingProxyType({k: v for k, v in board.sources.items() if k[0] in sources}),
                watches=MappingProxyType({k: v for k, v in board.watches.items() if k in watches}),
                rendered=MappingProxyType({k: v for k, v in board.rendered.items() if k in watches}),
            )

        self.board.update(keep)
        self._ready_when_all_are_polled()

    def _ready_when_all_are_polled(self) -> None:
        """Ready once, ready for good: a server that is added later does not take it back."""
        board = self.board.current()
        if not board.ready and self._expected <= board.servers.keys():
            self.board.update(lambda board: replace(board, ready=True))


def _instances(health: ServerHealth | None) -> set[str]:
    return {model.id for model in health.models if model.loaded is not False} if health and health.up else set()
