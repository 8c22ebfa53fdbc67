"""The whole program takes notifications in, follows its configuration and ends in order."""

import json
import sys
import urllib.error
import urllib.request

import pytest
from strict_receiver import StrictReceiver

from exporter.app import App, Options
from exporter.config.model import Config

NOTIFICATION = {
    "version": "4",
    "groupKey": "g",
    "status": "firing",
    "receiver": "lmwatch",
    "externalURL": "http://alertmanager.example:9093",
    "truncatedAlerts": 0,
    "groupLabels": {"alertname": "Odd"},
    "commonLabels": {},
    "commonAnnotations": {},
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Odd", "instance": "a:1"},
            "annotations": {},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": "f1f1f1f1f1f1f1f1",
        }
    ],
}


def config(tmp_path, **webhook) -> Config:
    return Config.model_validate(
        {
            "servers": [],
            "journal": {"path": str(tmp_path / "j.db")},
            "alerting": {"webhook": {"enabled": True, **webhook}},
        }
    )


def ask(app: App, path: str, document=None, **headers) -> tuple[int, str]:
    data = json.dumps(document).encode() if document is not None else None
    request = urllib.request.Request(f"http://{app.addresses[0]}{path}", data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def program(tmp_path):
    """An application on loopback whose next configuration is what `configs` holds."""
    switching = sys.getswitchinterval()
    configs: list[Config] = [config(tmp_path)]
    app = App(lambda: configs[-1], Options(listen=("127.0.0.1:0",)))
    app.start()
    yield app, configs
    app.stop()
    sys.setswitchinterval(switching)


HOOK = "/api/v1/alertmanager/webhook"


def test_a_notification_is_taken_listed_and_counted(program):
    app, _ = program
    assert ask(app, HOOK, NOTIFICATION)[0] == 200
    assert ask(app, HOOK, NOTIFICATION)[0] == 200
    assert ask(app, HOOK, {"alerts": []})[0] == 400
    (listed,) = json.loads(ask(app, "/api/v1/notifications")[1])["data"]
    assert (listed["group_key"], listed["status"], listed["forward"]) == ("g", "firing", "none")
    metrics = ask(app, "/metrics")[1]
    assert 'lmwatch_webhook_alerts_total{outcome="repeat",status="firing"} 1.0' in metrics
    assert 'lmwatch_webhook_notifications_total{outcome="malformed"} 1.0' in metrics
    assert "lmwatch_webhook_queue_capacity 1000.0" in metrics
    assert "From Alertmanager" in ask(app, "/", Accept="text/html")[1]


def test_a_reload_turns_it_off_on_and_gives_it_a_token(program, tmp_path):
    app, configs = program
    configs.append(config(tmp_path, enabled=False))
    app.reload()
    assert ask(app, HOOK, NOTIFICATION)[0] == 404
    (tmp_path / "t").write_text("abc")
    configs.append(config(tmp_path, token_file=str(tmp_path / "t")))
    app.reload()
    assert ask(app, HOOK, NOTIFICATION)[0] == 401
    assert ask(app, HOOK, NOTIFICATION, Authorization="Bearer abc")[0] == 200


def test_what_waits_goes_out_when_the_program_ends(tmp_path):
    with StrictReceiver() as receiver:
        app = App(lambda: config(tmp_path, forward_to=receiver.url, deadline="1h"), Options(listen=("127.0.0.1:0",)))
        app.start()
        resolved = {**NOTIFICATION, "groupKey": "h"}
        assert ask(app, HOOK, NOTIFICATION)[0] == ask(app, HOOK, resolved)[0] == 200
        app.stop()
        assert sorted(taken["groupKey"] for taken in receiver.taken) == ["g", "h"]
