"""Fixtures of the tests of the embedded engine, server and target."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from embedded_support import Client, Gate

from exporter.clock import ManualClock
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import other_models


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000.0)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def make_studio(clock: ManualClock, gate: Gate) -> Iterator[Callable[..., StudioServer]]:
    """Starts studios and stops them in the end; the gate is opened first, so that nothing waits for ever."""
    started: list[StudioServer] = []

    def make(*models: Any, **options: Any) -> StudioServer:
        studio = StudioServer(models or [ScriptedEngine(lambda _: "All is calm today.")], clock=clock, **options)
        studio.start()
        started.append(studio)
        return studio

    yield make
    gate.open()
    for studio in started:
        studio.stop()


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(lambda _: "All is calm today.")


@pytest.fixture
def studio(make_studio: Callable[..., StudioServer], engine: ScriptedEngine) -> StudioServer:
    """One scripted model that is loaded, three more on disk."""
    return make_studio(engine, *other_models())


@pytest.fixture
def client(studio: StudioServer) -> Client:
    return Client(studio.port)
