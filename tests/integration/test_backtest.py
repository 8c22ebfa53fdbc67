"""`lmwatch backtest` over days that a real Prometheus has: what a user types, sees, and finds in the files."""

import json
import re
import subprocess
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from lmwatch_process import LMWATCH
from real_programs import Prometheus
from recorded_past import DAY, HOUR, STEP, write_blocks
from scripted_answers import anomalous

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer

pytestmark = pytest.mark.integration

SERIES, ODD, LIFT = 6, 3, 400.0
CONFIG = """
servers: []
sources:
  - name: tsdb
    prometheus: {{url: "{url}", step: 1m}}
watches:
  - name: shop
    source: tsdb
    select: [{{query: shop_orders, name: orders}}]
    group_by: [shop]
    interval: 2m
  - name: recorded
    source: tsdb
    screen: pushdown
    select: [{{query: 'lmwatch:input{{anomaly_name="shop"}}', name: orders}}]
    interval: 5m
  - name: gone
    source: tsdb
    select: [{{query: nobody_has_this, name: gone}}]
"""


@pytest.fixture(scope="module")
def planted():
    """Two days and a half of calm series, one of them far off for half an hour, 10 hours ago: when, and the lines."""
    random = np.random.default_rng(11)
    now = time.time() // STEP * STEP
    times = np.arange(now - 2.5 * DAY, now, STEP)
    values = random.uniform(20, 50, size=SERIES)[:, None] + random.normal(size=(SERIES, times.size))
    begun = now - 10 * HOUR
    values[ODD, (times >= begun) & (times < begun + HOUR / 2)] += LIFT
    lines = []
    for name, extra in (("shop_orders", ""), ("lmwatch:input", ',anomaly_name="shop"')):
        lines.append(f"# TYPE {name} gauge")
        for row, line in enumerate(values.tolist()):
            labels = f'shop="{row % 2}",series="{row}"{extra}'
            lines += [f"{name}{{{labels}}} {v:.4f} {int(t)}" for v, t in zip(line, times.tolist(), strict=True)]
    return begun, lines


@pytest.fixture(scope="module")
def prometheus(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("past") / "prometheus"
    server = Prometheus("scrape_configs: []\n", folder)
    write_blocks(planted[1], folder / "data")
    yield server.start()
    server.stop()


def run(config, *arguments) -> subprocess.CompletedProcess:
    typed = [LMWATCH, "backtest", "--config.file", str(config), *map(str, arguments)]
    return subprocess.run(typed, capture_output=True, text=True, check=False, timeout=200)


def test_a_planted_anomaly_is_in_the_report_at_its_time_and_nothing_else(prometheus, planted, tmp_path):
    begun, _ = planted
    config, page, data = tmp_path / "lmwatch.yml", tmp_path / "out.html", tmp_path / "out.json"
    config.write_text(CONFIG.format(url=prometheus.url))
    watches = ("--watch", "shop", "--watch", "recorded")
    done = run(config, "--source", "tsdb", "--from", "-16h", *watches, "--json", data, "--report", page)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    document = json.loads(data.read_text())
    for watch in document["watches"]:
        assert watch["states"] == {"ok": watch["screenings"]}
        (alert,) = watch["alerts"]
        assert (alert["metric"], alert["labels"]["series"]) == ("orders", str(ODD))
        assert begun <= alert["pending_at"] <= begun + 2 * watch["interval_seconds"]
        assert begun + 120 <= alert["fired_at"] <= begun + 120 + 2 * watch["interval_seconds"]
        alerts = {row["threshold"]: row["alerts"] for row in watch["thresholds"]}
        assert (alerts[0.5], alerts[0.6], alerts[0.95]) == (1, 1, 0)
        assert alerts[0.8] == (alert["peak_score"] >= 0.8)
        (own,) = [row for row in watch["thresholds"] if row["present"]]
        assert (own["threshold"], own["alerts_per_day"]) == (0.5, pytest.approx(24 / 16, rel=0.02))
    assert [bool(watch["notes"]) for watch in document["watches"]] == [False, True]
    fired = datetime.fromtimestamp(document["watches"][0]["alerts"][0]["fired_at"], UTC)
    html = page.read_text()
    assert f'<td class="when">{fired:%Y-%m-%d %H:%M}</td>' in html
    assert html.count(f"orders{{series=&#34;{ODD}&#34;,shop=&#34;{ODD % 2}&#34;}}</code>") >= 2

    nothing = run(config, "--from", "-40d", "--to", "-35d", "--watch", "shop", "--step", "30m")
    assert nothing.returncode == 1
    assert f"{prometheus.url} has no values of watch shop between" in nothing.stderr

    partly = run(config, "--from", "-3h", "--warmup", "0", "--watch", "shop", "--watch", "gone", "--step", "10m")
    assert partly.returncode == 1
    assert "note: watch gone found no values between" in partly.stderr
    assert re.search(r"shop: 6 series, 1[89] screenings each 10m, ok", partly.stdout)


def test_a_model_is_asked_as_it_would_have_been_and_its_answers_replayed_when_it_is_gone(prometheus, tmp_path):
    config, calls = tmp_path / "lmwatch.yml", tmp_path / "calls.jsonl"
    span = (
        "--from",
        "-11h",
        "--to",
        f"{time.time() - 8 * HOUR:.0f}",
        "--warmup",
        "1d",
        "--watch",
        "shop",
        "--json",
        "-",
    )
    with StudioServer([ScriptedEngine(anomalous)]) as studio:
        servers = f"servers: [{{name: desk, url: '{studio.url}'}}]"
        config.write_text(CONFIG.format(url=prometheus.url).replace("servers: []", servers))
        asked = run(config, *span, "--model", "config", "--record", calls)
    assert asked.returncode == 0, asked.stderr
    (watch,) = json.loads(asked.stdout)["watches"]
    assert {verdict["server"] for verdict in watch["verdicts"]} == {"desk"}
    assert any("It left its usual range." in alert["description"] for alert in watch["alerts"])
    assert "THRESHOLD" in asked.stderr, "the table, where standard output is the document's"
    replayed = run(config, *span, "--model", f"replay:{calls}")
    assert replayed.returncode == 0, replayed.stderr
    (again,) = json.loads(replayed.stdout)["watches"]
    assert again["alerts"] == watch["alerts"]
    assert again["thresholds"] == watch["thresholds"]
