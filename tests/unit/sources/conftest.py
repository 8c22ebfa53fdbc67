"""Fixtures of the source tests."""

import contextlib

import pytest
from sources_fake_server import serving

from exporter.config.http import HttpClient
from exporter.sources.http import HttpSession


@pytest.fixture
def server():
    """A fake server that fails the test on unexpected requests."""
    with serving() as fake:
        yield fake


@pytest.fixture
def open_session():
    """Makes HTTP sessions from `http_config` values; they are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(settings=None, **kwargs):
            session = HttpSession(HttpClient.model_validate(settings or {}), **kwargs)
            stack.callback(session.close)
            return session

        yield make


@pytest.fixture
def session(server, open_session):
    """A plain session; closed before the server, so that its idle connections don't hold the server up."""
    return open_session()
