import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from web_fakes import (
    DB1,
    EVIL,
    NOW,
    FakeJournal,
    make_app,
    make_board,
    make_deps,
    make_groups,
    screened,
    shift_verdict,
    table,
    verdict,
)
from werkzeug.test import Client, TestResponse

from exporter import __version__
from exporter.board import Board, ReloadState, WatchPicture
from exporter.errors import ConfigError, TransientError
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.reasoning.verdict import Fact, Finding
from exporter.screening.result import ScreenedGroup
from exporter.series.labels import Labels, Series, labels_of
from exporter.sources.collected import Collected
from exporter.web.access import AUTHENTICATED
from exporter.web.routes import create_app

EVIL_WATCH = EVIL.replace("/", "")
LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
REMOTE = {"REMOTE_ADDR": "192.0.2.7"}
PAGES = ["/", "/watches/node-health", "/servers/desk", "/verdicts", "/verdicts/v-41", "/docs/metrics"]


@pytest.fixture
def client() -> Client:
    return Client(make_app())


def client_for(board: Board | None = None, **changes: Any) -> Client:
    return Client(make_app(board, **changes))


def scripts_in(page: str) -> list[str]:
    return re.findall(r"<script\b ?([^>]*)>", page)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_html_that_needs_no_script(client: Client, path: str):
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert scripts_in(response.text) == [f'src="/static/refresh.js?{__version__}" defer'], (
        "our own file, and nothing inline"
    )
    assert " style=" not in response.text, "the content security policy forbids inline styles"
    assert "{{" not in response.text


@pytest.mark.parametrize(
    "path", [*PAGES, "/metrics", "/config", "/api/v1/status", "/-/healthy", "/nowhere", "/static/style.css"]
)
def test_every_answer_carries_the_security_headers(client: Client, path: str):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", [*PAGES, "/metrics", "/config", "/-/healthy", "/api/v1/status"])
def test_head_is_get_without_a_body(client: Client, path: str):
    response = client.head(path)
    assert response.status_code == 200
    assert response.data == b""
    assert int(response.headers["Content-Length"]) > 0


def test_metrics_come_from_the_exposition(client: Client):
    response = client.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'lmstudio_up{server="desk"} 1.0\n' in response.text
    assert (
        'lmwatch_anomaly_score{watch="checkout",metric="checkout_errors",job="shop",region="eu",instance=""} 0.58\n'
        in response.text
    )


def test_metrics_negotiate_format_and_compression(client: Client):
    headers = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
    response = client.get("/metrics", headers=headers)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert gzip.decompress(response.data).endswith(b"# EOF\n")


def test_metrics_can_be_restricted_by_name(client: Client):
    response = client.get("/metrics?name[]=lmstudio_up&name%5B%5D=lmwatch_anomaly_kind")
    families = {line.split()[2] for line in response.text.splitlines() if line.startswith("# TYPE")}
    assert families == {"lmstudio_up", "lmwatch_anomaly_kind"}


def test_a_running_program_is_healthy_even_when_not_ready():
    assert client_for(make_board(ready=False)).get("/-/healthy").status_code == 200


def test_readiness_follows_the_board_and_says_what_is_missing():
    assert client_for(make_board(ready=True)).get("/-/ready").status_code == 200
    response = client_for(make_board(ready=False, servers={}, sources={})).get("/-/ready")
    assert response.status_code == 503
    assert "waiting for the first polls" in response.text
    assert "0 servers and 0 targets" in response.text


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("environ", "headers", "allowed"),
    [
        (LOCAL, {}, True),
        ({"REMOTE_ADDR": "::1"}, {}, True),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, {}, True),
        (REMOTE, {}, False),
        ({"REMOTE_ADDR": ""}, {}, False),
        ({"REMOTE_ADDR": "::ffff:192.0.2.7"}, {}, False),
        (LOCAL, {"X-Forwarded-For": "192.0.2.7"}, False),
        (LOCAL, {"Forwarded": "for=192.0.2.7"}, False),
        (LOCAL, {"Origin": "http://evil.example"}, False),
        (LOCAL, {"Origin": "http://localhost"}, False),
        (REMOTE | {AUTHENTICATED: True}, {}, True),
        (REMOTE | {AUTHENTICATED: True}, {"Origin": "http://localhost"}, True),
        (REMOTE | {AUTHENTICATED: True}, {"Origin": "http://evil.example"}, False),
        (REMOTE | {AUTHENTICATED: True}, {"Origin": "null"}, False),
        (REMOTE | {AUTHENTICATED: False}, {}, False),
        (REMOTE, {"Lmwatch.Authenticated": "1"}, False),
    ],
)
def test_only_local_or_authenticated_callers_may_reload(
    method: str, environ: dict[str, Any], headers: dict[str, str], allowed: bool
):
    reloads: list[None] = []
    client = client_for(reload=lambda: reloads.append(None))
    response = client.open("/-/reload", method=method, environ_overrides=environ, headers=headers)
    assert response.status_code == (200 if allowed else 403)
    assert len(reloads) == allowed
    assert allowed or "--web.config.file" in response.text


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_reload_takes_post_and_put_only(client: Client, method: str):
    response = client.open("/-/reload", method=method, environ_overrides=LOCAL)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"POST", "PUT"}


def test_a_file_that_cannot_be_used_fails_the_reload_with_its_error():
    def reload() -> None:
        raise ConfigError("lmwatch.yml:7:5: watches[0].intervl: unknown key")

    response = client_for(reload=reload).post("/-/reload", environ_overrides=LOCAL)
    assert response.status_code == 500
    assert "lmwatch.yml:7:5: watches[0].intervl: unknown key" in response.text


def test_the_configuration_shows_as_it_was_redacted(client: Client):
    response = client.get("/config")
    assert response.mimetype == "text/plain"
    assert "api_token: <secret>" in response.text


@pytest.mark.parametrize(
    ("path", "method", "code"),
    [
        ("/nowhere", "GET", 404),
        ("/watches/unknown", "GET", 404),
        ("/verdicts/unknown", "GET", 404),
        ("/static/../routes.py", "GET", 404),
        ("/static/nothing.css", "GET", 404),
        ("/metrics", "POST", 405),
        ("/", "POST", 405),
    ],
)
def test_errors_are_a_page_for_browsers_and_a_line_for_programs(client: Client, path: str, method: str, code: int):
    page = client.open(path, method=method, headers={"Accept": "text/html,*/*"})
    line = client.open(path, method=method)
    assert page.status_code == line.status_code == code
    assert (page.mimetype, line.mimetype) == ("text/html", "text/plain")
    assert "Back to the overview" in page.text
    assert line.text.count("\n") == 1
    assert ("Allow" in line.headers) == (code == 405)


@pytest.mark.parametrize(
    ("path", "method", "code", "words"),
    [
        ("/api/v1/nowhere", "GET", 404, "not found"),
        ("/api/v1/verdicts/unknown", "GET", 404, "there is no verdict 'unknown'"),
        ("/api/v1/status", "POST", 405, "not allowed"),
        ("/api/v2/alerts", "POST", 404, "lmwatch is no Alertmanager: let Prometheus send to one"),
        ("/api/v1/alertmanager/webhook", "POST", 403, "the webhook needs alerting.webhook.token_file"),
        ("/api/v1/notifications?limit=0", "GET", 400, "limit must be a whole number from 1 to 1000, not '0'"),
        ("/api/v1/verdicts?limit=0", "GET", 400, "limit must be a whole number from 1 to 1000, not '0'"),
        ("/api/v1/verdicts?limit=1001", "GET", 400, "'1001'"),
        ("/api/v1/verdicts?limit=-1", "GET", 400, "'-1'"),
        ("/api/v1/verdicts?limit=many", "GET", 400, "'many'"),
        ("/api/v1/verdicts?limit=²", "GET", 400, "limit"),
        ("/api/v1/verdicts?since=yesterday", "GET", 400, "since must be Unix seconds, a time with its zone like"),
        ("/api/v1/verdicts?since=2026-01-31T12:00:00", "GET", 400, "a time with its zone"),
        ("/api/v1/verdicts?since=nan", "GET", 400, "since"),
        ("/api/v1/verdicts?outcome=fine", "GET", 400, "outcome must be one of ok, ungrounded, invalid"),
        ("/api/v1/verdicts?anomalous=perhaps", "GET", 400, "anomalous must be true or false, not 'perhaps'"),
        ("/api/v1/watches/unknown", "GET", 404, "there is no watch named 'unknown'"),
        ("/api/v1/watches/node-health?page=0", "GET", 400, "page must be a whole number from 1 to"),
        ("/api/v1/servers/unknown", "GET", 404, "there is no server named 'unknown'"),
        ("/api/v1/verdicts/v-38/request", "GET", 404, "keeps no question"),
        ("/api/v1/events?limit=0", "GET", 400, "limit must be a whole number from 1 to 1000, not '0'"),
        ("/api/v1/events?since=nan", "GET", 400, "since"),
    ],
)
def test_api_errors_are_json(client: Client, path: str, method: str, code: int, words: str):
    response = client.open(path, method=method, headers={"Accept": "text/html"})
    assert response.status_code == code
    assert response.mimetype == "application/json"
    assert response.json is not None
    assert response.json["status"] == "error"
    assert words in response.json["error"]


def data_of(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    assert response.json is not None
    assert response.json["status"] == "success"
    return response.json["data"]


def test_the_status_says_how_everything_stands(client: Client):
    data = data_of(client.get("/api/v1/status"))
    assert data["ready"] is True
    assert data["configuration"] == {"successful": True, "last_success_at": NOW - 9200, "error": ""}
    assert [(server["server"], server["up"], server["failure"]) for server in data["servers"]] == [
        ("desk", True, None),
        ("attic", False, "unreachable"),
    ]
    assert {source["target"]: source["up"] for source in data["sources"]}["db3:9100"] is False
    watch = next(watch for watch in data["watches"] if watch["watch"] == "node-health")
    assert (watch["state"], watch["series"], watch["suspicious"]) == ("ok", 212, 3)
    assert watch["top"][0] == {
        "metric": "node_filesystem_avail_bytes",
        "labels": {"instance": "db1:9100", "job": "node", "mountpoint": "/var/lib/postgresql"},
        "score": 0.91,
        "kind": "drift",
    }
    assert watch["verdicts"][0]["id"] == "v-41"


def test_verdicts_are_documents_as_they_were_kept(client: Client):
    found = data_of(client.get("/api/v1/verdicts?limit=2"))
    assert [document["id"] for document in found] == ["v-41", "v-40"]
    whole = data_of(client.get("/api/v1/verdicts/v-41"))
    assert found[0] == {name: value for name, value in whole.items() if name not in ("pictures", "request")}
    assert {"pictures", "request"} < set(whole)
    assert found[0]["findings"][0]["evidence"] == ["E1", "E2"]


def test_a_search_for_verdicts_reaches_the_journal():
    journal = FakeJournal()
    client = client_for(journal=journal)
    client.get("/api/v1/verdicts")
    client.get("/api/v1/verdicts?watch=w&since=1000.5&before=v-9&limit=7")
    client.get("/api/v1/verdicts?since=2026-01-31T12:00:00Z&outcome=timeout")
    client.get("/api/v1/verdicts?since=6h&anomalous=true")
    nothing = {"watch": None, "since": None, "before": None, "outcome": None, "above": None, "limit": 100}
    assert journal.asked == [
        nothing,
        {**nothing, "watch": "w", "since": 1000.5, "before": "v-9", "limit": 7},
        {**nothing, "since": 1769860800.0, "outcome": "timeout"},
        {**nothing, "since": NOW - 6 * 3600, "above": 0.5},
    ]


def test_events_are_what_happened_to_servers():
    journal = FakeJournal()
    client = client_for(journal=journal)
    (event,) = data_of(client.get("/api/v1/events?server=desk&since=1000.5&limit=7"))
    assert event == {"server": "desk", "kind": "unloaded", "at": NOW - 60, "model": "qwen", "reason": "ttl"}
    assert journal.asked == [{"server": "desk", "since": 1000.5, "limit": 7}]
    assert data_of(client.get("/api/v1/events?server=attic")) == []


class BrokenJournal(FakeJournal):
    def get(self, name: str):
        raise TransientError("the journal is locked")

    def list(self, **_query: Any):
        raise TransientError("the journal is locked")


def test_a_journal_that_cannot_be_read_costs_the_pages_only_the_verdicts():
    client = client_for(journal=BrokenJournal())
    for path in ("/", "/watches/node-health"):
        response = client.get(path)
        assert response.status_code == 200
        assert "The journal cannot be read" in response.text
    assert client.get("/verdicts/v-41").status_code == 503
    response = client.get("/api/v1/verdicts")
    assert response.status_code == 503
    assert response.json == {"status": "error", "error": "the journal is locked"}


def test_an_unforeseen_failure_is_a_500_without_its_details():
    def fail() -> str:
        raise RuntimeError("secret token abc")

    client = client_for(config_text=fail)
    response = client.get("/config")
    assert response.status_code == 500
    assert "abc" not in response.text
    assert client.get("/-/healthy").status_code == 200


def evil_board() -> Board:
    """A board on which every text that comes from outside is hostile."""
    series = Series(EVIL, labels_of({"instance": EVIL}), unit=EVIL, help=EVIL)
    judged = verdict(EVIL, EVIL_WATCH, DB1, NOW, group_score=0.9, summary=EVIL, model=EVIL, server=EVIL)
    picture = WatchPicture(
        EVIL_WATCH,
        "degraded",
        EVIL,
        NOW,
        (table("t", [series], [0.9], [0.9], [EVIL]),),
        {labels_of({"x": EVIL}): judged},
    )
    model = Model(EVIL, EVIL, "llm", True, EVIL, EVIL, EVIL, EVIL, 1, 1, 1, 1, 1.0, False, "idle", 1)
    return make_board(
        servers={
            EVIL: ServerHealth(EVIL, "http://" + EVIL, True, "v1", EVIL, (model,), 0.1, NOW),
            "down": ServerHealth("down", "http://x", False, None, EVIL, (), 0.1, NOW, EVIL, EVIL),
        },
        sources={("s", "t"): Collected(EVIL, EVIL, False, 1.0, 0, NOW, EVIL)},
        watches={EVIL_WATCH: picture},
        reload=ReloadState(False, NOW, EVIL),
    )


def evil_verdict():
    finding = Finding(Series(EVIL, labels_of({"a": EVIL})), 0.9, 0.9, 0.9, "spike", ("E1", EVIL), EVIL, False)
    return verdict(
        "evil",
        EVIL,
        labels_of({"g": EVIL}),
        NOW,
        group_score=0.9,
        summary=EVIL,
        cause=EVIL,
        next_steps=EVIL,
        findings=(finding,),
        problems=(EVIL,),
        facts=(Fact("E1", EVIL, EVIL),),
        prompt=EVIL,
        answer=EVIL,
        model=EVIL,
        server=EVIL,
    )


@pytest.mark.parametrize("path", ["/", f"/watches/{quote(EVIL_WATCH)}", "/verdicts/evil"])
def test_whatever_comes_from_outside_is_escaped(path: str):
    key = labels_of({"x": EVIL})
    hostile = screened(
        Series(EVIL, labels_of({"instance": EVIL}), unit=EVIL),
        make_groups()["checkout"][0].series[0].values,
        0.9,
        (0, 1),
        EVIL,
    )
    groups = {EVIL_WATCH: [ScreenedGroup(EVIL_WATCH, key, (hostile,), 1, 1)]}
    client = client_for(
        evil_board(), journal=FakeJournal([evil_verdict()]), groups=lambda watch, _: groups.get(watch, [])
    )
    response = client.get(path)
    assert response.status_code == 200
    assert len(scripts_in(response.text)) == 1
    assert "&lt;script&gt;" in response.text
    assert "alert('x')" not in response.text.replace("alert(&#39;x&#39;)", "")


def test_a_hostile_address_is_not_echoed_into_the_error_page(client: Client):
    response = client.get("/watches/<script>alert(1)</script>", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert len(scripts_in(response.text)) == 1


def test_the_landing_page_shows_servers_watches_and_verdicts(client: Client):
    text = client.get("/").text
    for words in (
        "qwen3-8b",
        "unreachable: connection refused",
        "http://db3:9100/metrics: no answer in 10 s",
        "3 of 212 series suspicious",
        "the shortest history so far is 4 of 30 minutes",
        "Free space on db1 is falling fast",
        "Errors at the checkout rose a little",
        "16.9 GiB",
        "95 s ago",
        "/var/lib/postgresql",
    ):
        assert words in text
    assert text.index(">node-health</a></h3>") < text.index(">checkout</a></h3>") < text.index(">gpu-farm</a></h3>")
    assert text.count('class="curve"') == 5


def test_a_failed_reload_and_missing_readiness_show_on_the_landing_page():
    text = (
        client_for(make_board(ready=False, reload=ReloadState(False, 1.0, "lmwatch.yml:3:1: nonsense"))).get("/").text
    )
    assert "lmwatch.yml:3:1: nonsense" in text
    assert "Not ready yet" in text


def test_an_empty_board_has_a_page_that_says_what_to_do():
    empty = Board(started_at=NOW, reload=ReloadState(True, NOW))
    response = client_for(empty, journal=FakeJournal()).get("/")
    assert response.status_code == 200
    assert "No watches are configured" in response.text


def test_the_watch_page_shows_charts_evidence_scores_and_history(client: Client):
    text = client.get("/watches/node-health").text
    assert "at this slope it reaches 0 in 2.4 hours" in text
    assert text.count('class="window"') == 4
    assert text.count("<tr>") == 1 + 50, "a head and the first 50 series"
    assert "212 series, page 1 of 5" in text
    assert "/verdicts/v-40" in text
    assert "/verdicts/v-39" not in text, "that one belongs to another watch"


def test_a_watch_without_anything_still_has_a_page(client: Client):
    text = client.get("/watches/gpu-farm").text
    assert "No scores yet" in text


def test_the_verdict_page_shows_the_cited_evidence_and_what_failed(client: Client):
    text = client.get("/verdicts/v-41").text
    for words in (
        "A bulk write into the database volume",
        "See which process writes",
        "the number 0.91 does not occur in the snapshot",
        "not grounded",
        "at this slope it reaches 0 in 2.4 hours",
        "1840",
        "6.2 s",
    ):
        assert words in text
    assert '<summary>Prompt</summary><pre tabindex="0">You weigh computed evidence' in text


def test_a_verdict_without_an_answer_has_a_page(client: Client):
    text = client.get("/verdicts/v-38").text
    assert "No readable answer came." in text
    assert "no answer within 2 min" in text


def test_a_document_of_an_older_version_may_lack_parts():
    journal = FakeJournal([shift_verdict()])
    journal.records = [replace(journal.records[0], document={"id": "v-41", "watch": "w", "at": NOW})]
    assert client_for(journal=journal).get("/verdicts/v-41").status_code == 200
    assert client_for(journal=journal).get("/").status_code == 200


@pytest.mark.parametrize(
    ("external_url", "prefix"), [("", ""), ("http://h:9917/", ""), ("https://h/lm/watch/", "/lm/watch")]
)
def test_links_carry_the_path_of_the_external_url(external_url: str, prefix: str):
    text = client_for(external_url=external_url).get("/").text
    assert f'href="{prefix}/metrics"' in text
    assert f'href="{prefix}/watches/node-health"' in text
    assert f'href="{prefix}/static/style.css?' in text


@pytest.mark.parametrize("path", ["/lm/watch/metrics", "/lm/watch/", "/metrics"])
def test_a_proxy_may_pass_the_path_of_the_external_url_on_or_cut_it_off(path: str):
    client = client_for(external_url="https://h/lm/watch")
    assert client.get(path).status_code == 200
    assert client.get("/lm/watchful").status_code == 404


def test_histories_are_worked_out_once_for_each_picture_and_only_of_groups_that_are_shown():
    asked: list[tuple[str, int]] = []
    groups = make_groups()

    def groups_of(watch: str, wanted: Callable[[Labels], bool]):
        asked.append((watch, sum(wanted(group.key) for group in groups[watch])))
        return [group for group in groups[watch] if wanted(group.key)]

    board = make_board()
    boards = [board]
    deps = replace(make_deps(board, groups=groups_of), board=lambda: boards[-1])
    client = Client(create_app(deps))
    client.get("/")
    client.get("/")
    client.get("/watches/checkout")
    assert sorted(asked) == [("checkout", 1), ("node-health", 1)], "nothing odd was found on db2"
    picture = board.watches["checkout"]
    boards.append(make_board(watches={"checkout": replace(picture, at=NOW)}))
    client.get("/")
    assert sorted(asked) == [("checkout", 1), ("checkout", 1), ("node-health", 1)]


def test_json_has_no_nan():
    board = make_board()
    nowhere = replace(
        board.watches["checkout"].tables[0], anomaly=board.watches["checkout"].tables[0].anomaly * float("nan")
    )
    board = make_board(watches={"checkout": replace(board.watches["checkout"], tables=(nowhere,))})
    body = client_for(board).get("/api/v1/status").data

    def refuse(constant: str) -> float:
        raise ValueError(constant)

    assert json.loads(body, parse_constant=refuse)["data"]["watches"][0]["top"] == []
