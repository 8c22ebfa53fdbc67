"""The health side put together as the program does it, with polls and probes by hand and everything it shows within reach."""

import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from prometheus_client import generate_latest

from exporter.board import Board, BoardHolder, ReloadState
from exporter.clock import Clock, SystemClock
from exporter.config.model import Server
from exporter.embedded.contract import ModelFacts
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.lmstudio.events import HealthEvent, Tracker, events_between
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.pool import Pool, make_pool
from exporter.lmstudio.probe import Prober
from exporter.lmstudio.wire import Model, Origin, Prediction, ServerHealth
from exporter.metrics.exposition import make_registry
from exporter.metrics.instruments import Instruments
from exporter.sources.http import Cancel

MODEL = "scripted-1b"
PROBE = {"model": MODEL, "origin": "probe"}
LAST_VALUES = {
    "lmstudio_tokens_per_second",
    "lmstudio_time_to_first_token_seconds",
    "lmstudio_context_used_tokens",
    "lmstudio_context_used_ratio",
}
OF_A_LOADED_MODEL = LAST_VALUES | {
    "lmstudio_model_context_length_tokens",
    "lmstudio_model_parallel_slots",
    "lmstudio_model_ttl_remaining_seconds",
}
"""Series that end when the model is unloaded."""


class HealthBench:
    """Servers, polled and probed when told to.

    Args:
        servers: the configuration of each.
        clock: of everything that lmwatch decides; connections live in real time.
    """

    def __init__(self, servers: Sequence[Server], clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        now = self.clock.now()
        self.board = BoardHolder(Board(started_at=now, reload=ReloadState(successful=True, last_success_at=now)))
        self.registry = make_registry(self.board.current)
        self.instruments = Instruments(self.registry, clock=self.clock)
        self.events: list[HealthEvent] = []
        self.predictions: list[Prediction] = []
        self.failures: list[ModelFailure] = []
        self._trackers = {server.name: Tracker() for server in servers}
        self._cancel = Cancel()
        for server in servers:
            self.instruments.declare_server(server.name)
        self.pool: Pool = make_pool(
            servers, self.clock, on_prediction=self._prediction, on_failure=self._failure, on_poll=self._polled
        )
        self.probers = {server.name: self._prober(server) for server in servers}

    def _prober(self, server: Server) -> Prober:
        return Prober(
            self.pool.lanes[server.name],
            self.clock,
            cancel=self._cancel,
            busy=lambda: self.pool.waiting() > 0 or self.pool.running()[server.name] > 0,
            look=partial(self.pool.poll, server.name),
            on_prediction=self._prediction,
            on_failure=self._failure,
        )

    def poll(self, server: str = "desk") -> ServerHealth:
        """Poll once; what it shows is in place afterwards."""
        return self.pool.poll(server)

    def probe(self, server: str = "desk") -> str:
        """Probe once; the outcome is counted afterwards."""
        outcome = self.probers[server].probe_once()
        self.instruments.probe(server, outcome)
        self.instruments.circuit(server, self.pool.circuit_states()[server])
        return outcome

    def value(self, name: str, **labels: str) -> float | None:
        """The value of a series of the server `desk`; None if it is not exposed."""
        return self.registry.get_sample_value(name, {"server": "desk", **labels})

    def series_of(self, model: str) -> set[str]:
        """The names of all series that carry this model."""
        lines = generate_latest(self.registry).decode().splitlines()
        return {line.partition("{")[0] for line in lines if f'model="{model}"' in line}

    def happened(self) -> list[tuple[str, str, str | None]]:
        """The events since the last call: kind, model, reason."""
        seen, self.events = self.events, []
        return [(event.kind, event.model, event.reason) for event in seen]

    def close(self) -> None:
        """Close all connections."""
        self._cancel.cancel()
        self.pool.stop(5)

    def _polled(self, health: ServerHealth) -> None:
        self.instruments.poll(health.server, health.poll_duration_seconds, health.failure)
        events, self._trackers[health.server] = events_between(self._trackers[health.server], health)
        for event in events:
            self.instruments.event(event)
        self.events += events
        self.instruments.models(health)
        self.instruments.circuit(health.server, self.pool.circuit_states()[health.server])
        self.board.put_server(health)

    def _prediction(self, origin: Origin, prediction: Prediction, model: Model) -> None:
        self.predictions.append(prediction)
        self.instruments.prediction(origin, prediction, model.context_length)

    def _failure(self, server: str, model: str, origin: Origin, failure: ModelFailure) -> None:
        self.failures.append(failure)
        self.instruments.request_failed(server, model, origin, failure.reason)


def bench_of(clock: Clock | None = None, /, *, rpc: str = "off", **urls: str) -> HealthBench:
    """A bench of servers with these names and addresses that probe as soon as they are told to."""
    make = partial(Server, poll_interval="10s", deadline="5s", rpc=rpc, probe={"interval": "1s", "keep_loaded": True})
    return HealthBench([make(name=name, url=url) for name, url in urls.items()], clock)


def engine(key: str = MODEL, **options: Any) -> ScriptedEngine:
    """A model of this name that always says the same."""
    facts = ModelFacts(key=key, architecture="scripted", max_context_length=32768)
    return ScriptedEngine(lambda _: "one two three four five six seven eight nine ten", facts=facts, **options)


def studios(clock: Clock) -> Iterator[Callable[..., StudioServer]]:
    """Starts studios, with one model that is loaded if none is given, and stops them in the end."""
    started: list[StudioServer] = []

    def make(*models: Any, **options: Any) -> StudioServer:
        studio = StudioServer(models or [engine()], clock=clock, **options)
        studio.start()
        started.append(studio)
        return studio

    yield make
    for studio in started:
        studio.stop()


def benches(clock: Clock) -> Iterator[Callable[..., HealthBench]]:
    """Makes benches as `bench_of` does, and closes them in the end."""
    made: list[HealthBench] = []

    def make(**urls: str) -> HealthBench:
        made.append(bench_of(clock, **urls))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def post(studio: StudioServer, path: str, body: Any) -> Any:
    """A request as some other client makes it."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(studio.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def chat(studio: StudioServer, model: str) -> Any:
    """A chat as some other client makes it."""
    return post(studio, "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "?"}]})
