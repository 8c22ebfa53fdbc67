"""PromQL of the dashboards against the catalogue of metrics, and the linter's rules about queries."""

import re
from collections.abc import Callable
from typing import Any

import promql_parser
import pytest
from dashboard_files import ANNOTATIONS, DASHBOARDS, QUERIES, Panel, Query, anything, filled, variables
from promql_trees import joined_on, nodes, selectors

from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.row import Row

TARGET = {"job", "instance"}
ROWS: dict[str, Row] = {row.name: row for row in CATALOGUE}
SAMPLES = {
    f"{row.name}{part}": row
    for row in CATALOGUE
    for part in (("_bucket", "_sum", "_count") if row.type == "histogram" else ("",))
}
RATES = {"rate", "irate", "increase"}


def parsed(expr: str, uid: str) -> Any:
    return promql_parser.parse(filled(expr, anything(DASHBOARDS[uid])))


def matched(selector: promql_parser.VectorSelector) -> set[str]:
    return {matcher.name for matcher in selector.matchers.matchers}


def carried(row: Row, name: str) -> set[str]:
    """The labels of a sample that are known beforehand."""
    return {*row.labels, *TARGET} | ({"le"} if name.endswith("_bucket") else set())


def mistakes(tree: Any) -> list[str]:
    """What in an expression cannot match anything that is exposed."""
    found, known, open_ended = [], set(), False
    for selector in selectors(tree):
        if selector.name in ("up", "ALERTS"):
            known |= TARGET
            continue
        row = SAMPLES.get(selector.name)
        if row is None:
            found.append(f"nothing exposes {selector.name}")
            continue
        if row.planned:
            found.append(f"nothing exposes {selector.name} yet")
        open_ended |= row.more_labels != ""
        known |= carried(row, selector.name)
        found += [
            f"{selector.name} has no label {name}" for name in sorted(matched(selector) - carried(row, selector.name))
        ]
    if not open_ended:
        found += [f"no series here has the label {name}" for name in sorted(joined_on(tree) - known)]
    return found


@pytest.mark.parametrize(
    ("expr", "count"),
    [
        ("lmstudio_up", 0),
        ("lmstudio_upp", 1),
        ('lmstudio_up{sever="a"}', 1),
        ("sum by (sever) (lmstudio_up)", 1),
        ("lmstudio_request_duration_seconds", 1),
        ("lmstudio_model_load_duration_seconds_bucket", 1),
        ('lmstudio_request_duration_seconds_sum{le="1"}', 1),
        ('lmwatch_anomaly_score{metric="a"}', 0),
        ('lmwatch_group_anomaly_score{metric="a"}', 1),
    ],
)
def test_the_check_finds_what_it_is_there_for(expr: str, count: int):
    assert len(mistakes(promql_parser.parse(expr))) == count


def complaints(check: Callable[[Query], list[str]]) -> dict[str, list[str]]:
    """What a check has against the queries, by the name of each that it has anything against."""
    return {str(query): found for query in QUERIES if (found := check(query))}


def test_every_metric_and_label_is_exposed():
    assert complaints(lambda query: mistakes(parsed(query.expr, query.panel.dashboard))) == {}


def unchosen(query: Query) -> list[str]:
    """The selectors that take from more than what was chosen.

    What lmwatch says of itself and its servers is chosen by job and instance; scores, which carry others', by watch.
    """
    found = []
    for name, inside in re.findall(r"\b(\w+)\{((?:\$\{|[^}])*?\}?)\}", query.expr):
        row = SAMPLES.get(name)
        if row is not None and row.more_labels:
            good = 'watch=~"$watch"' in inside or inside == "${series:raw}"
        else:
            good = 'instance=~"$instance"' in inside and 'job=~"$job"' in inside
        found += [] if good else [f"{name}{{{inside}}}"]
    everywhere = [one.name for one in selectors(parsed(query.expr, query.panel.dashboard)) if not matched(one)]
    return found + everywhere


@pytest.mark.parametrize(
    ("expr", "found"),
    [
        ('lmstudio_up{job=~"$job",instance=~"$instance"}', []),
        ('lmstudio_up{job=~"$job"}', ['lmstudio_up{job=~"$job"}']),
        ("lmstudio_up", ["lmstudio_up"]),
        ('lmwatch_anomaly_score{watch=~"$watch"} > 0', []),
        (
            'lmwatch_anomaly_score{job=~"$job",instance=~"$instance"}',
            ['lmwatch_anomaly_score{job=~"$job",instance=~"$instance"}'],
        ),
        ("lmwatch_series_value{${series:raw}}", []),
        ('lmwatch_alerts_firing{instance=~"$instance"}', ['lmwatch_alerts_firing{instance=~"$instance"}']),
    ],
)
def test_what_takes_from_more_than_was_chosen_is_found(expr: str, found: list[str]):
    panel = Panel("lmwatch-anomalies", {"title": "Of a test"})
    assert unchosen(Query(panel, {"expr": expr, "refId": "A"})) == found


def test_a_query_keeps_to_what_was_chosen():
    assert complaints(unchosen) == {}


def test_rates_span_grafanas_rate_interval():
    def check(query: Query) -> list[str]:
        calls = re.findall(r"\b(\w+)\([^()]*?\[([^\]]*)\]", query.expr)
        return [
            f"{call} over {span}"
            for call, span in calls
            if span not in (("$__rate_interval",) if call in RATES else ("$__rate_interval", "$__range"))
        ]

    assert complaints(check) == {}


def test_counters_are_rates_and_nothing_else_is():
    def check(query: Query) -> list[str]:
        tree = parsed(query.expr, query.panel.dashboard)
        calls = [node for node in nodes(tree) if isinstance(node, promql_parser.Call) and node.func.name in RATES]
        rated = {selector.name for call in calls for selector in selectors(call)}
        rows = {selector.name: SAMPLES.get(selector.name) for selector in selectors(tree)}
        counts = {name for name, row in rows.items() if row is not None and row.type in ("counter", "histogram")}
        return sorted(rated ^ counts)

    assert complaints(check) == {}


def test_a_legend_names_labels_that_the_result_has():
    def check(query: Query) -> list[str]:
        named = set(re.findall(r"\{\{(\w+)\}\}", query.target.get("legendFormat", "")))
        return sorted(named - joined_on(parsed(query.expr, query.panel.dashboard)))

    assert complaints(check) == {}


def test_a_table_is_asked_for_once_and_a_graph_over_time():
    def check(query: Query) -> list[str]:
        table = query.panel.document["type"] == "table"
        asked = (query.target["instant"], query.target["range"], query.target.get("format") == "table")
        return [] if asked == (table, not table, table) else [str(asked)]

    assert complaints(check) == {}


@pytest.mark.parametrize(("uid", "annotation"), ANNOTATIONS, ids=[f"{uid}: {one['name']}" for uid, one in ANNOTATIONS])
def test_an_annotations_query_asks_for_what_there_is(uid: str, annotation: dict[str, Any]):
    tree = parsed(annotation["expr"], uid)
    assert mistakes(tree) == []
    assert annotation["titleFormat"]


def test_no_event_falls_between_two_steps_of_an_annotation():
    """Grafana asks about a long range in long steps: what looks back less far than one step misses what happened in it."""
    spans = [span for _, one in ANNOTATIONS for span in re.findall(r"\[([^]]+)\]|offset (\S+)", one["expr"])]
    assert len(spans) > 4
    assert {"".join(span) for span in spans} == {"$__rate_interval"}


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_the_queries_of_variables_ask_for_what_there_is(uid: str):
    for one in variables(DASHBOARDS[uid]):
        if one["type"] != "query":
            continue
        kind, _, inner = one["query"]["query"].removesuffix(")").partition("(")
        assert kind in ("label_values", "query_result")
        expr, label = inner.rsplit(", ", 1) if kind == "label_values" else (inner, "")
        tree = parsed(expr, uid)
        assert mistakes(tree) == [], one["name"]
        if label:
            (selector,) = selectors(tree)
            assert label in carried(SAMPLES[selector.name], selector.name)


def test_every_metric_that_people_watch_is_on_a_dashboard():
    """A new metric gets a panel, or a reason here."""
    elsewhere = {
        "lmstudio_server_info": "the page of the server says it",
        "lmstudio_model_ttl_seconds": "the time that remains is what changes",
        "lmstudio_model_last_used_timestamp_seconds": "the time that remains says it",
        "lmstudio_model_context_changes_total": "its alert marks it on all graphs",
        "lmstudio_server_version_changes_total": "its annotation would say the same as that of restarts",
        "lmstudio_request_output_tokens": "tokens processed show it",
        "lmstudio_proxy_uncounted_total": "an alert watches it",
        "lmwatch_grafana_annotation_queue_length": "annotations that are dropped are counted",
        "lmwatch_source_discovery_errors": "the watch's state has its words",
        "lmwatch_alertmanagers_discovered": "the table of Alertmanagers names them",
        "lmwatch_collector_success": "the failures are counted",
        "process_virtual_memory_bytes": "what is resident counts",
    }
    text = " ".join(
        [query.expr for query in QUERIES]
        + [one["expr"] for _, one in ANNOTATIONS]
        + [one["definition"] for document in DASHBOARDS.values() for one in variables(document) if "definition" in one]
    )
    shown = {row.name for row in CATALOGUE if re.search(rf"\b{row.name}(_bucket|_sum|_count)?\b", text)}
    missing = {row.name for row in CATALOGUE if not row.planned} - shown - elsewhere.keys()
    assert {name for name in missing if not name.startswith("python_")} == set()
    assert elsewhere.keys() <= ROWS.keys() - shown
