import lmstudio_fake
import pytest

from exporter.clock import ManualClock, SystemClock
from exporter.config.model import Server
from exporter.lmstudio.client import LmStudioClient
from exporter.lmstudio.health import HealthPoller
from exporter.lmstudio.session import open_session


@pytest.fixture
def fake():
    """A scripted server; the test fails if it was asked anything that the script does not hold."""
    yield from lmstudio_fake.serving()


@pytest.fixture
def session(fake):
    session = open_session(Server(name="desk", url=fake.url))
    yield session
    session.close()


@pytest.fixture
def client(fake, session):
    return LmStudioClient(Server(name="desk", url=fake.url), session, SystemClock())


@pytest.fixture
def clock():
    return ManualClock(now=1_700_000_000.0)


@pytest.fixture
def poller(fake, session, clock):
    return HealthPoller(Server(name="desk", url=fake.url), session, clock)
