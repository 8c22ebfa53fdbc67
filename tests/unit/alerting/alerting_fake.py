"""An Alertmanager on a real socket that behaves as it is told, stores as the real one does, and accepts nothing malformed."""

import json
import re
import threading
from collections.abc import Callable
from datetime import datetime

from http_end import Handler, HttpEnd

PATIENCE = 20.0
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MOST = 64


class FakeAlertmanager(HttpEnd):
    """Answers POST /api/v2/alerts.

    Attributes:
        status: what it answers; "hang" answers nothing until the test ends, "redirect" sends to its pages.
        retry_after: the header of answers other than 200; none where empty.
        refuses: tells whether an alert is bad: a batch with one is answered 400, the good ones are stored.
        stored: the newest version of each alert that it took, by labels.
        requests: the batches as they came, accepted or not.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__(_Handler)
        self.status: int | str = 200
        self.retry_after = ""
        self.refuses: Callable[[dict], bool] = lambda _: False
        self.stored: dict[tuple, dict] = {}
        self.requests: list[list[dict]] = []
        self.headers: list[dict[str, str]] = []
        self.prefix = prefix
        self.closing = threading.Event()
        self.start()

    @property
    def url(self) -> str:
        return f"{super().url}{self.prefix}"

    def names(self) -> set[str]:
        """The label `name` of everything that it took."""
        return {alert["labels"]["name"] for alert in self.stored.values()}

    def stop(self) -> None:
        self.closing.set()
        super().stop()

    def take(self, batch: list[dict]) -> int | str:
        """Store a batch as the real one does; the status to answer."""
        self.requests.append(batch)
        self.malformed += [problem for alert in batch for problem in problems(alert)]
        if not 1 <= len(batch) <= MOST:
            self.malformed.append(f"{len(batch)} alerts in a batch")
        if self.status != 200:
            return self.status
        for alert in batch:
            if not self.refuses(alert):
                self.stored[tuple(sorted(alert["labels"].items()))] = alert
        return 400 if any(map(self.refuses, batch)) else 200


def problems(alert: dict) -> list[str]:
    """What is wrong with an alert, by Alertmanager's OpenAPI document and its validation."""
    found = [
        f"unknown field {name}"
        for name in alert.keys() - {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    ]
    found += [f"label {name}" for name in alert["labels"] if not _NAME.fullmatch(name)]
    found += [f"empty {name}" for name, value in {**alert["labels"], **alert["annotations"]}.items() if not value]
    found += [f"value of {name}" for name, value in alert["labels"].items() if not isinstance(value, str)]
    found += [f"time {alert[name]}" for name in ("startsAt", "endsAt") if not _TIME.fullmatch(alert[name])]
    if "alertname" not in alert["labels"]:
        found.append("no alertname")
    if datetime.fromisoformat(alert["startsAt"]) > datetime.fromisoformat(alert["endsAt"]):
        found.append("ends before it starts")
    return found


class _Handler(Handler):
    def do_POST(self):
        fake = self.server.end
        body = self.body()
        if body is None:
            return
        fake.headers.append(dict(self.headers.items()))
        if self.path != f"{fake.prefix}/api/v2/alerts" or self.headers["Content-Type"] != "application/json":
            fake.malformed.append(f"POST {self.path} {self.headers['Content-Type']}")
        status = fake.take(json.loads(body))
        if status == "hang":
            fake.closing.wait(PATIENCE)
        elif status == "redirect":
            self.reply(302, Location="/page")
        elif status == 200:
            self.reply(200)
        else:
            told = {"Retry-After": fake.retry_after} if fake.retry_after else {}
            self.reply(status, b'"the reason"\n', **told)

    def do_GET(self):
        self.reply(200, b"<html>Log in</html>")


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll until the condition holds."""
    ticks = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        ticks.wait(0.01)
    raise AssertionError(f"never: {what}")
