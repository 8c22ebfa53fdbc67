"""lmwatch as a process: start, reload, stop, and what it says about mistakes."""

import contextlib
import json
import signal
import socket
import subprocess
from urllib.parse import urlsplit

import pytest
from lmwatch_process import LMWATCH, lmwatch
from notifications import notification
from real_programs import eventually, fetch
from scripted_answers import anomalous

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault

pytestmark = pytest.mark.integration

STOP_SECONDS = 20
"""What the shipped unit and Deployment give it. All parts together take less than half: tests/unit/test_app_stop.py."""
HEALTH_ONLY = """
servers:
  - {{name: {name}, url: "{url}", poll_interval: 1s}}
"""
JUDGING = """
servers:
  - {{name: desk, url: "{url}", poll_interval: 1s}}
sources:
  - name: node
    scrape: {{targets: ["{node}"], interval: 1s, timeout: 1s}}
watches:
  - name: load
    source: node
    select: [node_load1]
    window: 1m
    interval: 1s
    reason: {{when: always, cooldown: 1s}}
"""
BRIDGING = """
alerting:
  for: 0
  alertmanagers: [{{url: "http://{alertmanagers[0]}"}}, {{url: "http://{alertmanagers[1]}"}}]
  webhook: {{enabled: true, forward_to: "http://{receiver}/", deadline: 1s}}
"""


@pytest.fixture
def silent():
    """Makes servers that take connections and never say a word: their addresses."""
    with contextlib.ExitStack() as ending:

        def make() -> str:
            host, port = ending.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()
            return f"{host}:{port}"

        yield make


@pytest.fixture
def studio():
    with StudioServer([ScriptedEngine(anomalous)]) as server:
        yield server


def test_sigterm_ends_it_with_0(studio, tmp_path):
    with lmwatch(HEALTH_ONLY.format(name="desk", url=studio.url), tmp_path) as watch:
        watch.process.send_signal(signal.SIGTERM)
        assert watch.process.wait(STOP_SECONDS) == 0


def test_sigterm_ends_it_while_a_model_hangs(studio, node_exporter, tmp_path):
    """The call that is under way is abandoned."""
    studio.faults.inject(Fault("hang"), times=None)
    with lmwatch(JUDGING.format(url=studio.url, node=node_exporter), tmp_path) as watch:
        eventually(lambda: [r for r in studio.received if "chat" in r.path], seconds=60, what="a model was asked")
        assert "lmwatch_screen_anomaly_score{" in watch.metrics(), "a hanging model does not hold up /metrics"
        watch.process.send_signal(signal.SIGTERM)
        assert watch.process.wait(STOP_SECONDS) == 0


def test_sigterm_ends_it_in_time_while_nobody_answers_anything(studio, node_exporter, silent, tmp_path):
    """Model, Alertmanagers and receiver hang, and a client does not finish its request: every part takes all its time."""
    studio.faults.inject(Fault("hang"), times=None)
    judging = JUDGING.format(url=studio.url, node=node_exporter)
    odd = judging.replace("[node_load1]", "[{series: node_load1, valid_max: -1}]")
    with lmwatch(odd + BRIDGING.format(alertmanagers=[silent(), silent()], receiver=silent()), tmp_path) as watch:
        payload = json.dumps(notification(1)).encode()
        eventually(
            lambda: fetch(f"{watch.url}/api/v1/alertmanager/webhook", data=payload)[0] == 200, what="it is stored"
        )
        eventually(lambda: [r for r in studio.received if "chat" in r.path], seconds=60, what="a model was asked")
        eventually(lambda: "\nlmwatch_alerts_firing 1.0\n" in watch.metrics(), what="an alert is pushed")
        with socket.create_connection(urlsplit(watch.url).netloc.split(":")) as client:
            client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: lmwatch\r\nContent-Length: 5\r\n\r\n")
            watch.process.send_signal(signal.SIGTERM)
            assert watch.process.wait(STOP_SECONDS) == 0, watch.log


def test_sighup_takes_over_a_new_configuration(studio, tmp_path):
    with lmwatch(HEALTH_ONLY.format(name="desk", url=studio.url), tmp_path) as watch:
        eventually(lambda: 'lmstudio_up{server="desk"} 1.0' in watch.metrics(), what="the first server is up")
        watch.config.write_text(HEALTH_ONLY.format(name="attic", url=studio.url))
        watch.process.send_signal(signal.SIGHUP)
        eventually(lambda: 'lmstudio_up{server="attic"} 1.0' in watch.metrics(), what="the new server is up")
        assert 'server="desk"' not in watch.metrics(), "series of what left the configuration end"


def test_a_bad_file_changes_nothing_and_shows(studio, tmp_path):
    with lmwatch(HEALTH_ONLY.format(name="desk", url=studio.url), tmp_path) as watch:
        eventually(lambda: fetch(f"{watch.url}/-/ready")[0] == 200, what="ready")
        watch.config.write_text("servers:\n  - {name: desk, url: 'http://127.0.0.1:1', pol_interval: 1s}\n")
        status, text = fetch(f"{watch.url}/-/reload", data=b"")
        assert status == 500
        assert "lmwatch.yml:2:45: servers[0].pol_interval: unknown key, did you mean poll_interval?" in text
        metrics = watch.metrics()
        assert "\nlmwatch_config_last_reload_successful 0.0\n" in metrics
        assert 'lmstudio_up{server="desk"} 1.0' in metrics
        watch.config.write_text(HEALTH_ONLY.format(name="desk", url=studio.url))
        assert fetch(f"{watch.url}/-/reload", data=b"")[0] == 200
        assert "\nlmwatch_config_last_reload_successful 1.0\n" in watch.metrics()


def test_reload_keeps_the_windows_of_sources_that_did_not_change(studio, node_exporter, tmp_path):
    """Scores go on without a second warming."""
    config = JUDGING.format(url=studio.url, node=node_exporter)
    with lmwatch(config, tmp_path) as watch:
        eventually(lambda: "lmwatch_screen_anomaly_score{" in watch.metrics(), seconds=60, what="warm")
        watch.config.write_text(config + "    context: A desktop.\n")
        assert fetch(f"{watch.url}/-/reload", data=b"")[0] == 200
        eventually(lambda: watch.status()["watches"][0]["state"] == "ok", what="the watch is judged anew")
        assert "state=warming" not in watch.log.split("reloaded")[-1]


def test_reload_goes_on_scraping_and_forgets_removed_targets(studio, node_exporter, tmp_path):
    """A source that did not change keeps its rhythm; a target that is gone is gone from /metrics."""
    config = JUDGING.format(url=studio.url, node=node_exporter)
    gone = "127.0.0.1:9"
    two = config.replace(f'["{node_exporter}"]', f'["{node_exporter}", "{gone}"]')
    assert two != config
    with lmwatch(two, tmp_path) as watch:

        def scraped_at(target):
            return next((s["at"] for s in watch.status()["sources"] if s["target"] == target), None)

        eventually(lambda: scraped_at(str(node_exporter)) and scraped_at(gone), what="both are scraped")
        assert fetch(f"{watch.url}/-/reload", data=b"")[0] == 200
        before = scraped_at(str(node_exporter))
        eventually(lambda: scraped_at(str(node_exporter)) > before, what="scraping goes on after a reload of the same")
        watch.config.write_text(config)
        assert fetch(f"{watch.url}/-/reload", data=b"")[0] == 200
        assert scraped_at(gone) is None
        assert gone not in watch.metrics()
        eventually(lambda: scraped_at(str(node_exporter)), what="the other one is scraped")


def test_a_start_with_a_bad_file_fails_with_the_place_of_the_mistake(tmp_path):
    file = tmp_path / "lmwatch.yml"
    file.write_text("watchs: []\n")
    done = subprocess.run([LMWATCH, "run", f"--config.file={file}"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lmwatch.yml:1:1: watchs: unknown key, did you mean watches?" in done.stderr


def test_check_finds_a_selector_that_does_not_parse(tmp_path):
    file = tmp_path / "lmwatch.yml"
    file.write_text(
        "sources: [{name: s, scrape: {targets: ['127.0.0.1:1']}}]\n"
        "watches:\n"
        "  - name: w\n"
        "    source: s\n"
        "    select: ['up{a=']\n",
    )
    done = subprocess.run([LMWATCH, "check", f"--config.file={file}"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lmwatch.yml:5:14: watches[0].select[0]" in done.stderr


def test_a_wrong_flag_is_wrong_usage():
    assert subprocess.run([LMWATCH, "run", "--no-such-flag"], capture_output=True, check=False).returncode == 2


def test_status_is_a_table_for_people_and_json_for_programs(studio, tmp_path):
    file = tmp_path / "lmwatch.yml"
    file.write_text(HEALTH_ONLY.format(name="desk", url=studio.url))
    table = subprocess.run([LMWATCH, "status", f"--config.file={file}"], capture_output=True, text=True, check=True)
    assert "scripted-1b" in table.stdout
    json = subprocess.run(
        [LMWATCH, "status", "--json", f"--config.file={file}"], capture_output=True, text=True, check=True
    )
    assert '"up": true' in json.stdout


def test_status_of_a_server_that_is_down_says_so_and_fails(tmp_path):
    file = tmp_path / "lmwatch.yml"
    file.write_text(HEALTH_ONLY.format(name="desk", url="http://127.0.0.1:9"))
    done = subprocess.run([LMWATCH, "status", f"--config.file={file}"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "down" in done.stdout
