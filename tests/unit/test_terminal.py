"""`lmwatch status`: what a person and a program read, with and without a running lmwatch beside it."""

import io
import json
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry
from rich.console import Console

from exporter import terminal
from exporter.board import Board, ReloadState
from exporter.config.model import Config, Server
from exporter.drawing.terminal import put
from exporter.embedded.scripted import SCRIPTED_MODEL, ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import other_models
from exporter.embedded.studio_faults import Fault
from exporter.errors import BadDataError
from exporter.lmstudio.wire import Prediction, ServerHealth
from exporter.metrics.exposition import Exposition
from exporter.metrics.instruments import Instruments
from exporter.running import read_watches
from exporter.status_tables import Picture, format_size, status_parts
from exporter.terminal import print_status

MODEL = SCRIPTED_MODEL.key
CLOSED_PORT = "http://127.0.0.1:9"


class RunningLmwatch(ThreadingHTTPServer):
    """The exposition of an lmwatch that has seen a prediction and a failure."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked, self.status, self.watches = [], 200, []
        board = Board(started_at=0.0, reload=ReloadState(successful=True, last_success_at=0.0))
        registry = CollectorRegistry()
        instruments = Instruments(registry)
        answer = Prediction("desk", MODEL, MODEL, "", "", "stop", 900, 100, 0, 0, 0.7, 3.2, 41.26, "server")
        instruments.prediction("analysis", answer, 4000)
        instruments.request_failed("desk", MODEL, "probe", "slot_timeout")
        instruments.circuit("desk", "half_open")
        self.exposition = Exposition(registry, lambda: board)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        _, headers, body = self.server.exposition.respond(self.headers["Accept"], "", ())
        if self.path == "/api/v1/status":
            body = json.dumps({"status": "success", "data": {"watches": self.server.watches}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", dict(headers)["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def no_lmwatch_by_default(monkeypatch):
    """Whatever listens on the default port of this machine is none of the tests' business."""
    monkeypatch.setattr(terminal, "DEFAULT_URL", CLOSED_PORT)


@pytest.fixture
def running():
    server = RunningLmwatch()
    yield server
    server.close()


@pytest.fixture
def studio():
    with StudioServer([ScriptedEngine(lambda _: "Calm."), *other_models()]) as server:
        yield server


def config(**servers):
    return Config(servers=[Server(name=name, url=url, rpc="off") for name, url in servers.items()])


def lines(capsys):
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def row(printed, start):
    (found,) = (line for line in printed if line.startswith(start))
    return found.split()


def test_servers_and_models_stand_in_tables_the_loaded_ones_first(studio, capsys):
    assert print_status(config(desk=studio.url), as_json=False) == 0
    printed = lines(capsys)
    assert row(printed, f"desk    {studio.url}")[2:4] == ["up", "v1"]
    models = [line.split() for line in printed[printed.index("") + 1 :]]
    assert models[0] == ["SERVER", "MODEL", "LOADED", "CONTEXT", "QUANTIZATION", "SIZE"]
    assert [(cells[1], cells[2]) for cells in models[1:]] == [
        (MODEL, "yes"),
        ("qwen2-vl-7b-instruct", "no"),
        ("qwen2.5-7b-instruct", "no"),
        ("text-embedding-nomic-embed-text-v1.5", "no"),
    ]
    assert "4,096" in models[1]
    assert "4.4 GiB" in printed[-2]


def test_a_server_that_is_down_says_why_and_is_exit_code_1(studio, capsys):
    assert print_status(config(desk=studio.url, attic=CLOSED_PORT), as_json=False) == 1
    printed = lines(capsys)
    assert row(printed, "attic ")[2] == "down"
    assert any("unreachable" in line for line in printed)
    assert row(printed, f"desk    {studio.url}")[2] == "up"


def test_a_running_lmwatch_adds_the_figures_that_only_it_knows(studio, running, capsys):
    assert print_status(config(desk=studio.url), as_json=False, url=running.url) == 0
    printed = lines(capsys)
    (model,) = (line for line in printed if line.startswith(f"desk    {MODEL}"))
    assert "half open" in "".join(printed)
    for cell in ("25%", "41.3", "700 ms", "slot_timeout, "):
        assert cell in model
    assert model.endswith(" ago")
    metrics, status = running.asked
    assert "name%5B%5D=lmstudio_tokens_per_second" in metrics
    assert status == "/api/v1/status"


SHOP = {
    "watch": "shop",
    "state": "degraded",
    "reason": "no model can be asked",
    "series": 1200,
    "suspicious": 2,
    "top": [
        {"metric": "orders", "labels": {"shop": "a"}, "score": 0.4, "kind": None},
        {"metric": "orders", "labels": {"shop": "b"}, "score": 0.91, "kind": "level_shift"},
    ],
}
CALM = {"watch": "calm", "state": "warming", "reason": "", "series": 0, "suspicious": 0, "top": []}


def test_the_watches_of_a_running_lmwatch_stand_in_a_table_with_their_top_score(studio, running, capsys):
    running.watches = [SHOP, CALM]
    assert print_status(config(desk=studio.url), as_json=False, url=running.url) == 0
    printed = lines(capsys)
    at = printed.index('shop   degraded   1,200    2   0.91  level shift  orders{shop="b"}')
    assert printed[at - 1].split() == ["WATCH", "STATE", "SERIES", "ODD", "SCORE", "KIND", "HIGHEST", "SCORE"]
    assert printed[at + 1].split() == ["calm", "warming", "0", "0", "-", "-", "-"]
    assert printed[at + 2] == "shop: no model can be asked"


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"no json", b'{"data": {"watches": [{"watch": "x"}]}}', b'{"data": {"watches": 3}}']
)
def test_an_answer_that_is_none_of_lmwatch_is_said_to_be_none(body):
    with pytest.raises(BadDataError, match="is not what lmwatch answers"):
        read_watches(body)


def test_a_narrow_terminal_leaves_out_columns_and_says_which_and_a_pipe_has_all(studio, running):
    looked = Picture((), {}, (), "", (), 0.0)
    health = ServerHealth(
        server="desk",
        url="http://desk:1234",
        up=True,
        api="v1",
        version="0.4.24",
        models=(),
        polled_at=0.0,
        poll_duration_seconds=0.0123,
    )
    looked = replace(looked, servers=(health,))
    narrow, whole = io.StringIO(), io.StringIO()
    for output, width in ((narrow, 40), (whole, None)):
        put(Console(file=output, width=width or 10_000), *status_parts(looked, width))
    assert narrow.getvalue().splitlines()[0].split() == ["SERVER", "URL", "STATE"]
    assert "no room for API, VERSION,\nANSWERED IN\n" in narrow.getvalue()
    assert whole.getvalue().splitlines()[0].split() == ["SERVER", "URL", "STATE", "API", "VERSION", "ANSWERED", "IN"]
    assert "12 ms" in whole.getvalue()


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_lmwatch_that_was_named_and_does_not_answer_well_is_remarked_on(studio, running, capsys, status):
    running.status = status
    assert print_status(config(desk=studio.url), as_json=False, url=running.url) == 0
    assert lines(capsys)[-1] == f"no figures from {running.url}/metrics: status {status}"


def test_an_lmwatch_that_was_named_and_is_not_there_is_remarked_on(studio, capsys):
    assert print_status(config(desk=studio.url), as_json=False, url=CLOSED_PORT) == 0
    assert lines(capsys)[-1].startswith(f"no figures from lmwatch: {CLOSED_PORT}/metrics")


def test_the_default_address_is_tried_without_a_word(studio, running, monkeypatch, capsys):
    print_status(config(desk=studio.url), as_json=False)
    assert "no figures" not in capsys.readouterr().out
    monkeypatch.setattr(terminal, "DEFAULT_URL", running.url)
    print_status(config(desk=studio.url), as_json=False)
    assert "41.3" in capsys.readouterr().out


def test_programs_get_json_with_the_same_facts(studio, running, capsys):
    assert print_status(config(desk=studio.url, attic=CLOSED_PORT), as_json=True, url=running.url) == 1
    desk, attic = json.loads(capsys.readouterr().out)
    assert (desk["up"], desk["api"], desk["circuit"], attic["up"], attic["circuit"]) == (
        *(True, "v1", "half_open"),
        *(False, None),
    )
    models = {model["id"]: model for model in desk["models"]}
    assert models[MODEL]["loaded"] is True
    assert models[MODEL]["figures"]["tokens_per_second"] == 41.26
    assert models[MODEL]["figures"]["last_failure"] == "slot_timeout"
    assert models["qwen2.5-7b-instruct"]["figures"] is None


def test_what_a_server_writes_reaches_the_terminal_as_text(studio, capsys):
    """Neither markup nor escape sequences in a server's texts do anything."""
    studio.faults.inject(Fault("error_200", text="[red]\x1b[2J\x07gone[/]"), times=None)
    assert print_status(config(desk=studio.url), as_json=False) == 1
    out = capsys.readouterr().out
    assert "[red] [2J gone[/]" in out
    assert "\x1b" not in out


class Watched(threading.Thread):
    """`print_status` that watches, in a thread of its own, with its output caught."""

    def __init__(self, monkeypatch, *arguments, **options):
        super().__init__(daemon=True)
        self.out, self.end, self.code = io.StringIO(), threading.Event(), None
        monkeypatch.setattr("sys.stdout", self.out)
        self._call = lambda: print_status(*arguments, watch_seconds=0.02, stop=self.end, **options)

    def run(self):
        self.code = self._call()

    def wait_for(self, condition):
        until = time.monotonic() + 20
        while not condition(self.out.getvalue()):
            assert time.monotonic() < until, self.out.getvalue()
            assert self.is_alive()
            time.sleep(0.01)

    def stop(self):
        self.end.set()
        self.join(20)
        return self.code


def test_watching_prints_anew_and_shows_what_happens(studio, monkeypatch):
    watched = Watched(monkeypatch, config(desk=studio.url), as_json=False)
    watched.start()
    try:
        watched.wait_for(lambda out: out.count("SERVER  MODEL") >= 2)
        studio.unload(MODEL)
        watched.wait_for(lambda out: "the model is gone and was not due" in out)
        studio.stop()
        watched.wait_for(lambda out: "the server is down" in out)
        studio.start()
        watched.wait_for(lambda out: "the server was restarted" in out)
    finally:
        code = watched.stop()
    assert code == 0
    assert "\x1b" not in watched.out.getvalue(), "no terminal, no escape sequences"


def test_watching_for_programs_is_one_document_a_line(studio, monkeypatch):
    watched = Watched(monkeypatch, config(desk=studio.url), as_json=True)
    watched.start()
    try:
        watched.wait_for(lambda out: out.count("\n") >= 3)
    finally:
        watched.stop()
    documents = [json.loads(line) for line in watched.out.getvalue().splitlines()]
    assert all(document[0]["up"] for document in documents)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (96_160_000, "91.7 MiB"), (3 * 1024**5, "3072.0 TiB")]
)
def test_sizes_are_in_the_largest_unit_that_fits(size, text):
    assert format_size(size) == text
