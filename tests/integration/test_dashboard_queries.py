"""Each query of the dashboards against a real Prometheus that has scraped a running lmwatch: a panel without data is found here.

Everything happens once, in seconds in the place of minutes: models load, answer, fail and go; a series becomes
anomalous; alerts are pushed, come in and are sent on. What then still gives nothing stands in `MAY_BE_EMPTY`, with the reason.
"""

import contextlib
import json
import re
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from dashboard_files import ANNOTATIONS, DASHBOARDS, QUERIES, Query, filled, variables
from lmwatch_process import Lmwatch, lmwatch
from real_programs import ROOT, Prometheus, eventually, fetch, free_port
from scripted_answers import anomalous
from shipped import hurried_rules
from steered_target import SteeredTarget

from exporter.embedded.scripted import SCRIPTED_MODEL, Asked, Reply, ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault
from exporter.embedded.studio_http import Call, Listener

pytestmark = pytest.mark.integration

NOTIFICATION = ROOT / "tests/golden/alerting/firing-0.25.json"
LMWATCH = """
servers:
  - {{name: desk, url: "{studio}", poll_interval: 1s, probe: {{interval: 3s}}, log_stream: off}}
sources:
  - name: shop
    scrape: {{targets: ["{target}"], interval: 1s, timeout: 1s, labels: {{job: shop}}}}
watches:
  - name: orders
    source: shop
    select: ['{{__name__=~"steered_.*"}}']
    group_by: [instance]
    window: 1m
    interval: 1s
    reason: {{when: suspicious, every: 1m, cooldown: 2s}}
alerting:
  alertmanagers: [{{url: "{sink}"}}]
  for: 1s
  resend_interval: 1s
  webhook: {{enabled: true, forward_to: "{sink}/hook", deadline: 2s}}
proxy: {{listen: "127.0.0.1:{proxy}", server: desk}}
heartbeat: {{interval: 1m}}
grafana: {{url: "{sink}"}}
web: {{external_url: "http://lmwatch.example:9917"}}
journal: {{path: {journal}}}
"""
PROMETHEUS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: lmwatch
    honor_labels: true
    static_configs: [{{targets: ["{lmwatch}"]}}]
"""
MAY_BE_EMPTY = {
    (
        "lmwatch-lmstudio",
        "What answers",
        "B",
    ): "LM Studio's program is looked for among the processes, and none is called so",
    ("lmwatch-lmstudio", "What answers", "D"): "the log stream needs LM Studio's own program lms",
    ("lmwatch-self", "Series that did not fit", "A"): "three series fit into every prompt",
    ("lmwatch-self", "Not delivered", "B"): "alerts are given up only when a thousand wait, or at the end",
    ("lmwatch-self", "Jobs that were missed", "A"): "no job is missed on a machine that keeps up",
    ("lmwatch-self", "Parts of the exposition that failed", "A"): "no part fails unless it has a mistake",
    ("lmwatch-self", "annotation", "Restarts"): "lmwatch is not restarted here",
}
"""What may give nothing here: dashboard, panel and query, with the reason."""
SECONDS = {"__rate_interval": "8s", "__interval": "1s", "__range": "60s"}
"""Grafana's variables for a scrape interval of a second."""


@dataclass(frozen=True)
class World:
    prometheus: Prometheus
    lmwatch: Lmwatch

    def get(self, path: str, **query: object) -> Any:
        status, text = fetch(f"{self.prometheus.url}/api/v1/{path}?{urllib.parse.urlencode(query)}")
        assert status == 200, f"{query}: {text}"
        return json.loads(text)["data"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dashboards")
    with contextlib.ExitStack() as stack:
        small = replace(SCRIPTED_MODEL, key="small-1b", display_name="Small 1B")
        engines = [
            ScriptedEngine(_answer, pause=time.sleep, tokens_per_second=400.0),
            ScriptedEngine(_answer, facts=small),
        ]
        studio = stack.enter_context(StudioServer(engines))
        target = stack.enter_context(SteeredTarget(["a", "b", "c"]))
        refusals = {path: iter([503, 503]) for path in ("/api/v2/alerts", "/api/annotations", "/hook")}
        sink = Listener(0, lambda call: _take(call, refusals))
        sink.start()
        stack.callback(sink.stop)
        proxy = free_port()
        config = LMWATCH.format(
            studio=studio.url,
            target=target.address,
            sink=f"http://127.0.0.1:{sink.port}",
            proxy=proxy,
            journal=folder / "lmwatch.db",
        )
        watching = stack.enter_context(lmwatch(config, folder))
        scraping = PROMETHEUS.format(
            rules=hurried_rules(folder / "rules"), lmwatch=watching.url.removeprefix("http://")
        )
        prometheus = Prometheus(scraping, folder / "prometheus").start()
        stack.callback(prometheus.stop)
        _live(studio, target, watching, prometheus, f"http://127.0.0.1:{proxy}")
        yield World(prometheus, watching)


def _take(call: Call, refusals: dict[str, Iterator[int]]) -> None:
    """An Alertmanager, a Grafana and a chat in one, who take everything after the first two refusals."""
    call.send_json(next(refusals.get(call.path, iter(())), 200), {"id": 1})


def _answer(asked: Asked) -> str | Reply:
    return anomalous(asked) if asked.schema else Reply("One, two, three.", reasoning="Counting.")


def _live(studio: StudioServer, target: SteeredTarget, watching: Lmwatch, prometheus: Prometheus, proxy: str) -> None:
    """A day in half a minute."""

    def has(expression: str, what: str) -> None:
        eventually(lambda: prometheus.query(expression), seconds=60, what=what)

    def work() -> None:
        studio.faults.inject(Fault("crashed"), route="/v1/chat")
        for _ in range(3):
            chat = {"model": "small-1b", "messages": [{"role": "user", "content": "Count."}]}
            fetch(f"{proxy}/v1/chat/completions", data=json.dumps(chat).encode(), headers=_JSON)
        notification = {**json.loads(NOTIFICATION.read_bytes()), "groupKey": f"{{}}:{time.time()}"}
        body = json.dumps(notification).encode()
        answer = fetch(f"{watching.url}/api/v1/alertmanager/webhook", data=body, headers=_JSON)
        assert answer[0] == 200, answer

    has("lmwatch_webhook_forward_failures_total == 0", "counters before anything happens")
    work()
    has("lmwatch_anomaly_score", "scores")
    has('lmstudio_model_unloads_total{model="small-1b"}', "a model that may go")
    # Marks compare with three seconds earlier, so it has to have been there for as long.
    has('sum_over_time(lmstudio_model_loaded{model="small-1b"}[6s]) >= 5', "a model that has been loaded for a while")
    studio.unload("small-1b")
    has('lmstudio_model_loaded{model="small-1b"} == 0', "a model that went")
    studio.load("small-1b")
    has("increase(lmstudio_model_unloads_total[8s]) > 0", "why it went: it crashed, since it came back")
    studio.stop()
    has("lmstudio_up == 0", "a server that is gone")
    studio.start()
    has("lmstudio_up == 1", "a server that is back")
    assert fetch(f"{watching.url}/-/reload", data=b"")[0] == 200
    target.plant("a")
    has('lmwatch_group_anomaly_score{watch="orders"} > 0.5', "a verdict")
    work()
    has('ALERTS{alertname=~"LMWatch.*",alertstate="firing"}', "an alert")
    has("increase(lmwatch_alerts_sent_total[8s]) > 0", "a delivery")
    has('increase(lmwatch_grafana_annotations_total{outcome="created"}[8s]) > 0', "an annotation")


_JSON = {"Content-Type": "application/json"}


def chosen(world: World, uid: str) -> dict[str, str]:
    """Every variable of a dashboard with all or the first of its values, as Grafana would find them."""
    values: dict[str, str] = {}
    for one in variables(DASHBOARDS[uid]):
        if one["type"] == "datasource":
            values[one["name"]] = "prometheus"
            continue
        found = options(world, one, values)
        assert found, f"{uid}: the variable {one['name']} has no value"
        values[one["name"]] = one.get("allValue") or found[0]
    return values


def options(world: World, variable: dict[str, Any], values: dict[str, str]) -> list[str]:
    """The values of a query variable: what its `label_values` or `query_result` gives, after its regular expression."""
    text = filled(variable["query"]["query"], {**values, **SECONDS})
    kind, _, inner = text.removesuffix(")").partition("(")
    if kind == "label_values":
        selector, _, label = inner.rpartition(", ")
        return world.get(f"label/{label}/values", **{"match[]": selector})
    assert kind == "query_result"
    results = world.get("query", query=inner)["result"]
    texts = []
    for result in results:
        labels = result["metric"]
        name = labels.pop("__name__", "")
        listed = ",".join(f'{label}="{value}"' for label, value in labels.items())
        texts.append(f"{name}{{{listed}}} {result['value'][1]} {result['value'][0] * 1000:.0f}")
    pattern = re.compile(variable["regex"].strip("/"))
    return [found[1] for found in map(pattern.search, texts) if found]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_variable_has_values(world: World, uid: str):
    assert chosen(world, uid)


def numbers(world: World, expression: str, *, instant: bool = False, seconds: float = 60.0) -> list[float]:
    """What Grafana would draw for the last minute (or so many seconds), or show in a table; NaN is nothing."""
    if instant:
        values = [result["value"] for result in world.get("query", query=expression)["result"]]
    else:
        now = time.time()
        results = world.get("query_range", query=expression, start=now - seconds, end=now, step=1)["result"]
        values = [value for result in results for value in result["values"]]
    return [float(number) for _, number in values if number != "NaN"]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_panels_query_gives_data(world: World, query: Query):
    values = chosen(world, query.panel.dashboard)
    found = numbers(world, filled(query.expr, {**values, **SECONDS}), instant=query.target["instant"])
    assert found or (query.panel.dashboard, query.panel.title, query.target["refId"]) in MAY_BE_EMPTY


@pytest.mark.parametrize(("uid", "annotation"), ANNOTATIONS, ids=[f"{uid}: {one['name']}" for uid, one in ANNOTATIONS])
def test_an_annotation_marks_what_happened(world: World, uid: str, annotation: dict[str, Any]):
    # Models come and go within seconds here: further back nothing was scraped yet.
    hurried = {**SECONDS, "__rate_interval": "3s"}
    expression = filled(annotation["expr"], {**chosen(world, uid), **hurried})
    assert numbers(world, expression, seconds=1800) or (uid, "annotation", annotation["name"]) in MAY_BE_EMPTY


def test_what_may_be_empty_is_there_and_says_why():
    known = {(query.panel.dashboard, query.panel.title, query.target["refId"]) for query in QUERIES}
    known |= {(uid, "annotation", annotation["name"]) for uid, annotation in ANNOTATIONS}
    assert MAY_BE_EMPTY.keys() <= known
    assert all(MAY_BE_EMPTY.values())
