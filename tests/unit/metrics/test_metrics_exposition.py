import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from metrics_fakes import make_board, make_picture, make_prediction, make_table
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.board import Board
from exporter.metrics.annotating import AnnotationInstruments
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.collectors import BoardCollector, default_parts
from exporter.metrics.exposition import Exposition, make_registry
from exporter.metrics.instruments import Instruments
from exporter.metrics.pushing import PushInstruments
from exporter.metrics.rendering import RENDERED_FAMILIES, WatchRenderer
from exporter.metrics.webhook import WebhookInstruments
from exporter.series.labels import Series, labels_of

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
TEXT = "text/plain;version=0.0.4"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def promtool() -> str:
    bundled = ROOT / ".venv" / "debian" / "usr" / "bin" / "promtool"
    found = str(bundled) if os.access(bundled, os.X_OK) else shutil.which("promtool")
    assert found, "promtool is neither beside the virtual environment nor on PATH: run tools/setup-debian"
    return found


@pytest.fixture
def full() -> Exposition:
    """Everything that can be exposed, in use."""
    board = make_board()
    registry = make_registry(lambda: board)
    instruments = Instruments(registry)
    instruments.declare_server("desk")
    instruments.declare_watch("nodes")
    instruments.declare_pool("poll")
    instruments.poll("desk", 0.02, "timeout")
    instruments.prediction("analysis", make_prediction(), 16384)
    instruments.request_failed("desk", "qwen", "probe", "timeout")
    instruments.analysis("nodes", "ok", 3.2)
    instruments.snapshot("nodes", 2)
    instruments.models(board.servers["desk"])
    instruments.circuit("desk", "half_open")
    instruments.log_stream("desk", False)
    instruments.estimate("desk", "qwen", 1.1)
    instruments.proxy_response("desk", "qwen", 200)
    instruments.proxy("desk", connections=3, uncounted=1)
    instruments.discovery("nodes", 1)
    pushed = PushInstruments(registry, ["timeout"], 10)
    pushed.declare("http://a:9093")
    pushed.sent("http://a:9093", 2, at=1000.0)
    WebhookInstruments(registry)
    AnnotationInstruments(registry, ["timeout"]).declare()
    return Exposition(registry, lambda: board)


@pytest.fixture
def fixed() -> Exposition:
    """The board alone, without what differs between machines."""
    board = make_board()
    registry = CollectorRegistry()
    parts = [part for part in default_parts() if part.name not in ("build", "process", "python", "gc")]
    registry.register(BoardCollector(lambda: board, parts))
    return Exposition(registry, lambda: board)


@pytest.mark.parametrize(("accept", "golden"), [(TEXT, "board.txt"), (OPENMETRICS, "board.openmetrics")])
def test_the_exposition_is_byte_for_byte_what_it_was(fixed: Exposition, accept: str, golden: str):
    _, _, body = fixed.respond(accept, "", ())
    assert body == (HERE / "golden" / golden).read_bytes()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT_TYPE),
        ("*/*", TEXT_TYPE),
        (TEXT, TEXT_TYPE),
        ("text/plain; version=1.0.0; escaping=allow-utf-8", TEXT_TYPE),
        ("application/openmetrics-text", OPENMETRICS_TYPE),
        (OPENMETRICS, OPENMETRICS_TYPE),
        ("application/openmetrics-text; version=7.0.0", OPENMETRICS_TYPE),
        ("application/openmetrics-text; version=0.0.1", TEXT_TYPE),
        ("application/openmetrics-text; version=new", TEXT_TYPE),
        (PROMETHEUS_3, OPENMETRICS_TYPE),
    ],
)
def test_the_format_is_negotiated_and_its_version_clamped(fixed: Exposition, accept: str, content_type: str):
    status, headers, body = fixed.respond(accept, "", ())
    assert status == 200
    assert dict(headers)["Content-Type"] == content_type
    assert body.count(b"# EOF\n") == (1 if content_type == OPENMETRICS_TYPE else 0)
    assert body.endswith(b"# EOF\n") == (content_type == OPENMETRICS_TYPE)


def test_both_formats_parse_to_the_same_samples(full: Exposition):
    _, _, text = full.respond(TEXT, "", ())
    _, _, openmetrics = full.respond(OPENMETRICS, "", ())

    def scores(families):
        samples = [
            sample
            for family in families
            for sample in family.samples
            if not sample.name.startswith(("process", "python"))
        ]
        return sorted((sample.name, sorted(sample.labels.items()), sample.value) for sample in samples)

    read_text, read_openmetrics = scores(parse_text(text.decode())), scores(parse_openmetrics(openmetrics.decode()))
    assert len(read_text) > 200
    assert read_text == read_openmetrics


def test_no_series_is_exposed_twice(full: Exposition):
    for accept in (TEXT, OPENMETRICS):
        lines = [line.rsplit(b" ", 1)[0] for line in full.respond(accept, "", ())[2].splitlines() if line[:1] != b"#"]
        assert len(lines) == len(set(lines))


def test_promtool_finds_nothing_to_say(full: Exposition):
    _, _, body = full.respond(TEXT, "", ())
    checked = subprocess.run([promtool(), "check", "metrics"], input=body, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_what_is_exposed_is_what_the_catalogue_says(full: Exposition):
    """Names, types and labels; everything that is not planned is exposed by a program in full use."""
    exposed = {family.name: family for family in parse_openmetrics(full.respond(OPENMETRICS, "", ())[2].decode())}
    rows = {entry.family: entry for entry in CATALOGUE if not entry.planned}
    assert set(exposed) == set(rows)
    for name, family in exposed.items():
        assert family.type == rows[name].type
        for sample in family.samples:
            labels = set(sample.labels) - {"le"}
            assert labels >= set(rows[name].labels)
            assert rows[name].more_labels or labels == set(rows[name].labels)


def test_every_exposed_family_has_help_and_samples(full: Exposition):
    for family in parse_text(full.respond(TEXT, "", ())[2].decode()):
        assert family.documentation
        assert family.samples, f"{family.name} is declared, but has no samples"


@pytest.mark.parametrize("encoding", ["gzip", "deflate, gzip;q=1.0, *;q=0.5"])
def test_gzip_where_it_is_accepted(fixed: Exposition, encoding: str):
    _, headers, body = fixed.respond(TEXT, encoding, ())
    assert ("Content-Encoding", "gzip") in headers
    assert gzip.decompress(body) == fixed.respond(TEXT, "", ())[2]


@pytest.mark.parametrize("encoding", ["", "br", "identity"])
def test_no_gzip_where_it_is_not_accepted(fixed: Exposition, encoding: str):
    assert "Content-Encoding" not in dict(fixed.respond(TEXT, encoding, ())[1])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["lmwatch_anomaly_score"], {"lmwatch_anomaly_score"}),
        (["lmstudio_up", "lmwatch_anomaly_kind"], {"lmstudio_up", "lmwatch_anomaly_kind"}),
        (["lmstudio_requests_total"], {"lmstudio_requests"}),
        (["process_resident_memory_bytes"], {"process_resident_memory_bytes"}),
        (["nothing_like_it"], set()),
    ],
)
@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_names_restrict_the_answer(full: Exposition, accept: str, names: list[str], found: set[str]):
    _, _, body = full.respond(accept, "", names)
    parse = parse_openmetrics if accept == OPENMETRICS else parse_text
    assert {family.name for family in parse(body.decode())} == found


def test_blocks_of_all_watches_stand_under_one_head():
    renderer = WatchRenderer()
    series = (Series("load", labels_of({"instance": "a"})),)
    pictures = [make_picture(make_table(series, anomaly=[0.5]), name=name) for name in ("one", "two")]
    board = make_board(rendered={picture.name: renderer.render(picture) for picture in pictures})
    text = Exposition(CollectorRegistry(), lambda: board).respond(TEXT, "", ())[2].decode()
    assert text.count("# TYPE lmwatch_anomaly_score gauge\n") == 1
    assert text.count("# HELP lmwatch_anomaly_score ") == 1
    assert text.count("\nlmwatch_anomaly_score{") == 2
    assert "lmwatch_series_value" not in text


def test_the_answer_follows_the_board():
    boards = [make_board(rendered={}), make_board()]
    exposition = Exposition(CollectorRegistry(), lambda: boards[-1])
    assert b"lmwatch_anomaly_score" in exposition.respond(TEXT, "", ())[2]
    boards.pop()
    assert exposition.respond(TEXT, "", ())[2] == b""
    assert exposition.respond(OPENMETRICS, "", ())[2] == b"# EOF\n"


def test_thousands_of_scored_series_are_all_in_the_answer():
    series = tuple(Series("cpu", labels_of({"instance": str(number)})) for number in range(5000))
    picture = make_picture(make_table(series, anomaly=[0.5] * 5000, screen=[0.25] * 5000))
    rendered = {"w": WatchRenderer().render(picture)}
    board: Board = make_board(watches={"w": picture}, rendered=rendered)
    body = Exposition(make_registry(lambda: board), lambda: board).respond(OPENMETRICS, "gzip", ())[2]
    lines = gzip.decompress(body).splitlines()
    for family in (b"lmwatch_anomaly_score{", b"lmwatch_screen_anomaly_score{"):
        assert sum(line.startswith(family) for line in lines) == 5000


def test_rendered_families_do_not_clash_with_the_registry():
    registry = make_registry(make_board)
    Instruments(registry)
    assert not {family.name for family in registry.collect()} & set(RENDERED_FAMILIES)
