"""Fixtures of the tests of the metering proxy."""

import pytest
from proxy_wire import Books

from exporter.proxy import passage


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server closes is closed at once, so that tests see the end; one that is about the grace gives some."""
    monkeypatch.setattr(passage, "GRACE_SECONDS", 0.0)
