"""The reporter: news reaches the board only of what is configured, and events only of one and the same server."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.board import WatchPicture
from exporter.clock import ManualClock
from exporter.journal.store import Journal
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import Model, Prediction, ServerHealth
from exporter.services import make_services
from exporter.sources.collected import Collected


@pytest.fixture
def journal():
    journal = Journal(None)
    yield journal
    journal.close()


@pytest.fixture
def services(journal):
    return make_services(ManualClock(1000.0), journal, lambda _: None)


@pytest.fixture
def reporter(services):
    reporter = services.reporter
    reporter.announce(servers=["desk"], sources=["nodes"], watches=["w"])
    return reporter


def health(server="desk", url="http://a:1", *models, at=1000.0):
    loaded = tuple(Model(id=name, key=name, kind="llm", loaded=True) for name in models)
    return ServerHealth(
        server, url, up=True, api="v1", version="", models=loaded, poll_duration_seconds=0.1, polled_at=at
    )


def collected(source="nodes"):
    return Collected(source, "a:1", up=True, duration_seconds=0.1, samples=1, at=1000.0)


def picture(name="w"):
    return WatchPicture(name=name, state="ok", reason="", at=1000.0)


def names(board):
    return set(board.servers), {source for source, _ in board.sources}, set(board.watches)


def test_news_of_what_is_not_configured_is_dropped(reporter):
    reporter.poll(health("attic"))
    reporter.collected(collected("others"))
    reporter.picture(picture("x"))
    assert names(reporter.board.current()) == (set(), set(), set())


def test_what_is_no_longer_configured_is_forgotten_and_its_late_news_is_dropped(reporter):
    reporter.poll(health())
    reporter.collected(collected())
    reporter.picture(picture())
    assert names(reporter.board.current()) == ({"desk"}, {"nodes"}, {"w"})
    reporter.retain(servers=[], sources=[], watches=[])
    reporter.poll(health())
    reporter.collected(collected())
    reporter.picture(picture())
    assert names(reporter.board.current()) == (set(), set(), set())


def test_it_is_ready_once_every_server_was_polled(reporter):
    reporter.announce(servers=["attic"], sources=[], watches=[])
    reporter.poll(health("desk"))
    assert not reporter.board.current().ready
    reporter.poll(health("attic"))
    assert reporter.board.current().ready


def test_runs_left_out_are_shown_at_0_before_any_is(journal):
    _, _, text = make_services(ManualClock(1000.0), journal, lambda _: None).exposition.respond("", "", ())
    assert b'lmwatch_jobs_missed_total{pool="collect"} 0.0\n' in text
    assert b'lmwatch_jobs_missed_total{pool="poll"} 0.0\n' in text


def test_a_model_that_goes_is_an_event(reporter, journal):
    reporter.poll(health("desk", "http://a:1", "qwen"))
    reporter.poll(health("desk", "http://a:1", at=1010.0))
    assert [(event.kind, event.document["model"]) for event in journal.events()] == [("unloaded", "qwen")]


def test_of_two_polls_that_overtake_each_other_the_later_counts(reporter, journal):
    reporter.poll(health("desk", "http://a:1", "qwen", at=1000.0))
    reporter.poll(health("desk", "http://a:1", "qwen", at=1010.0))
    reporter.poll(health("desk", "http://a:1", at=1009.9))
    assert journal.events() == []
    assert [model.id for model in reporter.board.current().servers["desk"].models] == ["qwen"]
    reporter.poll(health("desk", "http://a:1", at=1010.0 - 3600.0))
    assert reporter.board.current().servers["desk"].models == (), "a clock that was set back is no reason to wait"


def test_another_server_under_the_same_name_has_unloaded_nothing(reporter, journal):
    reporter.poll(health("desk", "http://a:1", "qwen"))
    reporter.poll(health("desk", "http://b:1", "gemma", at=1010.0))
    assert journal.events() == []


def prediction(server="desk"):
    return Prediction(
        server=server,
        model="qwen",
        asked_model="qwen",
        text="",
        reasoning="",
        finish_reason="stop",
        prompt_tokens=10,
        output_tokens=5,
        reasoning_tokens=None,
        cached_prompt_tokens=None,
        time_to_first_token_seconds=0.1,
        duration_seconds=1.0,
        tokens_per_second=20.0,
        timed_by="clock",
    )


def servers_shown(services):
    _, _, text = services.exposition.respond("", "", ())
    families = text_string_to_metric_families(text.decode())
    return {sample.labels["server"] for family in families for sample in family.samples if "server" in sample.labels}


def test_what_still_comes_from_a_server_that_left_brings_none_of_its_series_back(services, reporter):
    qwen = Model(id="qwen", key="qwen", kind="llm", loaded=True)
    reporter.prediction("analysis", prediction(), qwen)
    assert servers_shown(services) == {"desk"}
    reporter.retain(servers=[], sources=["nodes"], watches=["w"])
    reporter.prediction("analysis", prediction(), qwen)
    reporter.proxied("traffic", prediction(), 4096)
    reporter.logged(prediction())
    reporter.failure("desk", "qwen", "analysis", ModelFailure("cancelled"))
    reporter.probed("desk", "failed")
    reporter.responded("desk", "qwen", 200)
    assert servers_shown(services) == set()
