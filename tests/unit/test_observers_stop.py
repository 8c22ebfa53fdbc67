"""What observers showed, once they have stopped."""

import sys

import pytest

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


def test_a_proxy_that_has_stopped_shows_no_connections(services):
    config = Config.model_validate(
        {
            "servers": [{"name": "desk", "url": "http://127.0.0.1:1", "log_stream": "off"}],
            "proxy": {"listen": "127.0.0.1:0", "server": "desk"},
        }
    )
    reporter = services.reporter
    reporter.announce(servers=["desk"], sources=[], watches=[])
    pool = make_pool(
        config.servers,
        services.clock,
        on_prediction=reporter.prediction,
        on_failure=reporter.failure,
        on_poll=reporter.poll,
    )
    observers = Observers(config, pool, reporter, services.clock)
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
    pool.stop(1.0)
