"""Fakes, worlds and instruments of the tests of the bridge."""

import contextlib

import pytest
from alerting_fake import FakeAlertmanager
from prometheus_client import CollectorRegistry
from strict_receiver import receiving
from webhook_world import World

from exporter.alerting.alertmanager import REASONS
from exporter.metrics.pushing import PushInstruments


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def instruments(registry):
    return PushInstruments(registry, REASONS, 10_000)


@pytest.fixture
def make_alertmanager():
    """Makes fake Alertmanagers; at the end none may have been sent anything malformed."""
    with contextlib.ExitStack() as stack:

        def make(**options):
            fake = FakeAlertmanager(**options)
            stack.callback(fake.close)
            return fake

        yield make


@pytest.fixture
def alertmanager(make_alertmanager):
    return make_alertmanager()


@pytest.fixture
def receiver():
    with receiving() as strict:
        yield strict


@pytest.fixture
def make_world(receiver):
    """Makes worlds that are closed at the end, before their receiver."""
    with contextlib.ExitStack() as stack:

        def make(path=None, **settings) -> World:
            world = World(path, **settings)
            stack.callback(world.close)
            return world

        yield make


@pytest.fixture
def world(make_world, receiver):
    """A world that sends on."""
    return make_world(forward_to=receiver.url)
