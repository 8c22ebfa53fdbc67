"""Scraping over real sockets: what is asked, what is kept, and what a bad target does not break."""

import gzip
import json
import os

import pytest

from exporter.clock import ManualClock
from exporter.config.model import Scrape, Source
from exporter.errors import ConfigError
from exporter.sources.scrape import ScrapeSource

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BODY = b"# TYPE a gauge\na 1\nb_total 2\n"


@pytest.fixture
def make(server):
    """Makes refreshed sources; closed before the server."""
    made = []

    def source(targets=None, *, clock=None, **settings):
        targets = [server.address] if targets is None else targets
        config = Source(name="nodes", scrape=Scrape.model_validate({"targets": targets, **settings}))
        made.append(ScrapeSource(config, horizon=600.0, clock=clock or ManualClock(1000.0)))
        made[-1].refresh()
        return made[-1]

    yield source
    for source in made:
        source.close()


def only(source):
    [target] = source.targets
    return target


def names(target):
    return sorted(str(series) for series in target.window.series)


def test_a_scrape_fills_the_window_and_says_how_it_went(server, make):
    server.reply("/metrics", BODY, Content_Type=TEXT)
    clock = ManualClock(1000.0)
    target = only(make(clock=clock))
    assert target.last is None
    state = target.collect()
    assert state == target.last
    assert (state.source, state.target, state.up, state.samples, state.at) == ("nodes", server.address, True, 2, 1000.0)
    assert state.error == ""
    labels = f'instance="{server.address}",job="nodes"'
    assert names(target) == [f"a{{{labels}}}", f"b_total{{{labels}}}"]


def test_it_asks_as_prometheus_does(server, make):
    server.reply("/metrics", BODY, Content_Type=TEXT)
    only(make(timeout="7s")).collect()
    headers = server.seen[0].headers
    assert headers["accept"].startswith("application/openmetrics-text;version=1.0.0")
    assert "text/plain;version=0.0.4" in headers["accept"]
    assert headers["x-prometheus-scrape-timeout-seconds"] == "7"
    assert headers["accept-encoding"] == "gzip"
    assert headers["user-agent"].startswith("lmwatch/")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (gzip.compress(BODY), {"Content_Type": TEXT, "Content_Encoding": "gzip"}),
        (b"# TYPE a gauge\na 1\n# TYPE b counter\nb_total 2\n# EOF\n", {"Content_Type": OPENMETRICS}),
    ],
    ids=["plain without a type", "packed", "OpenMetrics"],
)
def test_the_text_formats_are_taken_also_packed_and_without_a_type(server, make, body, headers):
    server.reply("/metrics", body, **headers)
    assert only(make()).collect().samples == 2


def test_path_params_and_labels_are_the_configured_ones(server, make):
    server.reply("/probe", BODY, Content_Type=TEXT)
    target = only(make(path="/probe", params={"module": ["x", "y"]}, labels={"job": "own", "team": "ops"}))
    target.collect()
    assert server.seen[0].query == [("module", "x"), ("module", "y")]
    assert names(target)[0] == f'a{{instance="{server.address}",job="own",team="ops"}}'


def test_exposed_labels_move_aside_unless_they_are_to_be_honoured(server, make):
    server.reply("/metrics", b'a{job="theirs"} 1\n', Content_Type=TEXT)
    ours, theirs = only(make()), only(make(honor_labels=True))
    ours.collect()
    theirs.collect()
    assert names(ours) == [f'a{{exported_job="theirs",instance="{server.address}",job="nodes"}}']
    assert names(theirs) == [f'a{{instance="{server.address}",job="theirs"}}']


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>", {"Content_Type": "text/html; charset=utf-8"}), "'text/html' where metrics in text/plain"),
        ((200, b"{}", {"Content_Type": "application/json"}), "'application/json' where metrics"),
        ((200, b"", {"Content_Type": TEXT}), "an empty body"),
        ((200, b"a 1\nthis is no metric line\n", {"Content_Type": TEXT}), "line 2"),
        ((200, b"# TYPE a gauge\na 1\n", {"Content_Type": OPENMETRICS}), "EOF"),
        ((401, b"", {}), "check basic_auth or authorization"),
        ((404, b"", {}), "check path"),
        (
            (500, b"collector failed\nmore", {"Content_Type": "text/plain"}),
            "answered 500 where 200 with metrics was expected: collector failed",
        ),
        ((503, b"<html>", {"Content_Type": "text/html"}), "answered 503"),
        ((302, b"", {"Location": "/metrics"}), "more than 10 redirects"),
    ],
)
def test_a_bad_answer_takes_nothing_and_says_url_and_reason(server, make, answer, said):
    status, body, headers = answer
    server.reply("/metrics", BODY, Content_Type=TEXT)
    clock = ManualClock(1000.0)
    target = only(make(clock=clock))
    target.collect()
    before = names(target)
    server.reply("/metrics", body, status=status, **headers)
    clock.advance(15)
    state = target.collect()
    assert not state.up
    assert state.samples == 0
    assert said in state.error
    assert state.error.startswith(f"{server.url}/metrics: ")
    assert names(target) == before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sample_limit": 1}, "sample_limit"),
        ({"label_limit": 2}, "label_limit"),
        ({"label_value_length_limit": 4}, "label_value_length_limit"),
        ({"body_size_limit": "10B"}, "limit of 10 bytes"),
    ],
)
def test_limits_fail_the_scrape(server, make, settings, said):
    server.reply("/metrics", b'a{x="1"} 1\nb{x="12345"} 2\n', Content_Type=TEXT)
    state = only(make(**settings)).collect()
    assert not state.up
    assert said in state.error


def test_a_target_that_is_down_or_slow_is_down_with_the_reason(server, make):
    server.on("/metrics", lambda _, reply: reply.hang())
    target = only(make(timeout="250ms"))
    assert "no complete answer within 0.25 s" in target.collect().error
    server.close()
    assert "connection refused" in target.collect().error


def test_dropped_samples_are_warnings(server, make):
    server.reply("/metrics", b"a 1\na 2\n", Content_Type=TEXT)
    state = only(make()).collect()
    assert state.up
    assert "1 samples" in state.warnings[0]


def test_a_fault_of_ours_shows_the_target_as_down_and_is_logged(server, make, monkeypatch, caplog):
    server.reply("/metrics", b"a 1\n", Content_Type=TEXT)
    target = only(make())
    assert target.collect().up
    monkeypatch.setattr(target.window, "ingest", None)
    state = target.collect()
    assert (state.up, target.last) == (False, state)
    assert "lmwatch failed: TypeError" in state.error
    assert [record.exc_info is not None for record in caplog.records] == [True]


def write(path, groups, stamp):
    path.write_text(json.dumps(groups))
    os.utime(path, ns=(stamp, stamp))


def test_discovered_targets_come_and_go_and_unchanged_ones_keep_their_window(make, tmp_path):
    path = tmp_path / "t.json"
    write(path, [{"targets": ["b:1", "c:1"], "labels": {"job": "found"}}], 1)
    source = make(["a:1"], file_sd=[{"files": [str(path)]}], labels={"job": "listed", "zone": "eu"})
    assert [target.address for target in source.targets] == ["a:1", "b:1", "c:1"]
    a, b, c = source.targets
    assert dict(a.labels) == {"instance": "a:1", "job": "listed", "zone": "eu"}
    assert dict(b.labels) == {"instance": "b:1", "job": "found", "zone": "eu"}
    write(path, [{"targets": ["b:1"], "labels": {"job": "found"}}, {"targets": ["d:1"]}], 2)
    source.refresh()
    assert source.targets[:2] == (a, b)
    assert [target.address for target in source.targets[2:]] == ["d:1"]
    assert (source.holds(b), source.holds(c)) == (True, False)
    before = source.targets
    source.refresh()
    assert source.targets == before


def test_a_target_with_new_labels_is_a_new_target(make, tmp_path):
    path = tmp_path / "t.json"
    write(path, [{"targets": ["b:1"], "labels": {"x": "1"}}], 1)
    source = make([], file_sd=[{"files": [str(path)]}])
    old = only(source)
    write(path, [{"targets": ["b:1"], "labels": {"x": "2"}}], 2)
    source.refresh()
    assert not source.holds(old)
    assert only(source).window is not old.window


def test_discovered_targets_say_how_they_are_scraped(server, make, tmp_path):
    path = tmp_path / "t.json"
    labels = {"__metrics_path__": "/own", "__param_module": "m", "__meta_x": "y"}
    write(path, [{"targets": [server.address], "labels": labels}], 1)
    server.reply("/own", BODY, Content_Type=TEXT)
    target = only(make([], file_sd=[{"files": [str(path)]}], params={"module": ["other"], "kept": ["1"]}))
    assert target.collect().up
    assert sorted(server.seen[0].query) == [("kept", "1"), ("module", "m")]
    assert dict(target.labels) == {"instance": server.address, "job": "nodes"}


def test_errors_of_discovery_are_told_and_the_rest_goes_on(make, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    source = make(["a:1"], file_sd=[{"files": [str(tmp_path / "bad.json")]}])
    assert [target.address for target in source.targets] == ["a:1"]
    assert "bad.json" in source.errors[0]


def test_one_address_is_one_target(make, tmp_path):
    path = tmp_path / "t.json"
    write(path, [{"targets": ["a:1"], "labels": {"x": "1"}}, {"targets": ["b:1", "b:1"]}], 1)
    source = make(["a:1"], file_sd=[{"files": [str(path)]}])
    assert [target.address for target in source.targets] == ["a:1", "b:1"]
    assert source.targets[0].endpoint.labels == ()
    [error] = source.errors
    assert "a:1 is there more than once" in error


def test_turns_are_spread_over_the_interval_and_stay_after_a_restart(make):
    addresses = [f"host{number}:9100" for number in range(400)]
    first, second = make(addresses), make(addresses)
    offsets = [first.offset(target, 15.0) for target in first.targets]
    assert offsets == [second.offset(target, 15.0) for target in second.targets]
    assert all(0 <= offset < 15 for offset in offsets)
    counts = [sum(second <= offset < second + 1 for offset in offsets) for second in range(15)]
    assert min(counts) > 400 / 15 / 3
    assert max(counts) < 400 / 15 * 3


def test_closing_ends_scrapes_under_way(server, make):
    from concurrent.futures import ThreadPoolExecutor

    from sources_fake_server import wait_until

    server.on("/metrics", lambda _, reply: reply.hang())
    source = make()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(only(source).collect)
        wait_until(lambda: bool(server.seen))
        source.close()
        assert "cancelled" in running.result(timeout=10).error


def test_a_source_without_a_scrape_part_is_a_programming_error():
    from exporter.config.model import PrometheusApi

    with pytest.raises(ValueError, match="no scrape part"):
        ScrapeSource(Source(name="x", prometheus=PrometheusApi(url="http://a")), horizon=60, clock=ManualClock())


@pytest.mark.parametrize("target", ["http://a:1", "a:1/metrics", "a b:1"])
def test_a_listed_target_that_is_no_address_is_refused(target):
    config = Source.model_construct(name="x", scrape=Scrape.model_construct(targets=[target]))
    with pytest.raises(ConfigError, match="source x, targets"):
        ScrapeSource(config, horizon=60, clock=ManualClock())
