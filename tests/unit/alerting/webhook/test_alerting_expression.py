"""The expression behind an alert, from the address that it names as its origin."""

import json
from urllib.parse import quote, urlencode

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alerting.expression import expression_of, measured

EXPR = 'sum by (job) (rate(http_requests_total{code=~"5..",path!="/a b"}[5m])) > 0.1'


@pytest.mark.parametrize(
    "url",
    [
        "http://prometheus:9090/graph?" + urlencode({"g0.expr": EXPR, "g0.tab": "1"}),
        "http://prometheus:9090/prom/query?" + urlencode({"g0.expr": EXPR, "g0.tab": "1"}),
        "http://victoria:8428/vmui/#/?" + urlencode({"g0.expr": EXPR, "g0.range_input": "1h"}),
        "http://vmalert:8880/alert?" + urlencode({"group_id": "1", "expr": EXPR}),
        "http://grafana/explore?orgId=1&left=" + quote(json.dumps(["now-1h", "now", "VM", {"expr": EXPR}])),
        "http://grafana/explore?left="
        + quote(json.dumps({"datasource": "x", "queries": [{"refId": "A", "expr": EXPR}]})),
        "http://grafana/explore?schemaVersion=1&panes="
        + quote(json.dumps({"abc": {"queries": [{"refId": "A", "expr": EXPR}], "range": {"from": "now-1h"}}})),
    ],
)
def test_the_forms_that_carry_an_expression(url: str):
    assert expression_of(url) == EXPR


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://vmalert:8880/vmalert/alert?group_id=5&alert_id=6",
        "https://play.grafana.org/alerting/grafana/1afz29v7z/view",
        "http://grafana/explore?left=" + quote('{"queries":[{"expr":5}]}'),
        "http://grafana/explore?left=%7Bbroken",
        "http://[broken",
        "http://prometheus/graph?g0.expr=" + "x" * 20_000,
        "http://prometheus/graph?" + "&".join(f"g{n}.expr=x" for n in range(200)),
    ],
)
def test_what_carries_none(url: str):
    assert expression_of(url) is None


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (EXPR, 'sum by (job) (rate(http_requests_total{code=~"5..",path!="/a b"}[5m]))'),
        ("up == 0", "up"),
        ("up == bool 0", "up"),
        ("5 < node_load1", "node_load1"),
        ("5 < bool node_load1", "node_load1"),
        ("(node_load1 > 5)", "node_load1"),
        ("(a) / (b) > 0.5", "(a) / (b)"),
        ("errors > 0.1 * requests", "errors"),
        ("errors > on(job) group_left limits", "errors"),
        ("a > 1 and b < 2", "a"),
        ("(a > 1 and on(job) b < 2) unless c", "a"),
        ("a > 1 or b > 2", "a > 1 or b > 2"),
        ('absent(up{job="x"})', 'absent(up{job="x"})'),
        ("a > 1 > 2", "a > 1 > 2"),
        ("histogram_quantile(0.9, rate(x_bucket[5m] offset 1h)) >= 1e3", "histogram_quantile(0.9, rate(x_bucket[5m] offset 1h))"),
        ('label_replace(a, "or", "and > $1", "b", "(.*)") > 1', 'label_replace(a, "or", "and > $1", "b", "(.*)")'),
        ("a # > 5\n > 1", "a # > 5"),
        ("1 > 2", "2"),
    ],
)  # fmt: skip
def test_what_is_compared_is_what_is_looked_at(expr: str, expected: str):
    assert measured(expr) == expected
    promql_parser.parse(measured(expr))


@given(st.text())
def test_no_text_breaks_it(text: str):
    expression_of(text)
    assert isinstance(measured(text), str)
