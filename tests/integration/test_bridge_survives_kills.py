"""kill -9 at random moments: what was acknowledged is sent on, alerts stay the same alerts, the journal opens."""

import contextlib
import itertools
import json
import random
import re
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest
from lmwatch_process import Restartable
from notifications import fingerprint, notification
from nursery import Nursery
from real_programs import eventually, fetch
from steered_target import SteeredTarget, metric
from webhook_ends import Intake, Receiver

pytestmark = pytest.mark.integration

KILLS = 50
LANES = 2
SEEDS = (20, 21)
LONGEST_START = 0.5
"""Seconds after which every second life is over, counted from when it has been loaded: most end before it answers."""
LONGEST_LIFE = 0.5
"""Seconds after which the others are, counted from the first answer: while it restores, sends and takes in."""
TOKEN = "a-token-of-the-test"
CONFIG = """
servers:
  - {{name: desk, url: "http://127.0.0.1:9", poll_interval: 5s, rpc: "off", log_stream: "off"}}
sources:
  - name: steered
    scrape: {{targets: ["{target}"], interval: 1s, timeout: 1s}}
watches:
  - name: a
    source: steered
    select: [{{series: {metric}, valid_max: 500}}]
    window: 1m
    interval: 1s
    history: 0
    sensitivity: 1h
    reason: {{when: never}}
alerting:
  for: 0
  resend_interval: 1s
  alertmanagers: [{{url: "{intake}"}}]
  webhook: {{enabled: true, token_file: "{token}", forward_to: "{forward}", deadline: 2s}}
heartbeat: {{interval: 0}}
journal: {{path: lmwatch.db}}
"""


class Sender(threading.Thread):
    """Hands notifications in, one after the other, and remembers which were acknowledged."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = f"{url}/api/v1/alertmanager/webhook"
        self._enough = threading.Event()
        self.acknowledged: list[str] = []
        self.unexpected: list[str] = []

    def run(self) -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        for number in itertools.count(1):
            body = json.dumps(notification(number)).encode()
            # The same one again until it is acknowledged, as Alertmanager does.
            while not self._enough.wait(0.02):
                try:
                    status, text = fetch(self._url, data=body, headers=headers)
                except (OSError, HTTPException):  # killed before, or in the midst of its answer
                    continue
                if status == 200:
                    self.acknowledged.append(fingerprint(number))
                    break
                if status != 503:
                    self.unexpected.append(f"{status}: {text}")
            if self._enough.is_set():
                return

    def stop(self) -> None:
        self._enough.set()
        self.join()


@pytest.mark.timeout(600)
def test_50_kills_lose_nothing_that_was_acknowledged_and_renew_no_alert(tmp_path):
    """Two programs at a time, each with a journal of its own."""
    with ThreadPoolExecutor(LANES) as lanes:
        acknowledged = list(lanes.map(_kill_again_and_again, [tmp_path / str(lane) for lane in range(LANES)], SEEDS))
    assert sum(acknowledged) >= KILLS


def _kill_again_and_again(folder: Path, seed: int) -> int:
    """Kill one lmwatch its share of times; returns how many notifications it acknowledged in all its lives."""
    folder.mkdir()
    token = folder / "token"
    token.write_text(TOKEN)
    with contextlib.ExitStack() as ending:
        nursery = ending.enter_context(Nursery())
        receiver, intake = ending.enter_context(Receiver()), ending.enter_context(Intake())
        target = ending.enter_context(SteeredTarget(["a"]))
        forward = f"{receiver.url}/forward"
        config = CONFIG.format(
            target=target.address, metric=metric("a"), intake=intake.url, token=token, forward=forward
        )
        lmwatch = Restartable(config, folder, nursery)
        ending.callback(lmwatch.stop)
        lmwatch.start()
        _let_it_fire(lmwatch, intake, target)
        sender = Sender(lmwatch.url)
        sender.start()
        ending.callback(sender.stop)
        lives = random.Random(seed)
        for number in range(KILLS // LANES):
            if number % 2:
                time.sleep(lives.uniform(0, LONGEST_START))
            else:
                eventually(lmwatch.answers, seconds=60, what="it answers")
                time.sleep(lives.uniform(0, LONGEST_LIFE))
            lmwatch.kill()
            _check_journal(folder / "lmwatch.db")
            lmwatch.spawn()
        _check_the_end(lmwatch, sender, receiver, intake)
        return len(sender.acknowledged)


def _let_it_fire(lmwatch: Restartable, intake: Intake, target: SteeredTarget) -> None:
    scored = re.compile(r"^lmwatch_screen_anomaly_score{", re.MULTILINE)
    eventually(lambda: scored.search(lmwatch.metrics()), seconds=60, what="there are scores")
    target.plant("a")
    eventually(intake.versions, seconds=60, what="an alert is pushed")


def _check_journal(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _check_the_end(lmwatch: Restartable, sender: Sender, receiver: Receiver, intake: Intake) -> None:
    eventually(lmwatch.answers, seconds=60, what="it answers at the end")
    before = {labels: len(versions) for labels, versions in intake.versions().items()}
    eventually(
        lambda: all(len(intake.versions()[labels]) > count for labels, count in before.items()),
        seconds=60,
        what="its alerts are sent again",
    )
    sender.stop()
    acknowledged = set(sender.acknowledged)
    eventually(lambda: not _missing(receiver, acknowledged), seconds=60, what="all that was acknowledged was sent on")
    assert sender.unexpected == []
    assert receiver.malformed == []
    for labels, versions in intake.versions().items():
        assert len({version["startsAt"] for version in versions}) == 1, labels
    assert "moved aside" not in lmwatch.log


def _missing(receiver: Receiver, acknowledged: set[str]) -> set[str]:
    return acknowledged - {alert["fingerprint"] for alert in receiver.alerts("/forward")}
