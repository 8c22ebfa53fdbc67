"""What is remembered passes from one configuration to the next, and to disk at the end, with a real target."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from exporter.app import App, Options
from exporter.clock import ManualClock
from exporter.config.model import Config
from exporter.journal.histories import Histories
from exporter.journal.store import Journal
from exporter.runtime import Runtime
from exporter.screening.archive import COUNT
from exporter.services import make_services

START = 1_700_000_000.0 // 3600 * 3600


class _Target(BaseHTTPRequestHandler):
    def do_GET(self):
        text = b"# TYPE x gauge\nx 1\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def target():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Target) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def journal():
    journal = Journal(None)
    yield journal
    journal.close()


def config(target, **watch):
    return Config.model_validate(
        {
            "servers": [],
            "sources": [{"name": "s", "scrape": {"targets": [target], "interval": "1s", "timeout": "1s"}}],
            "watches": [{"name": "w", "source": "s", "select": ["x"], "reason": {"when": "never"}, **watch}],
        }
    )


def collect(runtime, clock, times):
    """Scrape and screen so many times."""
    (source,) = runtime.parts.scrapes.values()
    source.refresh()
    for _ in range(times):
        for each in source.targets:
            each.collect()
        runtime.parts.watchers["w"].tick()
        clock.advance(1.0)


def counted(histories, target):
    """How many values of the running hour were saved."""
    remembered = histories.load("w", target)
    return None if remembered is None else remembered.archive.running[COUNT].tolist()


def test_a_watch_that_is_changed_goes_on_with_what_it_remembers(target, journal):
    clock, histories = ManualClock(START), Histories(None)
    services = make_services(clock, journal, lambda _: None, histories)
    first = Runtime(config(target), services)
    first.start()
    collect(first, clock, 5)
    second = Runtime(config(target, window="30m"), services, previous=first)
    second.start()
    assert second.parts.watchers["w"] is not first.parts.watchers["w"]
    collect(second, clock, 3)
    second.stop(1.0)
    assert counted(histories, target) == [8.0]


def test_a_watch_that_reads_its_series_otherwise_begins_anew(target, journal):
    clock, histories = ManualClock(START), Histories(None)
    services = make_services(clock, journal, lambda _: None, histories)
    first = Runtime(config(target), services)
    first.start()
    collect(first, clock, 5)
    second = Runtime(config(target, select=[{"series": "x", "as": "delta"}]), services, previous=first)
    second.start()
    collect(second, clock, 3)
    second.stop(1.0)
    assert counted(histories, target) == [3.0]


def test_what_is_remembered_is_on_disk_when_a_runtime_ends(target, journal, tmp_path):
    clock = ManualClock(START)
    runtime = Runtime(config(target), make_services(clock, journal, lambda _: None, Histories(tmp_path / "h")))
    runtime.start()
    collect(runtime, clock, 5)
    runtime.stop(1.0)
    assert counted(Histories(tmp_path / "h"), target) == [5.0]


def test_without_anyone_to_keep_them_histories_end_with_the_runtime(target, journal):
    clock = ManualClock(START)
    runtime = Runtime(config(target), make_services(clock, journal, lambda _: None))
    runtime.start()
    collect(runtime, clock, 2)
    runtime.stop(1.0)


@pytest.mark.parametrize("with_journal", [True, False])
def test_histories_are_kept_beside_the_journal_if_there_is_one(target, tmp_path, with_journal):
    settings = config(target)
    if with_journal:
        path = {"journal": {"path": str(tmp_path / "lmwatch.db")}}
        settings = Config.model_validate({**settings.model_dump(by_alias=True, exclude_unset=True), **path})
    app = App(lambda: settings, Options(listen=("127.0.0.1:0",)))
    app.start()
    try:
        collect(app.runtime, ManualClock(), 2)
    finally:
        app.stop()
    assert sorted(path.name for path in tmp_path.glob("*.history")) == ["lmwatch.db.history"] * with_journal
