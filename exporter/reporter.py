"""Where events become visible: one place that tells the board, the instruments, the journal and the log."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from types import MappingProxyType

from exporter.board import Board, BoardHolder, HeartbeatState, WatchPicture
from exporter.clock import Clock
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.errors import TransientError
from exporter.journal.store import Event, Journal, Record
from exporter.lmstudio.breaker import State
from exporter.lmstudio.events import HealthEvent, Tracker, events_between
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.own_calls import OwnCalls
from exporter.lmstudio.probe import ProbeOutcome
from exporter.lmstudio.wire import Model, Origin, Prediction, ServerHealth
from exporter.logs import fields
from exporter.metrics.instruments import Instruments, estimate_ratio
from exporter.metrics.rendering import WatchRenderer
from exporter.reasoning.document import to_document
from exporter.reasoning.verdict import Verdict
from exporter.sources.collected import Collected

logger = logging.getLogger(__name__)

_OVERTAKEN_SECONDS = 60.0
"""A poll that is older than the one before by less than this came late; by more, the clock was set back."""


class Reporter:
    """Takes what happens and shows it. Every method may be called from any thread.

    News of what was not announced, or is retained no more, is shown nowhere: it may come late.

    Args:
        clock: tells the time.
        board: the picture that is read by others.
        instruments: counters and histograms.
        renderer: turns a watch's picture into sample lines.
        journal: keeps verdicts.
        listener: told each verdict, after it was kept; the demo prints them.
    """

    def __init__(
        self,
        clock: Clock,
        board: BoardHolder,
        instruments: Instruments,
        renderer: WatchRenderer,
        journal: Journal,
        *,
        listener: Callable[[Verdict], None],
    ) -> None:
        self._clock = clock
        self.board = board
        self.instruments = instruments
        self._renderer = renderer
        self._journal = journal
        self._listener = listener
        self._servers: frozenset[str] = frozenset()
        self._sources: frozenset[str] = frozenset()
        self._watches: frozenset[str] = frozenset()
        self._react: Callable[[HealthEvent], None] = lambda _: None
        self._trackers: dict[str, Tracker] = {}
        self._tracking = threading.Lock()
        self._own_calls: dict[str, OwnCalls] = {}
        self._undiscovered: dict[str, tuple[str, ...]] = {}

    def follow(self, react: Callable[[HealthEvent], None]) -> None:
        """Who is told what happens to servers from now on, in the place of who was."""
        self._react = react

    def own_calls(self, server: str) -> OwnCalls:
        """The register of a server's predictions that are counted here already; kept from the first call on."""
        return self._own_calls.setdefault(server, OwnCalls())

    def probed(self, server: str, outcome: ProbeOutcome) -> None:
        """A probe was due, and this came of it."""
        if server in self._servers:
            self.instruments.probe(server, outcome)

    def responded(self, server: str, model: str, status: int) -> None:
        """An answer with this HTTP status passed through the proxy; the model is empty where none answered."""
        if server in self._servers:
            self.instruments.proxy_response(server, model, status)

    def prediction(self, origin: Origin, prediction: Prediction, model: Model) -> None:
        """A model answered a question of ours."""
        self._count(origin, prediction, model.context_length)
        self._recognise(prediction)

    def proxied(self, origin: Origin, prediction: Prediction, context_length: int | None) -> None:
        """A model answered somebody through the proxy."""
        self._count(origin, prediction, context_length)
        if prediction.output_tokens:  # an embedding has none, and the log stream says nothing of it
            self._recognise(prediction)

    def logged(self, prediction: Prediction) -> None:
        """A model answered somebody, as the log stream tells."""
        health = self.board.current().servers.get(prediction.server)
        models = health.models if health is not None else ()
        context = next((model.context_length for model in models if model.id == prediction.model), None)
        self._count("traffic", prediction, context)

    def logged_failure(self, server: str, model: str, failure: ModelFailure) -> None:
        """A model failed somebody, as the log stream tells."""
        self.failure(server, model, "traffic", failure)

    def _count(self, origin: Origin, prediction: Prediction, context_length: int | None) -> None:
        # A late answer must not bring back the series of a server that left.
        if prediction.server in self._servers:
            self.instruments.prediction(origin, prediction, context_length)

    def _recognise(self, prediction: Prediction) -> None:
        """Let the log stream know this prediction again, so that it is not counted twice."""
        own = self._own_calls.get(prediction.server)
        if own is not None:
            own.note_prediction(prediction, self._clock.now())

    def failure(self, server: str, model: str, origin: Origin, failure: ModelFailure) -> None:
        """A model did not answer."""
        if server in self._servers:
            self.instruments.request_failed(server, model, origin, failure.reason)
        level = logging.DEBUG if failure.reason == "cancelled" else logging.WARNING
        logger.log(
            level, "a model call failed", extra=fields(server=server, model=model, origin=origin, error=str(failure))
        )

    def poll(self, health: ServerHealth) -> None:
        """A server was polled. Of two polls whose news overtook each other the later one counts."""
        before = self.board.current().servers.get(health.server)
        overtaken = before is not None and 0.0 < before.polled_at - health.polled_at < _OVERTAKEN_SECONDS
        if health.server not in self._servers or overtaken:
            return
        self.instruments.poll(health.server, health.poll_duration_seconds, health.failure)
        if before is None:
            first = fields(
                server=health.server, url=health.url, up=health.up, api=health.api or "", detail=health.detail
            )
            logger.log(logging.INFO if health.up else logging.WARNING, "server polled for the first time", extra=first)
        self.instruments.models(health)
        self.board.put_server(health)
        self._ready_when_all_are_polled()
        with self._tracking:
            tracker = self._trackers.get(health.server, Tracker())
            if tracker.last is not None and tracker.last.url != health.url:
                tracker = Tracker()  # another server under the same name
            events, self._trackers[health.server] = events_between(tracker, health)
        for event in events:
            self.event(event)

    def event(self, event: HealthEvent) -> None:
        """Something happened to a server or one of its models."""
        self.instruments.event(event)
        level = logging.WARNING if event.serious else logging.INFO
        logger.log(level, event.detail, extra=fields(server=event.server, model=event.model, kind=event.kind))
        try:
            self._journal.put_event(Event(event.server, event.kind, event.at, event.to_document()))
        except TransientError as error:
            logger.error("an event was not kept", extra=fields(kind=event.kind, error=str(error)))  # noqa: TRY400
        self._react(event)

    def collected(self, state: Collected) -> None:
        """A target was scraped, or a query answered."""
        if state.source not in self._sources:
            return
        before = self.board.current().sources.get((state.source, state.target))
        if before is None or before.up != state.up:
            logger.log(
                logging.INFO if state.up else logging.WARNING,
                "target is up" if state.up else "target is down",
                extra=fields(source=state.source, target=state.target, error=state.error),
            )
        self.board.put_source(state)

    def discovered(self, source: str, errors: tuple[str, ...]) -> None:
        """The targets of a source were discovered anew, with these errors, which are logged when they begin and when all have ended."""
        if source not in self._sources:
            return
        before = self._undiscovered.get(source, ())
        for error in errors:
            if error not in before:
                logger.warning("targets cannot all be discovered", extra=fields(source=source, error=error))
        if before and not errors:
            logger.info("all targets are discovered again", extra=fields(source=source))
        self._undiscovered[source] = errors
        self.instruments.discovery(source, len(errors))

    def picture(self, picture: WatchPicture) -> None:
        """A watch has a new picture."""
        if picture.name not in self._watches:
            return
        before = self.board.current().watches.get(picture.name)
        if before is None or before.state != picture.state:
            logger.info(
                "watch changed state", extra=fields(watch=picture.name, state=picture.state, reason=picture.reason)
            )
        # A planted anomaly must reach nobody's alert rules.
        scored = picture.name != HEARTBEAT_WATCH
        self.board.put_watch(picture, self._renderer.render(picture) if scored else {})

    def heartbeat(self, state: HeartbeatState | None) -> None:
        """How the heartbeat goes; None where it is off."""
        self.board.update(lambda board: replace(board, heartbeat=state))

    def verdict(self, verdict: Verdict) -> None:
        """A verdict was reached: kept first, then told. One that cannot be kept is shown all the same."""
        self.keep(verdict)
        logger.info(
            "verdict",
            extra=fields(watch=verdict.watch, id=verdict.id, outcome=verdict.outcome, summary=verdict.summary),
        )
        ratio = estimate_ratio(verdict)
        if ratio is not None and verdict.server in self._servers:
            self.instruments.estimate(verdict.server, verdict.model, ratio)
        self._listener(verdict)

    def keep(self, verdict: Verdict) -> None:
        """Put a verdict into the journal, in the place of one with the same id."""
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

    def circuit(self, server: str, state: State) -> None:
        """A server's circuit breaker is in this state."""
        if server in self._servers:
            self.instruments.circuit(server, state)

    def announce(self, *, servers: Collection[str], sources: Collection[str], watches: Collection[str]) -> None:
        """Expect news of these as well from now on. News of what was not announced is dropped."""
        self._servers |= set(servers)
        self._sources |= set(sources)
        self._watches |= set(watches)
        for name in servers:
            self.instruments.declare_server(name)
        for name in watches:
            self.instruments.declare_watch(name)

    def retain(self, *, servers: Collection[str], sources: Collection[str], watches: Collection[str]) -> None:
        """Forget what was announced before and is not among these; news of it that still comes is dropped."""
        gone_servers, gone_watches = self._servers - set(servers), self._watches - set(watches)
        gone_sources = self._sources - set(sources)
        self._servers, self._sources, self._watches = frozenset(servers), frozenset(sources), frozenset(watches)
        for name in gone_servers:
            self.instruments.forget_server(name)
            self._own_calls.pop(name, None)
            with self._tracking:
                self._trackers.pop(name, None)
        for name in gone_sources:
            self.instruments.forget_source(name)
            self._undiscovered.pop(name, None)
        for name in gone_watches:
            self.instruments.forget_watch(name)
            self._renderer.forget(name)

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
        if not board.ready and self._servers <= board.servers.keys():
            self.board.update(lambda board: replace(board, ready=True))
