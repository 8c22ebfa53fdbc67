"""Discovered targets: what is scheduled and shown follows what is discovered, also over a reload."""

import json
import os
from dataclasses import replace

import pytest

from exporter.clock import ManualClock
from exporter.config.model import Config
from exporter.journal.store import Journal
from exporter.runtime import Runtime
from exporter.services import make_services
from exporter.sources.collected import Collected


class _Jobs:
    """A scheduler that runs nothing by itself."""

    def __init__(self):
        self.scheduled = {}

    def every(self, seconds, job, *, name, kind, offset=0.0):
        del seconds, kind, offset
        self.scheduled[name] = job

    def cancel(self, name):
        self.scheduled.pop(name, None)

    @property
    def scraped(self):
        return {name for name in self.scheduled if name.startswith("scrape:")}


@pytest.fixture
def jobs():
    return _Jobs()


@pytest.fixture
def services(jobs):
    journal = Journal(None)
    yield replace(make_services(ManualClock(1000.0), journal, lambda _: None), scheduler=jobs)
    journal.close()


@pytest.fixture
def listing(tmp_path):
    """Writes the addresses that are discovered."""
    path, stamps = tmp_path / "targets.json", iter(range(1, 100))

    def write(*addresses):
        path.write_text(json.dumps([{"targets": list(addresses)}]))
        os.utime(path, ns=(stamp := next(stamps), stamp))

    write.path = path
    return write


def config(listing, window="1h"):
    return Config.model_validate(
        {
            "servers": [],
            "sources": [{"name": "s", "scrape": {"file_sd": [{"files": [str(listing.path)]}]}}],
            "watches": [
                {"name": "w", "source": "s", "select": ["x"], "window": window, "reason": {"when": "never"}},
            ],
        }
    )


def show(services, address):
    services.reporter.collected(Collected("s", address, up=True, duration_seconds=0.1, samples=1, at=1000.0))


def shown(services):
    return {target for _, target in services.reporter.board.current().sources}


def test_a_target_that_is_no_longer_discovered_is_neither_scraped_nor_shown(services, jobs, listing):
    listing("a:1", "b:1")
    runtime = Runtime(config(listing), services)
    runtime.start()
    jobs.scheduled["discover:s"]()
    for address in ("a:1", "b:1"):
        show(services, address)
    listing("a:1")
    jobs.scheduled["discover:s"]()
    assert jobs.scraped == {"scrape:s:a:1"}
    assert shown(services) == {"a:1"}
    runtime.stop(1.0)


def test_a_target_that_leaves_while_the_configuration_is_reloaded_does_not_stay(services, jobs, listing):
    listing("a:1", "b:1")
    first = Runtime(config(listing), services)
    first.start()
    discover = jobs.scheduled["discover:s"]
    discover()
    for address in ("a:1", "b:1"):
        show(services, address)
    second = Runtime(config(listing, window="30m"), services, previous=first)
    second.start()
    assert second.parts.scrapes["s"] is first.parts.scrapes["s"]
    listing("a:1")
    discover()  # the last run of the old configuration's job ends only now
    jobs.scheduled["discover:s"]()
    assert jobs.scraped == {"scrape:s:a:1"}
    assert shown(services) == {"a:1"}
    second.stop(1.0)


def test_what_is_wrong_with_discovery_is_shown_logged_once_and_told_by_the_watch(services, jobs, listing, caplog):
    caplog.set_level("INFO", "exporter.reporter")

    def problems():
        lines = services.exposition.respond("", "", ())[2].decode().splitlines()
        return [line for line in lines if line.startswith("lmwatch_source_discovery_errors{")]

    def told():
        return [record.getMessage() for record in caplog.records if "discovered" in record.getMessage()]

    runtime = Runtime(config(listing), services)
    runtime.start()
    for _ in range(2):
        jobs.scheduled["discover:s"]()
    assert problems() == ['lmwatch_source_discovery_errors{source="s"} 1.0']
    assert told() == ["targets cannot all be discovered"]
    runtime.parts.watchers["w"].tick()
    picture = services.reporter.board.current().watches["w"]
    assert (picture.state, "there is no such file" in picture.reason) == ("failed", True)
    listing("a:1")
    jobs.scheduled["discover:s"]()
    assert problems() == ['lmwatch_source_discovery_errors{source="s"} 0.0']
    assert told() == ["targets cannot all be discovered", "all targets are discovered again"]
    without = config(listing).model_copy(update={"sources": [], "watches": []})
    successor = Runtime(without, services, previous=runtime)
    successor.start()
    assert problems() == []
    successor.stop(1.0)
