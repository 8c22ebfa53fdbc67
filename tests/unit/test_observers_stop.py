"""What observers showed, once they have stopped."""

import sys

import pytest

from exporter import observers as observers_module
from exporter.clock import ManualClock
from exporter.config.model import Config
from exporter.journal.store import Journal
from exporter.lmstudio.pool import make_pool
from exporter.observers import Observers
from exporter.services import make_services


@pytest.fixture
def services():
    journal = Journal(None)
    yield make_services(ManualClock(1000.0), journal, lambda _: None)
    journal.close()


@pytest.fixture
def make(services):
    """Makes the observers of one server."""
    pools = []

    def make(log_stream="off", **keys):
        servers = [{"name": "desk", "url": "http://127.0.0.1:1", "log_stream": log_stream}]
        config = Config.model_validate({"servers": servers, **keys})
        reporter = services.reporter
        reporter.announce(servers=["desk"], sources=[], watches=[])
        pools.append(
            make_pool(
                config.servers,
                services.clock,
                on_prediction=reporter.prediction,
                on_failure=reporter.failure,
                on_poll=reporter.poll,
            )
        )
        return Observers(config, pools[-1], reporter, services.clock)

    yield make
    for pool in pools:
        pool.stop(1.0)


def test_a_log_stream_that_ends_late_is_not_shown_as_down(services, make, monkeypatch):
    told = []
    monkeypatch.setattr(observers_module, "open_log_stream", lambda *_, on_state, **__: told.append(on_state))

    def shown():
        return b"lmstudio_log_stream_up{" in services.exposition.respond("", "", ())[2]

    observers = make(log_stream="auto")
    observers.start()
    told[0](True)
    assert shown()
    observers.stop(1.0)
    make(log_stream="off").start()
    assert not shown()
    told[0](False)
    assert not shown()


def test_a_proxy_that_has_stopped_shows_no_connections(services, make):
    observers = make(proxy={"listen": "127.0.0.1:0", "server": "desk"})
    (show,) = (duty.run for duty in observers.duties() if duty.name == "proxy:gauges")

    def shown():
        return b"lmstudio_proxy_connections{" in services.exposition.respond("", "", ())[2]

    switching = sys.getswitchinterval()
    observers.start()
    show()
    assert shown()
    assert sys.getswitchinterval() < switching
    observers.stop(1.0)
    assert sys.getswitchinterval() == switching
    assert not shown()
    show()
    assert not shown(), "a late look brings nothing back"
