"""PromQL of the shipped rules against the catalogue of metrics: a name or label that nothing exposes never fires."""

from collections import Counter
from datetime import timedelta
from typing import Any

import promql_parser
import pytest
from promql_trees import joined_on, nodes, selectors
from rules_files import ALERTS, RECORDED, RULE_FILES, RULES, Rule, groups, parsed, ranges

from exporter.config.durations import parse_duration
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.row import Row

SCRAPE_INTERVAL = timedelta(seconds=15)
LONGEST_GROUP_INTERVAL = 300.0
TARGET = {"job", "instance"}
"""Labels that Prometheus attaches to whatever it scrapes."""
OF_PROMETHEUS = {"up": TARGET}


def exposed_labels() -> dict[str, set[str]]:
    """By the name of a sample: the labels that it carries for certain."""
    labels = {name: set(own) for name, own in OF_PROMETHEUS.items()}
    for row in CATALOGUE:
        for name in sample_names(row):
            labels[name] = {*row.labels, *TARGET} | ({"le"} if name.endswith("_bucket") else set())
    return labels


def sample_names(row: Row) -> list[str]:
    return [f"{row.name}_{part}" for part in ("bucket", "sum", "count")] if row.type == "histogram" else [row.name]


EXPOSED = exposed_labels()


def mistakes(expression: str) -> list[str]:
    """What in an expression cannot match anything that is exposed or recorded."""
    found, known = [], set()
    for selector in selectors(parsed(expression)):
        name = selector.name
        if name in RECORDED:
            return found
        if name not in EXPOSED:
            found.append(f"nothing exposes {name}")
            continue
        known |= EXPOSED[name]
        wrong = {matcher.name for matcher in selector.matchers.matchers} - EXPOSED[name]
        found += [f"{name} has no label {label}" for label in sorted(wrong)]
    return found + [f"no series here has the label {label}" for label in sorted(joined_on(parsed(expression)) - known)]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("lmstudio_up == 0", []),
        ("lmstudio_upp == 0", ["nothing exposes lmstudio_upp"]),
        ('lmstudio_up{sever="desk"} == 0', ["lmstudio_up has no label sever"]),
        ("sum by (sever) (rate(lmstudio_requests_total[5m])) > 1", ["no series here has the label sever"]),
        ("lmstudio_up == on (sever) group_left (odd) lmstudio_circuit_state", ["odd", "sever"]),
        ("rate(lmstudio_request_duration_seconds[5m]) > 1", ["nothing exposes lmstudio_request_duration_seconds"]),
        ('lmstudio_request_duration_seconds_bucket{le="1.0"} > 1', []),
        (
            'lmstudio_request_duration_seconds_sum{le="1.0"} > 1',
            ["lmstudio_request_duration_seconds_sum has no label le"],
        ),
    ],
)
def test_the_check_finds_what_it_is_there_for(expression: str, found: list[str]):
    assert len(mistakes(expression)) == len(found)
    assert all(text in mistake for text, mistake in zip(found, mistakes(expression), strict=True))


@pytest.mark.parametrize("rule", ALERTS, ids=str)
def test_every_metric_and_label_of_an_alert_is_exposed(rule: Rule):
    assert mistakes(rule.expr) == []


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_ranges_span_four_scrapes_or_more(rule: Rule):
    assert all(span >= 4 * SCRAPE_INTERVAL for span in ranges(rule.expr))


def test_ranges_are_seen():
    assert ranges("rate(a[30s]) + max_over_time(b[5m])") == [timedelta(seconds=30), timedelta(minutes=5)]


SCORED = [
    rule
    for rule in ALERTS
    if selectors(parsed(rule.expr)) and selectors(parsed(rule.expr))[0].name.endswith("anomaly_score")
]


@pytest.mark.parametrize("rule", SCORED, ids=str)
def test_an_alert_about_scores_leaves_the_heartbeats_own_out(rule: Rule):
    """They are anomalous on purpose."""
    matchers = [
        (matcher.name, matcher.op, matcher.value) for matcher in selectors(parsed(rule.expr))[0].matchers.matchers
    ]
    assert ("watch", promql_parser.MatchOp.NotEqual, "lmwatch_heartbeat") in matchers


def test_recorded_names_have_levels():
    assert [name for name in RECORDED if ":" not in name] == []


def test_alerts_are_evaluated_every_five_minutes_or_more_often():
    slow = [
        group["name"]
        for _, group in groups()
        if interval_of(group) > LONGEST_GROUP_INTERVAL and any("alert" in rule for rule in group["rules"])
    ]
    assert slow == []


def test_what_is_recorded_more_rarely_than_prometheus_looks_back_is_read_over_a_range():
    """After 5 minutes an instant selector no longer sees the last sample."""
    for _, group in groups():
        if interval_of(group) > LONGEST_GROUP_INTERVAL:
            recorded = {rule["record"] for rule in group["rules"]}
            elsewhere = [rule for rule in RULES if rule.group != group["name"]]
            assert [rule for rule in elsewhere if read_too_narrowly(rule.expr, recorded, interval_of(group))] == []


@pytest.mark.parametrize(
    ("expression", "narrow"),
    [
        ("a", True),
        ("last_over_time(a[1h])", True),
        ("last_over_time(a[2h])", False),
        ("last_over_time(a[2h]) + a", True),
    ],
)
def test_a_narrow_read_is_seen(expression: str, narrow: bool):
    assert read_too_narrowly(expression, {"a"}, 3600.0) == narrow


def interval_of(group: dict[str, Any]) -> float:
    return parse_duration(group.get("interval", "1m"))


def read_too_narrowly(expression: str, names: set[str], interval: float) -> bool:
    """Whether one of these names is read as an instant, or over less than two intervals."""
    over = [node for node in nodes(parsed(expression)) if isinstance(node, promql_parser.MatrixSelector)]
    wide = Counter(node.vector_selector.name for node in over if node.range.total_seconds() >= 2 * interval)
    read = Counter(selector.name for selector in selectors(parsed(expression)))
    return any(read[name] > wide[name] for name in names)


def test_group_names_are_unique_and_there_are_rules():
    names = [group["name"] for _, group in groups()]
    assert len(names) == len(set(names))
    assert {"lmstudio.rules.yml", "lmwatch.rules.yml"} <= {file.name for file in RULE_FILES}
    assert len(ALERTS) > 30
    assert len(SCORED) == 5
