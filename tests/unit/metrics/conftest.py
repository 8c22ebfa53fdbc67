"""Instruments of the tests of the metrics."""

import pytest
from prometheus_client import CollectorRegistry

from exporter.clock import ManualClock
from exporter.metrics.instruments import Instruments


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def instruments(registry: CollectorRegistry) -> Instruments:
    """Instruments for which it is 1000 seconds after 1970."""
    return Instruments(registry, clock=ManualClock(now=1000.0))
