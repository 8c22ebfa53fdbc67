"""Targets from files and URLs: only well-formed changes count, the last good ones stay."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.clock import ManualClock
from exporter.config.model import FileDiscovery, HttpDiscovery
from exporter.errors import BadDataError
from exporter.sources.discovery import Endpoint, FileTargets, HttpTargets, parse_groups
from exporter.sources.http import Cancel

GOOD = [{"targets": ["a:1", "b:2"], "labels": {"job": "node", "rack": "7"}}, {"targets": ["c:3"]}]
FOUND = (
    Endpoint("a:1", (("job", "node"), ("rack", "7"))),
    Endpoint("b:2", (("job", "node"), ("rack", "7"))),
    Endpoint("c:3"),
)


def file_targets(*patterns, clock=None):
    return FileTargets(FileDiscovery(files=[str(pattern) for pattern in patterns]), clock or ManualClock())


def write(path, content, stamp):
    """A file with a modification time of its own: file systems may tell two quick writes apart or not."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(path, ns=(stamp, stamp))


def refreshed(targets):
    targets.refresh()
    return targets.endpoints


def test_labels_with_two_underscores_are_dropped_except_what_says_how_to_scrape():
    labels = {
        "__meta_zone": "x",
        "__address__": "other:1",
        "__scheme__": "https",
        "__metrics_path__": "/probe",
        "__param_module": "http_2xx",
        "zone": "eu",
        "empty": "",
    }
    assert parse_groups([{"targets": ["a:1"], "labels": labels}], "x") == (
        Endpoint("a:1", (("zone", "eu"),), "https", "/probe", (("module", "http_2xx"),)),
    )


@pytest.mark.parametrize("nothing", [[], [{}], [{"targets": []}], [{"targets": None, "labels": None}]])
def test_no_targets_are_allowed(nothing):
    assert parse_groups(nothing, "x") == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "a list of target groups was expected, not nothing"),
        ({"targets": []}, "a list of target groups was expected, not a mapping"),
        (["a:1"], "entry 1: a mapping with targets and labels was expected, not text"),
        ([{}, {"targets": "a:1"}], "entry 2: targets must be a list, not text"),
        ([{"target": ["a:1"]}], "unknown key 'target'"),
        ([{"targets": ["a:1"], "labels": ["x"]}], "labels must be a mapping"),
        ([{"targets": ["a:1"], "labels": {"0x": "y"}}], "'0x' is no label name"),
        ([{"targets": ["a:1"], "labels": {"version": 1.1}}], "label version must be text; put it into quotes"),
        ([{"targets": ["a:1"], "labels": {"on": True}}], "label on must be text"),
        ([{"targets": ["http://a:1/metrics"]}], "write host:port, without scheme and path"),
        ([{"targets": ["a:1", 5]}], "'5' is no target"),
        ([{"targets": ["user@a:1"]}], "is no target"),
        ([{"targets": ["a b"]}], "is no target"),
        ([{"targets": ["a\ud800:1"]}], "is no target"),
        ([{"targets": [""]}], "is no target"),
        ([{"targets": ["a:1"], "labels": {"__scheme__": "ftp"}}], "__scheme__ must be http or https"),
    ],
)
def test_a_malformed_list_is_refused_as_a_whole_and_says_where(document, said):
    with pytest.raises(BadDataError) as caught:
        parse_groups(document, "targets.json")
    assert str(caught.value).startswith("targets.json: ")
    assert said in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["targets", "labels", "job"]) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3))
def test_whatever_the_document_is_it_gives_endpoints_or_an_error(document):
    try:
        found = parse_groups(document, "x")
    except BadDataError:
        return
    assert all(isinstance(endpoint, Endpoint) and endpoint.address for endpoint in found)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", json.dumps(GOOD)),
        ("t.yml", json.dumps(GOOD)),
        ("t.yaml", "- targets: ['a:1', b:2]\n  labels:\n    job: node\n    rack: 7\n- targets:\n  - c:3\n"),
    ],
)
def test_files_are_json_or_yaml(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    targets = file_targets(tmp_path / name)
    assert refreshed(targets) == FOUND
    assert targets.errors == ()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.json", b'[{"targets": ["x:1"]', "no valid JSON"),
        ("t.json", b"[" * 100_000, "no valid JSON"),
        ("t.yml", b"- targets: [x:1\n", "t.yml:"),
        ("t.yml", b"- targets: [x:1]\n  targets: [y:1]\n", "t.yml:2:"),
        ("t.yml", b"\xff\xfe", "not UTF-8"),
        ("t.txt", b"[]", "must end in .json, .yml or .yaml"),
    ],
)
def test_a_broken_file_keeps_the_last_good_targets_and_is_reported(tmp_path, name, content, said):
    path = tmp_path / name
    targets = file_targets(tmp_path / "*.*")
    if path.suffix != ".txt":
        write(path, GOOD, 1)
        assert refreshed(targets) == FOUND
    path.write_bytes(content)
    os.utime(path, ns=(2, 2))
    assert refreshed(targets) == (() if path.suffix == ".txt" else FOUND)
    [error] = targets.errors
    assert said in error
    assert str(path) in error
    write(path, [{"targets": ["d:4"]}], 3)
    if path.suffix != ".txt":
        assert refreshed(targets) == (Endpoint("d:4"),)
        assert targets.errors == ()


def test_a_changed_file_is_seen_at_the_next_refresh(tmp_path):
    path = tmp_path / "t.json"
    targets = file_targets(path)
    for stamp, address in enumerate(("a:1", "b:1", "b:2"), start=1):
        write(path, [{"targets": [address]}], stamp)
        assert refreshed(targets) == (Endpoint(address),)


def test_a_file_whose_change_does_not_show_is_read_again_after_the_refresh_interval(tmp_path):
    clock = ManualClock()
    path = tmp_path / "t.json"
    targets = file_targets(path, clock=clock)
    write(path, [{"targets": ["a:1"]}], 1)
    targets.refresh()
    about = path.stat()
    with path.open("r+") as file:
        file.write(json.dumps([{"targets": ["b:1"]}]))
    os.utime(path, ns=(about.st_mtime_ns, about.st_mtime_ns))
    assert refreshed(targets) == (Endpoint("a:1"),)
    clock.advance(300)
    assert refreshed(targets) == (Endpoint("b:1"),)


def test_globs_find_new_files_and_lose_deleted_ones(tmp_path):
    targets = file_targets(tmp_path / "*.json")
    assert refreshed(targets) == ()
    write(tmp_path / "b.json", [{"targets": ["b:1"]}], 1)
    write(tmp_path / "a.json", [{"targets": ["a:1"]}], 1)
    write(tmp_path / "c.yml", "nonsense", 1)
    assert refreshed(targets) == (Endpoint("a:1"), Endpoint("b:1"))
    (tmp_path / "a.json").unlink()
    assert refreshed(targets) == (Endpoint("b:1"),)
    assert targets.errors == ()


def test_a_named_file_that_is_not_there_is_reported(tmp_path):
    targets = file_targets(tmp_path / "missing.json")
    assert refreshed(targets) == ()
    assert "missing.json: there is no such file" in targets.errors[0]


@pytest.fixture
def found_by(server):
    """Makes targets of an http_sd URL."""
    made = []

    def make(url, clock=None):
        targets = HttpTargets(HttpDiscovery(url=url, refresh_interval="30s"), clock or ManualClock(), Cancel())
        made.append(targets)
        return targets

    yield make
    for targets in made:
        targets.close()


def test_a_url_lists_targets(server, found_by):
    url = server.reply("/sd", json.dumps(GOOD).encode(), Content_Type="application/json; charset=utf-8")
    assert refreshed(found_by(url)) == FOUND
    assert server.seen[0].headers["x-prometheus-refresh-interval-seconds"] == "30"
    assert server.seen[0].headers["accept"] == "application/json"


def test_a_url_is_asked_once_an_interval(server, found_by):
    clock = ManualClock()
    targets = found_by(server.reply("/sd", b"[]", Content_Type="application/json"), clock)
    for _ in range(3):
        targets.refresh()
    assert len(server.seen) == 1
    clock.advance(30)
    targets.refresh()
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, "application/json", b"[]"), "answered 500"),
        ((204, "application/json", b""), "answered 204"),
        ((200, "text/html", b"<html>"), "'text/html' where application/json was expected"),
        ((200, "application/json", b'[{"targets": ["a'), "no valid JSON"),
        ((200, "application/json", b'{"targets": []}'), "a list of target groups was expected"),
    ],
)
def test_a_bad_answer_keeps_the_last_good_targets_and_is_reported(server, found_by, answer, said):
    status, content_type, body = answer
    clock = ManualClock()
    targets = found_by(server.reply("/sd", json.dumps(GOOD).encode(), Content_Type="application/json"), clock)
    targets.refresh()
    url = server.reply("/sd", body, status=status, Content_Type=content_type)
    clock.advance(30)
    assert refreshed(targets) == FOUND
    [error] = targets.errors
    assert said in error
    assert error.startswith(url)


def test_a_server_that_is_down_keeps_the_last_good_targets(server, found_by):
    clock = ManualClock()
    targets = found_by(server.reply("/sd", json.dumps(GOOD).encode(), Content_Type="application/json"), clock)
    targets.refresh()
    server.close()
    clock.advance(30)
    assert refreshed(targets) == FOUND
    assert "connection" in targets.errors[0]
