"""Who may hand in alerts, and how the answers look."""

import json
from typing import Any

import bcrypt
import pytest
from web_fakes import NOW, FakeJournal, make_app, make_board, make_deps, verdict
from werkzeug.test import Client

from exporter.web.access import AUTHENTICATED, WEBHOOK_PATH, webhook_bearer
from exporter.web.guard import Guard
from exporter.web.routes import create_app
from exporter.web.security import Authenticator

LOCAL, REMOTE = {"REMOTE_ADDR": "127.0.0.1"}, {"REMOTE_ADDR": "192.0.2.7"}
TOKEN = {"Authorization": "Bearer s3cret"}
BODY = b'{"version": "4"}'


class Hook:
    """A webhook that remembers what it was given."""

    def __init__(self, status: int = 200, text: str = "stored") -> None:
        self.given: list[bytes] = []
        self.answer = (status, text)

    def __call__(self, body: bytes) -> tuple[int, str]:
        self.given.append(body)
        return self.answer


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "hook.txt"
    file.write_text("s3cret\n")
    return file


@pytest.mark.parametrize(
    ("with_token", "environ", "headers", "code"),
    [
        (False, LOCAL, {}, 200),
        (False, REMOTE, {}, 403),
        (False, LOCAL, {"X-Forwarded-For": "192.0.2.7"}, 403),
        (False, LOCAL, {"Origin": "http://localhost"}, 403),
        (False, REMOTE, TOKEN, 403),
        (False, REMOTE | {AUTHENTICATED: True}, {}, 200),
        (False, REMOTE | {AUTHENTICATED: True}, {"Origin": "http://evil.example"}, 403),
        (True, LOCAL, {}, 401),
        (True, REMOTE, {}, 401),
        (True, REMOTE, TOKEN, 200),
        (True, REMOTE, {"Authorization": "bearer s3cret"}, 200),
        (True, REMOTE, {"Authorization": "Bearer s3cret "}, 200),
        (True, REMOTE, {"Authorization": "Bearer s3cre"}, 401),
        (True, REMOTE, {"Authorization": "Bearer s3crets"}, 401),
        (True, REMOTE, {"Authorization": "Bearer S3CRET"}, 401),
        (True, REMOTE, {"Authorization": "Bearer"}, 401),
        (True, REMOTE, {"Authorization": "Bearer \xfc"}, 401),
        (True, REMOTE, {"Authorization": "Basic czNjcmV0OnMzY3JldA=="}, 401),
        (True, REMOTE | {AUTHENTICATED: True}, {}, 200),
        (True, REMOTE | {AUTHENTICATED: False}, {}, 401),
        (True, REMOTE, {"Lmwatch.Authenticated": "1"}, 401),
    ],
)  # fmt: skip
def test_who_may_hand_in_alerts(token, with_token: bool, environ: dict[str, Any], headers: dict[str, str], code: int):
    hook = Hook()
    client = Client(make_app(webhook=hook, webhook_token=lambda: token if with_token else None))
    response = client.post(WEBHOOK_PATH, data=BODY, environ_overrides=environ, headers=headers)
    assert response.status_code == code
    assert hook.given == ([BODY] if code == 200 else [])
    assert ("WWW-Authenticate" in response.headers) == (code == 401)
    assert "s3cret" not in response.text


def test_a_token_that_cannot_be_read_lets_nobody_in(tmp_path, caplog):
    hook = Hook()
    client = Client(make_app(webhook=hook, webhook_token=lambda: tmp_path / "gone.txt"))
    response = client.post(WEBHOOK_PATH, data=BODY, environ_overrides=LOCAL, headers=TOKEN)
    assert (response.status_code, hook.given) == (401, [])
    assert "gone.txt" in caplog.text
    assert "gone.txt" not in response.text


@pytest.mark.parametrize(
    ("status", "text", "document"),
    [
        (200, "stored", {"status": "success", "data": "stored"}),
        (400, "alerts is missing", {"status": "error", "error": "alerts is missing"}),
        (503, "the queue is full", {"status": "error", "error": "the queue is full"}),
    ],
)
def test_the_answer_is_the_webhooks(status: int, text: str, document: dict[str, Any]):
    client = Client(make_app(webhook=Hook(status, text)))
    response = client.post(WEBHOOK_PATH, data=BODY, environ_overrides=LOCAL)
    assert (response.status_code, response.json) == (status, document)


def test_a_body_that_is_too_long_is_not_read():
    hook = Hook()
    client = Client(make_app(webhook=hook))
    response = client.post(WEBHOOK_PATH, data=b" " * (4 * 1024**2 + 1), environ_overrides=LOCAL)
    assert (response.status_code, hook.given) == (413, [])


@pytest.fixture
def guarded(tmp_path, token):
    """The application behind a web configuration file with the user ann, and its webhook."""
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users:\n  ann: {bcrypt.hashpw(b'pw', bcrypt.gensalt(4)).decode()}\n")
    hook = Hook()
    deps = make_deps(make_board(), webhook=hook, webhook_token=lambda: token, external_url="https://x.example/lmwatch")
    bearer = webhook_bearer(deps.webhook_token, deps.external_url)
    return Client(Guard(create_app(deps), Authenticator(file), bearer)), hook


@pytest.mark.parametrize(
    ("path", "method", "headers", "code"),
    [
        (WEBHOOK_PATH, "POST", TOKEN, 200),
        (f"/lmwatch{WEBHOOK_PATH}", "POST", TOKEN, 200),
        (WEBHOOK_PATH, "POST", {"Authorization": "Basic YW5uOnB3"}, 200),
        (WEBHOOK_PATH, "POST", {"Authorization": "Basic YW5uOnB4"}, 401),
        (WEBHOOK_PATH, "POST", {"Authorization": "Bearer wrong"}, 401),
        (WEBHOOK_PATH, "POST", {}, 401),
        (WEBHOOK_PATH, "GET", TOKEN, 401),
        ("/", "GET", TOKEN, 401),
        ("/-/reload", "POST", TOKEN, 401),
        (f"/watches{WEBHOOK_PATH}", "POST", TOKEN, 401),
        ("/", "GET", {"Authorization": "Basic YW5uOnB3"}, 200),
    ],
)
def test_the_webhooks_token_opens_the_webhook_alone(
    guarded, path: str, method: str, headers: dict[str, str], code: int
):
    client, hook = guarded
    response = client.open(path, method=method, data=BODY, environ_overrides=LOCAL, headers=headers)
    assert response.status_code == code
    assert len(hook.given) == (code == 200 and method == "POST")


def test_what_came_in_is_listed():
    rows = [{"number": 2, "group_key": "g", "at": NOW, "status": "firing", "forward": "done", "verdict": None}]
    asked: list[int] = []
    client = Client(make_app(notifications=lambda limit: asked.append(limit) or rows))
    assert client.get("/api/v1/notifications?limit=7").json == {"status": "success", "data": rows}
    assert asked == [7]


def test_a_verdict_on_alerts_says_so_and_leads_to_no_watch():
    made = verdict("v-50", "@alertmanager", (("alertname", "HighLoad"),), NOW, answers="HighLoad <2> (2 alerts)")
    client = Client(make_app(journal=FakeJournal([made])))
    for path in ("/", "/verdicts/v-50"):
        text = client.get(path).text
        assert "HighLoad &lt;2&gt; (2 alerts)" in text
        assert "/watches/@alertmanager" not in text
        assert "/watches/%40alertmanager" not in text
    assert "answers alerts from Alertmanager" in client.get("/verdicts/v-50").text
    assert json.loads(client.get("/api/v1/verdicts/v-50").text)["data"]["answers"] == "HighLoad <2> (2 alerts)"
