"""What is shipped for a stack, checked by the programs that will read it."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lmwatch_process import LMWATCH, lmwatch
from real_programs import ROOT, Alertmanager, eventually, fetch, free_port, program, running, unpacked

pytestmark = pytest.mark.integration

ALERTMANAGER = ROOT / "deploy/alertmanager.yml"
COMPOSE = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text()))
DEBIAN = {
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "node-exporter": "prometheus-node-exporter",
}


def output(*arguments: str) -> str:
    result = subprocess.run(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture
def container(tmp_path: Path):
    """The files of a service as its container sees them, in a folder that stands for `/`."""

    def build(service: str) -> Path:
        for volume in COMPOSE["services"][service]["volumes"]:
            source, target, *_ = volume.split(":")
            place = tmp_path / target.removeprefix("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir() and source.startswith("./"):
                shutil.copytree(ROOT / source, place)
            elif source.startswith("./"):
                shutil.copy(ROOT / source, place)
        return tmp_path

    return build


def test_promtool_takes_prometheus_configuration_with_all_rules(container) -> None:
    said = output(
        program("promtool"), "check", "config", str(container("prometheus") / "etc/prometheus/prometheus.yml")
    )
    assert "is valid prometheus config file syntax" in said
    assert said.count("rules found") == len(list((ROOT / "rules").glob("*.rules.yml")))


def test_amtool_takes_alertmanagers_configuration(container) -> None:
    file = container("alertmanager") / "etc/alertmanager/alertmanager.yml"
    said = output(program("amtool"), "check-config", str(file))
    assert "4 inhibit rules" in said
    assert "5 receivers" in said


@pytest.mark.parametrize("service", DEBIAN)
def test_a_program_knows_its_flags(service: str) -> None:
    known = subprocess.run(
        [program(DEBIAN[service]), "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    for flag in COMPOSE["services"][service]["command"]:
        assert re.search(rf"{re.escape(flag.partition('=')[0])}\b", known.stdout + known.stderr), flag


ROUTES = [
    ("a critical alert of somebody else's", "alertname=DiskFull severity=critical", "lmwatch,pager"),
    ("a warning of somebody else's", "alertname=DiskFull severity=warning", "lmwatch,team"),
    ("an alert without severity", "alertname=DiskFull", "lmwatch,team"),
    ("a score that a rule found", "alertname=LMWatchSeriesAnomaly severity=warning watch=w", "lmwatch,team"),
    ("a critical score", "alertname=LMWatchSeriesAnomaly severity=critical watch=w", "lmwatch,pager"),
    ("a group that a rule found", "alertname=LMWatchGroupScoreHigh severity=warning", "lmwatch,team"),
    ("a pushed anomaly", "alertname=LMWatchAnomaly severity=critical", "lmwatch,pager"),
    ("a pushed group", "alertname=LMWatchGroupAnomaly severity=warning", "lmwatch,team"),
    ("LM Studio itself", "alertname=LMStudioDown severity=critical server=desk", "pager"),
    ("LM Studio slow", "alertname=LMStudioTimeToFirstTokenHigh severity=warning", "team"),
    ("lmwatch itself", "alertname=LMWatchConfigReloadFailed severity=warning", "team"),
    ("only to be known", "alertname=LMWatchVerdictsUngrounded severity=info", "nobody"),
    ("the watchdog", "alertname=LMWatchWatchdog severity=none", "heartbeat"),
    ("the watchdog of others", "alertname=Watchdog severity=none", "heartbeat"),
    ("something like a watchdog", "alertname=WatchdogOfCats severity=warning", "lmwatch,team"),
]


@pytest.mark.parametrize(("labels", "receivers"), [row[1:] for row in ROUTES], ids=[row[0] for row in ROUTES])
def test_an_alert_reaches_its_receivers(labels: str, receivers: str) -> None:
    amtool = [program("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}"]
    assert output(*amtool, *labels.split(), f"--verify.receivers={receivers}").splitlines()[-1] == receivers


SERIES = {"watch": "nodes", "metric": "load", "instance": "a", "severity": "warning"}
SERVER = {"server": "desk", "model": "qwen", "severity": "warning"}
# What it is, the alert that may silence, the other one, and whether it does.
INHIBITIONS = [
    (
        "pushed over rule",
        {"alertname": "LMWatchAnomaly", **SERIES},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES},
        True,
    ),
    (
        "pushed over rule of another instance",
        {"alertname": "LMWatchAnomaly", **SERIES},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "instance": "b"},
        False,
    ),
    (
        "pushed over rule of another device",
        {"alertname": "LMWatchAnomaly", **SERIES, "device": "sda"},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "device": "sdb"},
        False,
    ),
    (
        "pushed over rule of a series that differs in a label that is not listed",
        {"alertname": "LMWatchAnomaly", **SERIES, "colour": "red"},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "colour": "blue"},
        True,
    ),
    (
        "rule over pushed",
        {"alertname": "LMWatchSeriesAnomaly", **SERIES},
        {"alertname": "LMWatchAnomaly", **SERIES},
        False,
    ),
    (
        "pushed group over its rule",
        {"alertname": "LMWatchGroupAnomaly", "watch": "nodes", "instance": "a"},
        {"alertname": "LMWatchGroupScoreHigh", "watch": "nodes", "instance": "a"},
        True,
    ),
    (
        "pushed series over the rule of its group",
        {"alertname": "LMWatchAnomaly", **SERIES},
        {"alertname": "LMWatchGroupScoreHigh", "watch": "nodes", "instance": "a"},
        False,
    ),
    (
        "critical over warning",
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "severity": "critical"},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES},
        True,
    ),
    (
        "critical over the warning of another metric",
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "severity": "critical"},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "metric": "memory"},
        False,
    ),
    (
        "critical over the warning of another device",
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "device": "sda", "severity": "critical"},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "device": "sdb"},
        False,
    ),
    (
        "critical over the warning of another server",
        {"alertname": "LMStudioSlow", **SERVER, "severity": "critical"},
        {"alertname": "LMStudioSlow", **SERVER, "server": "attic"},
        False,
    ),
    (
        "critical of somebody else's",
        {"alertname": "DiskFull", "instance": "a", "mountpoint": "/", "severity": "critical"},
        {"alertname": "DiskFull", "instance": "a", "mountpoint": "/home", "severity": "warning"},
        False,
    ),
    (
        "down over a symptom",
        {"alertname": "LMStudioDown", "server": "desk", "severity": "critical"},
        {"alertname": "LMStudioModelNotLoaded", **SERVER},
        True,
    ),
    (
        "down over a symptom of another server",
        {"alertname": "LMStudioDown", "server": "desk", "severity": "critical"},
        {"alertname": "LMStudioModelNotLoaded", **SERVER, "server": "attic"},
        False,
    ),
    (
        "down over a score",
        {"alertname": "LMStudioDown", "server": "desk", "severity": "critical"},
        {"alertname": "LMWatchSeriesAnomaly", **SERIES, "server": "desk"},
        False,
    ),
]


def test_series_are_told_apart_by_the_same_labels_in_all_rules() -> None:
    pushed, group, severity, _ = (
        set(rule["equal"]) for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]
    )
    assert pushed == group == severity - {"alertname", "server", "model"}


def test_alertmanager_inhibits_what_is_said_twice_and_nothing_else(tmp_path: Path) -> None:
    """Each case has a label of its own that all rules require, so that all of them fit into one Alertmanager."""
    config = yaml.safe_load(ALERTMANAGER.read_text())
    for rule in config["inhibit_rules"]:
        rule["equal"] = [*rule["equal"], "case"]
    for receiver in config["receivers"]:
        receiver.pop("webhook_configs", None)
    server = Alertmanager(yaml.safe_dump(config), tmp_path / "alertmanager").start()
    try:
        alerts = [
            {"labels": {**labels, "case": name, "role": role}}
            for name, source, target, _ in INHIBITIONS
            for role, labels in (("source", source), ("target", target))
        ]
        assert server.post("alerts", alerts)[0] == 200
        # The pushed alert is the target there: it silences the source.
        expected = {(name, "target") for name, *_, silenced in INHIBITIONS if silenced} | {
            ("rule over pushed", "source")
        }

        def inhibited() -> set[tuple[str, str]]:
            held = server.alerts()
            assert len(held) in (0, len(alerts))
            muted = [alert["labels"] for alert in held if alert["status"]["inhibitedBy"]]
            return {(labels["case"], labels["role"]) for labels in muted}

        eventually(lambda: len(inhibited()) >= len(expected), what="alerts are inhibited")
        assert inhibited() == expected
        amtool, root = unpacked("amtool", tmp_path)
        probe = COMPOSE["services"]["alertmanager"]["healthcheck"]["test"][3:]
        healthy = [amtool, f"--alertmanager.url={server.url}", *probe]
        assert subprocess.run(healthy, capture_output=True, check=False, cwd=root, timeout=60).returncode == 0
    finally:
        server.stop()
    assert subprocess.run(healthy, capture_output=True, check=False, cwd=root, timeout=60).returncode != 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
@pytest.mark.parametrize("drop_ins", [[], ["log-stream.conf"]], ids=["alone", "with the log stream"])
def test_systemd_takes_the_unit(drop_ins: list[str], tmp_path: Path) -> None:
    folder = ROOT / "deploy/systemd"
    unit = (folder / "lmwatch.service").read_text().replace("/opt/lmwatch/bin/lmwatch", LMWATCH)
    (tmp_path / "lmwatch.service").write_text(unit)
    (tmp_path / "lmwatch.service.d").mkdir()
    for name in drop_ins:
        shutil.copy(folder / name, tmp_path / "lmwatch.service.d")
    assert output("systemd-analyze", "verify", str(tmp_path / "lmwatch.service")) == ""


def test_systemd_and_the_health_check_see_when_lmwatch_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, flag, code = COMPOSE["services"]["lmwatch"]["healthcheck"]["test"][1:]
    assert shown == "python"

    def healthy(url: str) -> bool:
        probe = [sys.executable, flag, code.replace("http://127.0.0.1:9917", url)]
        return subprocess.run(probe, capture_output=True, check=False, timeout=60).returncode == 0

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with lmwatch('servers: [{name: none, url: "http://127.0.0.1:9", log_stream: off}]', tmp_path) as started:
            assert manager.recv(100) == b"READY=1"
            assert healthy(started.url)
            started.process.send_signal(signal.SIGTERM)
            assert started.process.wait(30) == 0
        assert manager.recv(100) == b"STOPPING=1"
        assert not healthy(started.url)


def test_the_embedded_profile_serves_a_model_that_answers(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    arguments = [LMWATCH, "embedded", f"--web.listen-address={address}"]
    with running(arguments, tmp_path / "log", cwd=ROOT) as process:

        def models() -> list[dict[str, str]]:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                return json.loads(fetch(f"http://{address}/v1/models")[1])["data"]
            except OSError:
                return []

        [model] = eventually(models, seconds=90, what="a model is listed")
        asked = {"model": model["id"], "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 4}
        status, text = fetch(
            f"http://{address}/v1/chat/completions",
            data=json.dumps(asked).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert status == 200, text
        assert json.loads(text)["usage"]["completion_tokens"] > 0
        process.terminate()
        assert process.wait(30) == 0
