"""Fakes and instruments of the tests of the bridge."""

import contextlib

import pytest
from alerting_fake import FakeAlertmanager
from prometheus_client import CollectorRegistry

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
