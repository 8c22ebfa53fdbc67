"""Prometheus, Grafana and lmwatch are told the same about each other."""

import re
import stat
import subprocess
from pathlib import Path

import promql_parser
import pytest
from deploy_stack import ROOT, compose, load

from exporter.loading import load as load_config

PROMETHEUS = load("deploy/prometheus.yml")
SCORES = {"LMWatchSeriesAnomaly", "LMWatchGroupScoreHigh"}
PUSHED = {"LMWatchAnomaly", "LMWatchGroupAnomaly"}
[SOURCE] = load("grafana/provisioning/datasources/prometheus.yml")["datasources"]


def test_prometheus_keeps_the_labels_of_scores() -> None:
    [job] = [job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "lmwatch"]
    assert job["honor_labels"] is True


def test_rule_files_are_looked_for_where_they_are_mounted() -> None:
    assert PROMETHEUS["rule_files"] == ["rules/*.rules.yml"]
    assert "./rules:/etc/prometheus/rules:ro" in compose()["services"]["prometheus"]["volumes"]


def test_grafana_knows_prometheus_under_a_fixed_uid_and_how_often_it_scrapes() -> None:
    assert SOURCE["uid"] == "prometheus"
    assert SOURCE["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]


def test_grafana_looks_for_dashboards_where_they_are_mounted() -> None:
    [provider] = load("grafana/provisioning/dashboards/lmwatch.yml")["providers"]
    mounted = compose()["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounted
    assert provider["allowUiUpdates"] is False


def test_secrets_are_made_once_and_closed_to_other_users(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_text((ROOT / "deploy/make-secrets").read_text())

    def run() -> dict[str, str]:
        subprocess.run(["/bin/sh", str(script)], check=True, capture_output=True)
        return {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}

    made = run()
    assert {f"./deploy/secrets/{name}" for name in made} == {secret["file"] for secret in compose()["secrets"].values()}
    assert all(len(value) == 48 for value in made.values())
    assert len(set(made.values())) == len(made)
    assert run() == made
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["lmwatch.yml", "lmwatch.embedded.yml"])
def test_lmwatch_accepts_its_configuration(name: str, tmp_path: Path) -> None:
    """Beside the file lies the token, as in the container."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/webhook_token").write_text("a" * 48)
    (tmp_path / name).write_text((ROOT / "deploy" / name).read_text())
    config = load_config(tmp_path / name)
    assert config.journal is not None
    assert str(config.journal.path).startswith("/var/lib/lmwatch/")


def test_both_ends_of_the_webhook_use_the_same_token() -> None:
    services = compose()["services"]
    assert services["lmwatch"]["secrets"][0]["source"] == services["alertmanager"]["secrets"][0]["source"]
    [receiver] = [
        receiver for receiver in load("deploy/alertmanager.yml")["receivers"] if receiver["name"] == "lmwatch"
    ]
    [webhook] = receiver["webhook_configs"]
    shown = webhook["http_config"]["authorization"]["credentials_file"]
    assert services["alertmanager"]["secrets"][0]["target"] == f"/etc/alertmanager/{shown}"
    expected = load("deploy/lmwatch.yml")["alerting"]["webhook"]["token_file"]
    assert services["lmwatch"]["secrets"][0]["target"] == f"/etc/lmwatch/{expected}"


def test_of_the_shipped_alerts_only_scores_are_put_to_the_model() -> None:
    """What is said about lmwatch or LM Studio themselves is not: the model may be what is broken."""
    routes = [route for route in load("deploy/alertmanager.yml")["route"]["routes"] if route["receiver"] == "lmwatch"]
    assert all(route["continue"] is True for route in routes)
    [[not_ours], [scores]] = [route["matchers"] for route in routes]
    others = re.fullmatch(r'alertname !~ "(.*)"', not_ours)
    explained = re.fullmatch(r'alertname =~ "(.*)"', scores)
    assert others
    assert explained
    rules = [
        rule
        for file in (ROOT / "rules").glob("*.rules.yml")
        for group in load(file)["groups"]
        for rule in group["rules"]
    ]
    shipped = {rule["alert"] for rule in rules if "alert" in rule}
    assert all(re.fullmatch(others[1], name) for name in shipped)
    assert {name for name in shipped if re.fullmatch(explained[1], name)} == shipped & SCORES
    assert all(re.fullmatch(explained[1], name) for name in SCORES | PUSHED)


def names_in(query: str) -> set[str]:
    """The metrics that a PromQL expression reads."""
    found: set[str] = set()

    def note(node: object) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(str(node.name))
        return True

    promql_parser.walk(promql_parser.parse(query), note)
    return found


def test_the_shipped_watches_ask_for_what_node_exporter_has() -> None:
    exposed = (ROOT / "tests/testdata/expositions/node_exporter.prom").read_text()
    queries = [selection["query"] for watch in load("deploy/lmwatch.yml")["watches"] for selection in watch["select"]]
    assert len(queries) == 4
    for query in queries:
        names = names_in(query)
        assert len(names) == 1
        assert all(re.search(rf"^{name}[{{ ]", exposed, re.MULTILINE) for name in names), query
