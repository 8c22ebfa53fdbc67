"""The beginning and the end of lmwatch."""

import pytest

from exporter.app import STOP_SECONDS, App, Options
from exporter.config.model import Config
from exporter.errors import LmwatchError

PATIENCE = 10.0
"""Seconds before supervisors such as Docker kill what they asked to end."""
REST = 2.0
"""Of them, for all that has no budget: the scheduler, the journal, the interpreter."""


def test_all_parts_together_end_within_a_supervisors_patience():
    assert STOP_SECONDS.total <= PATIENCE - REST


def test_what_does_not_run_is_not_reloaded():
    app = App(lambda: Config(servers=[]), Options(listen=("127.0.0.1:0",)))
    with pytest.raises(LmwatchError, match="does not run"):
        app.reload()
    app.journal.close()


def test_nothing_is_reloaded_before_all_has_started():
    app = App(lambda: Config(servers=[]), Options(listen=("127.0.0.1:0",)))
    start_runtime, held = app.runtime.start, []

    def start():
        held.append(app._reloading.locked())
        start_runtime()

    app.runtime.start = start
    app.start()
    try:
        assert held == [True]
        app.reload()
    finally:
        app.stop()
