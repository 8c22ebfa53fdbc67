"""The description of the API holds: it is valid, whole, and real answers are as it says."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from web_fakes import DB1, NOW, FakeJournal, make_app, make_board, make_deps, make_groups, make_verdicts
from werkzeug.test import Client

from exporter.alerting.alert import Alert, Subject, Words
from exporter.lmstudio.wire import ChatRequest
from exporter.reasoning.pictures import picture_of
from exporter.screening.result import Alarm, ScreenedGroup
from exporter.web.openapi import description
from exporter.web.routes import Application

ALERT = Alert(
    *(Subject("node-health", "node_load1", DB1), "firing", "warning", "spike", (("alertname", "A"),), 0.9),
    *(Words("Load is high", "", (), "", ""), NOW - 60),
)
NOTIFICATION = {"number": 1, "group_key": "{}", "status": "firing", "at": NOW, "verdict": None}


def shown_group() -> ScreenedGroup:
    group = make_groups()["node-health"][0]
    alarms = (Alarm(NOW - 500, NOW - 400, "spike"), Alarm(NOW - 200, None, None))
    return replace(group, series=tuple(replace(one, alarms=alarms) for one in group.series))


def client() -> Client:
    newest, *rest = make_verdicts()
    pictures = tuple(picture_of(f"S{n}", one) for n, one in enumerate(shown_group().series))
    request = ChatRequest("qwen", (), 300, {"type": "object"})
    newest = replace(newest, pictures=pictures, request=request, prompt="[system]\nWeigh.\n\n[user]\n<data>")
    return Client(
        make_app(
            journal=FakeJournal([newest, *rest]),
            alerts=lambda: [ALERT],
            notifications=lambda _: [NOTIFICATION],
            groups=lambda _, wanted: [group for group in (shown_group(),) if wanted(group.key)],
        )
    )


def test_the_description_is_valid_openapi():
    assert list(OpenAPIV31SpecValidator(description()).iter_errors()) == []


def test_every_route_of_the_api_is_described_and_nothing_else():
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in Application(make_deps(make_board())).routes.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    described = {(path, method) for path, methods in description()["paths"].items() for method in methods}
    assert routes == described


def schema_of(path: str, code: str) -> dict[str, Any]:
    """The schema of an answer, with the components it refers to."""
    responses = description()["paths"][path]["get"]["responses"]
    schema = responses[code]["content"]["application/json"]["schema"]
    return {**schema, "components": description()["components"]}


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/v1/status", "/api/v1/status"),
        ("/api/v1/status/config", "/api/v1/status/config"),
        ("/api/v1/watches/{name}", "/api/v1/watches/node-health"),
        ("/api/v1/watches/{name}", "/api/v1/watches/gpu-farm"),
        ("/api/v1/servers/{name}", "/api/v1/servers/desk"),
        ("/api/v1/servers/{name}", "/api/v1/servers/attic"),
        ("/api/v1/verdicts", "/api/v1/verdicts"),
        ("/api/v1/verdicts/{id}", "/api/v1/verdicts/v-41"),
        ("/api/v1/verdicts/{id}", "/api/v1/verdicts/v-38"),
        ("/api/v1/verdicts/{id}/request", "/api/v1/verdicts/v-41/request"),
        ("/api/v1/events", "/api/v1/events"),
        ("/api/v1/alerts", "/api/v1/alerts"),
        ("/api/v1/notifications", "/api/v1/notifications"),
    ],
)
def test_real_answers_are_as_described(path: str, asked: str):
    response = client().get(asked)
    assert response.status_code == 200
    jsonschema.validate(response.json, schema_of(path, "200"), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/v1/watches/{name}", "/api/v1/watches/unknown"),
        ("/api/v1/verdicts", "/api/v1/verdicts?limit=0"),
        ("/api/v1/verdicts/{id}/request", "/api/v1/verdicts/v-40/request"),
    ],
)
def test_errors_are_as_described(path: str, asked: str):
    response = client().get(asked)
    assert response.status_code in (400, 404)
    jsonschema.validate(response.json, schema_of(path, "default"), cls=jsonschema.Draft202012Validator)


def test_the_description_is_served():
    assert client().get("/api/v1/openapi.json").json == json.loads(json.dumps(description()))


def test_the_question_is_a_request_that_can_be_sent_again():
    asked = client().get("/api/v1/verdicts/v-41/request").json
    assert asked == {
        "model": "qwen",
        "messages": [{"role": "system", "content": "Weigh."}, {"role": "user", "content": "<data>"}],
        "max_tokens": 300,
        "temperature": 0.0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
        },
    }


def test_the_documentation_lists_every_path():
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z]+) (/[^`]*)` \|", text, re.MULTILINE))
    described = {(method.upper(), path) for path, methods in description()["paths"].items() for method in methods}
    assert listed == described
