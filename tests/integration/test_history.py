"""Days of history at once: from a real Prometheus that has them, and from disk after a restart."""

import math
import re
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from lmwatch_process import Lmwatch, lmwatch
from real_programs import Prometheus, eventually, program

from exporter.journal.histories import Histories
from exporter.screening.slots import Code

pytestmark = pytest.mark.integration

DAY = 86400
QUERYING = """
servers: []
sources:
  - name: tsdb
    prometheus: {{url: "{prometheus}", step: 30s}}
watches:
  - name: shop
    source: tsdb
    select:
      - {{query: seen_before, name: seen}}
      - {{query: never_seen, name: unseen}}
    history: 4d
    window: 1h
    interval: 1s
    reason: {{when: never}}
journal: {{path: {journal}}}
"""
SCRAPING = """
servers: []
sources:
  - name: nodes
    scrape: {{targets: ["{target}"], interval: 1s, timeout: 1s}}
watches:
  - name: node
    source: nodes
    select: [temperature]
    window: 1m
    interval: 1s
    reason: {{when: never}}
journal: {{path: {journal}}}
"""


def backfill(folder: Path, now: float) -> None:
    """Five days of two series that are high since 5 minutes; one of them was so three days ago."""
    times = np.arange(now - 5 * DAY, now + 600, 30.0)
    noise = np.random.default_rng(1)
    lines = []
    for name, since in (("seen_before", [now - 300, now - 300 - 3 * DAY]), ("never_seen", [now - 300])):
        high = sum(((times >= begin) & (times < begin + 900)).astype(float) for begin in since)
        values = 20.0 + noise.normal(size=times.size) + 20.0 * high
        lines += [f"# TYPE {name} gauge"]
        lines += [
            f'{name}{{shop="north"}} {v:.3f} {t:.3f}' for t, v in zip(times.tolist(), values.tolist(), strict=True)
        ]
    text = folder / "past.om"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def five_days(tmp_path):
    """A real Prometheus that has five days of the past."""
    server = Prometheus("scrape_configs: []\n", tmp_path / "prometheus")
    backfill(tmp_path / "prometheus", time.time())
    yield server.start()
    server.stop()


def watch_of(process: Lmwatch) -> dict:
    """The only watch, as the API shows it; empty before its first interval."""
    watches = process.status()["watches"]
    return watches[0] if watches else {}


def no_longer_warming(process: Lmwatch) -> dict | None:
    """The only watch once it has another state than the first."""
    watch = watch_of(process)
    return watch if watch.get("state", "warming") != "warming" else None


def scores(process: Lmwatch) -> dict[str, float]:
    """The screen's scores by metric."""
    found = {}
    for line in process.metrics().splitlines():
        if line.startswith("lmwatch_screen_anomaly_score{"):
            found[line.split('metric="')[1].split('"')[0]] = float(line.rsplit(" ", 1)[1])
    return found


def stop(process: Lmwatch) -> None:
    """End it in order."""
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(30) == 0, process.log


def test_a_real_prometheus_fills_days_of_history_and_a_restart_keeps_them(five_days, tmp_path):
    """What was as high three days ago is not odd; what never was is. The second run asks for nothing again."""
    config = QUERYING.format(prometheus=five_days.url, journal=tmp_path / "lmwatch.db")
    with lmwatch(config, tmp_path) as first:
        eventually(lambda: scores(first).get("seen", 0) >= 0.5, what="by the window alone both are odd")
        assert "history filled up to" in watch_of(first)["reason"]
        eventually(lambda: watch_of(first)["reason"] == "", seconds=90, what="the history is filled")
        eventually(lambda: scores(first)["seen"] < 0.5 <= scores(first)["unseen"], what="history decides")
        assert "a history was filled from the source" in first.log
        assert re.search("days=4.0 step_seconds=60.0 series=2 requests=[45] ", first.log)
        stop(first)
    with lmwatch(config, tmp_path) as second:
        picture = eventually(lambda: watch_of(second), what="a first interval")
        assert (picture["state"], picture["reason"]) == ("ok", "")
        found = scores(second)
        assert found["seen"] < 0.5 <= found["unseen"]
        assert "a history is being filled" not in second.log


class Thermometer(BaseHTTPRequestHandler):
    """A target whose temperature trembles around 20."""

    def do_GET(self):
        text = f"# TYPE temperature gauge\ntemperature {20 + math.sin(time.time()):.3f}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def thermometer():
    with ThreadingHTTPServer(("127.0.0.1", 0), Thermometer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def grow_older(histories: Histories, target: str) -> None:
    """Make what was kept look as if the watch had been running for days, with 20 as what is usual."""
    kept = histories.load("node", target)
    kept.archive.kept[:] = np.random.default_rng(2).normal(size=kept.archive.kept.shape).astype(np.float32) / 3
    kept.archive.code = Code(np.array([20.0]), np.array([1.0]))
    histories.save("node", target, kept)


def test_a_scraped_target_is_remembered_over_a_restart(thermometer, tmp_path):
    """Kept when the first run ends, readable by the owner only; the second knows the days at its first interval."""
    journal = tmp_path / "lmwatch.db"
    config = SCRAPING.format(target=thermometer, journal=journal)
    folder = journal.with_name("lmwatch.db.history")
    with lmwatch(config, tmp_path) as first:
        eventually(lambda: "of 14d" in watch_of(first).get("reason", ""), what="it says that it is young")
        eventually(lambda: "temperature" in scores(first), what="a score from the window alone")
        stop(first)
    assert len(list(folder.iterdir())) == 2, "the target's, and the groups'"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    target = urlsplit(f"//{thermometer}").netloc
    kept = Histories(folder).load("node", target)
    assert [name for name, _ in kept.archive.identities] == ["temperature"]
    grow_older(Histories(folder), target)
    with lmwatch(config, tmp_path) as second:
        picture = eventually(lambda: no_longer_warming(second), what="ok")
        assert (picture["state"], picture["reason"]) == ("ok", "")
        stop(second)


def test_a_damaged_history_stops_no_start(thermometer, tmp_path):
    """It is set aside with one warning, and the watch begins anew."""
    journal = tmp_path / "lmwatch.db"
    config = SCRAPING.format(target=thermometer, journal=journal)
    with lmwatch(config, tmp_path) as first:
        eventually(lambda: scores(first), what="a score")
        stop(first)
    (file,) = (path for path in (tmp_path / "lmwatch.db.history").iterdir() if "-groups" not in path.name)
    file.write_bytes(file.read_bytes()[:-100])
    with lmwatch(config, tmp_path) as second:
        eventually(lambda: "temperature" in scores(second), what="a score from the window alone")
        assert second.log.count("a history cannot be used and is set aside") == 1
        assert "of 14d" in watch_of(second)["reason"]
        stop(second)
    suffixes = sorted(path.suffix for path in (tmp_path / "lmwatch.db.history").iterdir())
    assert suffixes == [".damaged-1", ".history", ".history"]
