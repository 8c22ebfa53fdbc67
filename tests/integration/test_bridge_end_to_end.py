"""From a planted anomaly to somebody's receiver and back, with the real Prometheus and Alertmanager and what ships for them."""

import contextlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lmwatch_process import Restartable
from real_programs import Alertmanager, Prometheus, eventually, fetch, program
from scripted_answers import anomalous
from shipped import hurried_alertmanager, hurried_prometheus, hurried_rules
from steered_target import SteeredTarget, metric
from webhook_ends import Delivered, Receiver, Tap

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault

pytestmark = pytest.mark.integration

PARTS = ("ruled", "pushed", "silenced", "orphaned", "stuck", "refused", "kept", "during")
"""Each test has parts of its own, each with a watch of its own, so that no test sees the alerts of another."""
DEADLINE = 8.0
WARM = 8
"""Scores, one a second, after which a window is long enough for an anomaly to be beyond doubt."""
RULE, PUSH = "LMWatchSeriesAnomaly", "LMWatchAnomaly"
CONFIG = """
servers:
  - {{name: desk, url: "{studio}", poll_interval: 1s, deadline: 30s, probe: {{interval: 0}}}}
sources:
  - name: steered
    scrape: {{targets: ["{target}"], interval: 1s, timeout: 1s}}
watches:
{watches}
alerting:
  for: 1s
  resend_interval: 1s
  alertmanagers: [{alertmanagers}]
  webhook: {{enabled: true, token_file: "{token}", forward_to: "{forward}", deadline: {deadline:g}s, calls_per_minute: 600}}
journal: {{path: lmwatch.db}}
web: {{external_url: "{external}"}}
"""
WATCH = """
  - name: {part}
    source: steered
    select: [{metric}]
    window: 1m
    interval: 1s
    history: 0
    sensitivity: 1h
    reason: {{when: suspicious, every: 0, cooldown: 3s, image: off}}
"""


class Stack:
    """All programs of the bridge on loopback, and the ends that a test holds."""

    def __init__(self, folder: Path, ends: contextlib.ExitStack) -> None:
        self._token = folder / "token"
        self._token.write_text("a-token-of-the-test\n")
        self.studio = ends.enter_context(StudioServer([ScriptedEngine(anomalous)]))
        self.target = ends.enter_context(SteeredTarget(PARTS))
        self.receiver = ends.enter_context(Receiver())
        self.lmwatch = Restartable("", folder)
        self.tap = ends.enter_context(Tap(lambda: self.lmwatch.url))
        webhook = f"{self.tap.url}/api/v1/alertmanager/webhook"
        people = {name: f"{self.receiver.url}/{name}" for name in ("pager", "team")}
        config = hurried_alertmanager(webhook, self._token, people)
        self.alertmanager = Alertmanager(config, folder / "alertmanager")
        addresses = {
            "lmwatch:9917": self._host(self.lmwatch.url),
            "alertmanager:9093": self._host(self.alertmanager.url),
        }
        rules = hurried_rules(folder / "rules")
        self.prometheus = Prometheus(hurried_prometheus(rules, addresses), folder / "prometheus")
        self.lmwatch.file.write_text(self._config(push=False))

    def start(self, ends: contextlib.ExitStack) -> "Stack":
        """Start everything, and wait until every series can be judged."""
        ends.callback(self.lmwatch.stop)
        self.lmwatch.start()
        ends.callback(self.alertmanager.stop)
        self.alertmanager.start()
        ends.callback(self.prometheus.stop)
        self.prometheus.start()
        eventually(self._is_warm, seconds=120, what="every watch has scores in Prometheus")
        return self

    def push(self, on: bool) -> None:
        """Let lmwatch push its alerts itself, or not."""
        self.lmwatch.reload(self._config(push=on))

    @contextlib.contextmanager
    def planted(self, *parts: str) -> Iterator[None]:
        """Anomalies in these parts."""
        for part in parts:
            self.target.plant(part)
        try:
            yield
        finally:
            for part in parts:
                self.target.calm(part)

    def forwarded(self, part: str, alertname: str, status: str = "firing") -> list[Delivered]:
        """The notifications about a part that lmwatch sent on, in order."""
        return [
            one
            for one in self.receiver.delivered("/forward")
            if any(_is_about(alert, part, alertname) and alert["status"] == status for alert in one.alerts)
        ]

    def alert(self, part: str, alertname: str, state: str = "") -> list[dict[str, Any]]:
        """The alerts of a part that Alertmanager holds, only those in a state where one is given."""
        found = self.alertmanager.alerts(f'watch="{part}"', f'alertname="{alertname}"')
        return [alert for alert in found if not state or alert["status"]["state"] == state]

    def fires_by_itself(self, part: str) -> bool:
        """Whether a part has an alert that fires by lmwatch's own account."""
        listed = json.loads(fetch(f"{self.lmwatch.url}/api/v1/alerts")[1])["data"]["alerts"]
        return any(one["labels"]["watch"] == part and one["state"] == "firing" for one in listed)

    def _is_warm(self) -> bool:
        scores = f'lmwatch_screen_anomaly_score{{watch=~"{"|".join(PARTS)}"}}'
        return len(self.prometheus.query(f"count_over_time({scores}[1m]) >= {WARM}")) == len(PARTS)

    def _config(self, *, push: bool) -> str:
        return CONFIG.format(
            studio=self.studio.url,
            target=self.target.address,
            watches="".join(WATCH.format(part=part, metric=metric(part)) for part in PARTS),
            alertmanagers=f'{{url: "{self.alertmanager.url}"}}' if push else "",
            token=self._token,
            forward=f"{self.receiver.url}/forward",
            deadline=DEADLINE,
            external=self.lmwatch.url,
        )

    @staticmethod
    def _host(url: str) -> str:
        return urlsplit(url).netloc


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with contextlib.ExitStack() as ends:
        stack = Stack(tmp_path_factory.mktemp("bridge"), ends).start(ends)
        yield stack
        assert stack.receiver.malformed == []


def _is_about(alert: dict[str, Any], part: str, alertname: str) -> bool:
    return alert["labels"].get("watch") == part and alert["labels"]["alertname"] == alertname


def _without_notes(body: bytes) -> Any:
    """A payload without what lmwatch adds, with the order of its keys."""

    def pairs(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [(key, value) for key, value in found if not key.startswith("lmwatch_")]

    return json.loads(body, object_pairs_hook=pairs)


def _identities(
    notifications: list[Delivered], part: str, alertname: str, status: str = "firing"
) -> set[tuple[str, str]]:
    return {
        (alert["fingerprint"], alert["startsAt"])
        for one in notifications
        for alert in one.alerts
        if _is_about(alert, part, alertname) and alert["status"] == status
    }


def test_a_rule_fires_and_what_alertmanager_sends_comes_out_explained_and_otherwise_unchanged(stack):
    stack.push(False)
    with stack.planted("ruled"):
        explained = eventually(
            lambda: [one for one in stack.forwarded("ruled", RULE) if "lmwatch_cause" in one.alerts[0]["annotations"]],
            seconds=120,
            what="an explained notification was forwarded",
        )[0]
    sent = [_without_notes(one.body) for one in stack.tap.passed()]
    assert _without_notes(explained.body) in sent
    for annotations in (explained.payload["commonAnnotations"], *(alert["annotations"] for alert in explained.alerts)):
        assert annotations["lmwatch_summary"] == "Something left its usual range."
        assert annotations["lmwatch_cause"] == "A sudden load."
        status, page = fetch(annotations["lmwatch_url"])
        assert (status, "A sudden load." in page) == (200, True)
    identities = _identities([explained], "ruled", RULE)
    assert identities
    eventually(
        lambda: identities <= _identities(stack.forwarded("ruled", RULE, "resolved"), "ruled", RULE, "resolved"),
        seconds=120,
        what="its end was forwarded too",
    )


def test_a_pushed_alert_inhibits_the_rules_and_a_silence_silences_it(stack):
    stack.push(True)
    silence = [
        "silence",
        "add",
        "watch=silenced",
        "--comment=test",
        "--duration=1h",
        f"--alertmanager.url={stack.alertmanager.url}",
    ]
    _amtool(*silence)
    with stack.planted("silenced", "pushed"):
        eventually(lambda: stack.forwarded("pushed", PUSH), seconds=120, what="the pushed alert was forwarded")
        (ruled,) = eventually(
            lambda: stack.alert("pushed", RULE, "suppressed"), seconds=120, what="the rule is inhibited"
        )[:1]
        pushed = {alert["fingerprint"] for alert in stack.alert("pushed", PUSH, "active")}
        assert set(ruled["status"]["inhibitedBy"]) <= pushed
        (silenced,) = eventually(
            lambda: stack.alert("silenced", PUSH, "suppressed"), seconds=120, what="it is silenced"
        )[:1]
        assert silenced["status"]["silencedBy"]
    # By its severity it is the pager's or the team's.
    told = [
        alert for who in ("/pager", "/team") for alert in stack.receiver.alerts(who, watch="pushed", alertname=PUSH)
    ]
    assert told
    assert all(alert["annotations"]["lmwatch_url"].startswith(stack.lmwatch.url) for alert in told)
    for alertname in (RULE, PUSH):
        assert stack.receiver.alerts(watch="silenced", alertname=alertname) == []
    assert stack.receiver.alerts(watch="pushed", alertname=RULE) == []


def test_without_a_model_alerts_go_on_and_out_unexplained_within_the_deadline(stack):
    stack.push(False)
    stack.studio.stop()
    try:
        with stack.planted("orphaned"):
            first = eventually(lambda: stack.forwarded("orphaned", RULE), seconds=120, what="it was forwarded")[0]
    finally:
        stack.studio.start()
    _check_unexplained(stack, first)


def test_a_model_that_hangs_holds_up_no_alert(stack):
    stack.push(False)
    stack.studio.faults.inject(Fault("hang"), times=None)
    try:
        with stack.planted("stuck"):
            first = eventually(lambda: stack.forwarded("stuck", RULE), seconds=120, what="it was forwarded")[0]
    finally:
        stack.studio.faults.clear()
    _check_unexplained(stack, first)


def _check_unexplained(stack: Stack, forwarded: Delivered) -> None:
    content = _without_notes(forwarded.body)
    (came,) = [one for one in stack.tap.passed() if _without_notes(one.body) == content]
    assert forwarded.at - came.at <= DEADLINE
    for alert in forwarded.alerts:
        assert alert["annotations"]["lmwatch_summary"].startswith("No explanation: ")
        assert "lmwatch_cause" not in alert["annotations"]


def test_a_receiver_that_fails_and_then_dies_gets_everything_once_when_it_is_back(stack):
    stack.push(False)
    before = stack.receiver.refused
    stack.receiver.status = 500
    with stack.planted("refused"):
        eventually(lambda: stack.receiver.refused > before, seconds=120, what="the receiver refused it")
        stack.receiver.stop()
        stack.receiver.status = 200
        stack.receiver.start()
        eventually(lambda: stack.forwarded("refused", RULE), seconds=120, what="it was forwarded")
    _check_nothing_is_doubled(stack.forwarded("refused", RULE))


def test_an_alertmanager_that_dies_and_returns_loses_nothing_and_doubles_nothing(stack):
    stack.push(True)
    with stack.planted("kept"):
        eventually(lambda: stack.forwarded("kept", PUSH), seconds=120, what="the first alert was forwarded")
        before = {(alert["fingerprint"], alert["startsAt"]) for alert in stack.alert("kept", PUSH)}
        stack.alertmanager.kill()
        with stack.planted("during"):
            eventually(lambda: stack.fires_by_itself("during"), seconds=120, what="the second one fires")
            stack.alertmanager.start()
            eventually(lambda: stack.forwarded("during", PUSH), seconds=120, what="the second alert was forwarded")
            eventually(lambda: stack.alert("kept", PUSH), seconds=120, what="the first alert is back")
            assert {(alert["fingerprint"], alert["startsAt"]) for alert in stack.alert("kept", PUSH)} == before
    for part in ("kept", "during"):
        _check_nothing_is_doubled(stack.forwarded(part, PUSH))


def _check_nothing_is_doubled(forwarded: list[Delivered]) -> None:
    told = Counter(
        tuple((alert["fingerprint"], alert["status"], alert["startsAt"]) for alert in one.alerts) for one in forwarded
    )
    assert set(told.values()) == {1}


def _amtool(*arguments: str) -> None:
    subprocess.run([program("amtool"), *arguments], check=True, capture_output=True, timeout=60)
