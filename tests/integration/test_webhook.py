"""The webhook with a real Alertmanager, a real lmwatch and a stand-in for LM Studio."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lmwatch_process import Lmwatch, lmwatch
from real_programs import Alertmanager, eventually, fetch, free_port
from scripted_answers import anomalous
from strict_receiver import StrictReceiver, annotations

from exporter.clock import SystemClock
from exporter.embedded.plan import Plan
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.target import DemoTarget

pytestmark = pytest.mark.integration

CONFIG = """
servers: [{{name: desk, url: "{studio}", poll_interval: 1s, probe: {{interval: 0}}, log_stream: "off", rpc: "off"}}]
sources: [{{name: shop, scrape: {{targets: ["{target}"], interval: 1s, timeout: 1s}}}}]
watches:
  - {{name: shop, source: shop, select: [shop_queue_length], group_by: [instance], interval: 1s, window: 1m, reason: {{when: never}}}}
journal: {{path: lmwatch.db}}
alerting:
  webhook: {{enabled: true, token_file: token.txt, forward_to: "{receiver}", deadline: {deadline}}}
"""
ALERTMANAGER = """
route: {{receiver: lmwatch, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: lmwatch
    webhook_configs:
      - url: http://127.0.0.1:{port}/api/v1/alertmanager/webhook
        http_config: {{authorization: {{credentials_file: {token}}}}}
"""


def fire(alertmanager: Alertmanager, name: str, instance: str, *, ended: bool = False) -> None:
    """Let an alert fire, or end."""
    at = time.time() + (-1.0 if ended else 300.0)
    alert = {
        "labels": {"alertname": name, "instance": instance, "severity": "critical"},
        "annotations": {"summary": "It is odd."},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
    }
    status, text = alertmanager.post("alerts", [alert])
    assert status == 200, text


@contextlib.contextmanager
def alertmanager(folder: Path, port: int) -> Iterator[Alertmanager]:
    """A real one that notifies lmwatch at a port."""
    (folder / "token.txt").write_text("s3cret\n")
    server = Alertmanager(ALERTMANAGER.format(port=port, token=folder / "token.txt"), folder / "alertmanager")
    try:
        yield server.start()
    finally:
        server.stop()


@contextlib.contextmanager
def stage(folder: Path, deadline: str) -> Iterator[tuple[Alertmanager, StrictReceiver, str, str, list[str]]]:
    """Alertmanager, receiver, the target's address, lmwatch's configuration and flags."""
    port = free_port()
    with (
        StrictReceiver() as receiver,
        StudioServer([ScriptedEngine(anomalous, context_length=16_384)]) as studio,
        DemoTarget(SystemClock(), 1, Plan(())) as target,
        alertmanager(folder, port) as sender,
    ):
        config = CONFIG.format(studio=studio.url, target=target.address, receiver=receiver.url, deadline=deadline)
        yield sender, receiver, target.address, config, [f"--web.listen-address=127.0.0.1:{port}"]


def warmed_up(program_: Lmwatch) -> None:
    """Wait until the watch has series and the server was polled."""

    def warm() -> bool:
        status = program_.status()
        watches, servers = status["watches"], status["servers"]
        return bool(watches and watches[0]["series"] and servers and servers[0]["up"])

    eventually(warm, what="the watch has series")


def test_from_alertmanager_to_the_receiver_with_the_models_words(tmp_path: Path):
    with stage(tmp_path, "20s") as (sender, receiver, target, config, flags), lmwatch(config, tmp_path, *flags) as ours:
        warmed_up(ours)
        fire(sender, "QueueLong", target)
        taken = eventually(lambda: list(receiver.taken), what="the notification was sent on")
        notes = annotations(taken[0])
        assert {each["lmwatch_summary"] for each in notes} == {"Something left its usual range."}, ours.log
        assert {each["lmwatch_cause"] for each in notes} == {"A sudden load."}
        name = notes[0]["lmwatch_url"].rpartition("/")[2]
        status, page = fetch(f"{ours.url}/verdicts/{name}", headers={"Accept": "text/html"})
        assert (status, "QueueLong (1 alert)" in page) == (200, True)

        fire(sender, "QueueLong", target, ended=True)
        eventually(lambda: len(receiver.taken) == 2, what="its end was sent on")
        assert receiver.taken[1]["status"] == "resolved"
        assert annotations(receiver.taken[1]) == notes
        metrics = ours.metrics()
        assert 'lmwatch_webhook_alerts_total{outcome="new",status="resolved"} 1.0' in metrics
        assert 'lmwatch_webhook_triage_total{outcome="ok"} 1.0' in metrics


def test_kill_9_after_the_answer_loses_nothing_and_doubles_nothing(tmp_path: Path):
    with stage(tmp_path, "10m") as (sender, receiver, _, config, flags):
        with lmwatch(config, tmp_path, *flags) as first:
            receiver.answers = [503] * 1000
            for number in range(5):
                fire(sender, f"Odd{number}", "unknown:1")
            eventually(
                lambda: len(json.loads(fetch(f"{first.url}/api/v1/notifications")[1])["data"]) == 5,
                what="all are stored",
            )
            first.process.kill()
            first.process.wait()
        receiver.answers = []
        with lmwatch(config, tmp_path, *flags) as second:
            eventually(lambda: len(receiver.taken) >= 5, what="all were sent on after the restart")
            eventually(
                lambda: all(
                    stored["forward"] == "done"
                    for stored in json.loads(fetch(f"{second.url}/api/v1/notifications")[1])["data"]
                ),
                what="all are noted as sent",
            )
            names = sorted(taken["groupLabels"]["alertname"] for taken in receiver.taken)
            assert names == [f"Odd{number}" for number in range(5)], second.log
