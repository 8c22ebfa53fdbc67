"""The JSON API described as OpenAPI 3.1; the schemas are in `openapi_schemas`."""

from functools import cache
from typing import Any

from exporter import __version__
from exporter.web.access import WEBHOOK_PATH
from exporter.web.openapi_schemas import SCHEMAS, array, ref
from exporter.web.query import DEFAULT_ROWS, MOST_ROWS, OUTCOMES

_SINCE = "Only those at or after this: Unix seconds, a time with its zone like 2026-01-31T12:00:00Z, or a duration like 6h, which means so long ago."
_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}


@cache
def description() -> dict[str, Any]:
    """The whole API; do not change what is returned."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lmwatch",
            "version": __version__,
            "summary": "What lmwatch's pages show, for programs.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "Users of --web.config.file."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "alerting.webhook.token_file."},
            },
        },
        "security": [{}, {"basic": []}],
    }


def _paths() -> dict[str, Any]:
    verdict = _path_parameter("id", "Of the verdict.")
    return {
        "/api/v1/status": {"get": _status()},
        "/api/v1/status/config": {
            "get": _get("configuration", "The configuration that runs, as YAML without secrets", ref("Configuration"))
        },
        "/api/v1/watches/{name}": {
            "get": _get(
                "watch",
                "One watch: its groups, the histories of what is odd, one page of its series",
                ref("Watch"),
                _path_parameter("name", "Of the watch."),
                _parameter("q", "Only series whose name or labels contain this.", _TEXT),
                _parameter(
                    "group",
                    "Only series of this group, written as label=value pairs with a comma and a space between.",
                    _TEXT,
                ),
                _parameter("odd", "Only series with a score of at least 0.5.", _FLAG),
                _parameter("page", "Which page, from 1 on.", {"type": "integer", "minimum": 1}),
            )
        },
        "/api/v1/servers/{name}": {
            "get": _get(
                "server",
                "One server: models, figures, states over the last day, events, failures",
                ref("ServerDetail"),
                _path_parameter("name", "Of the server."),
            )
        },
        "/api/v1/verdicts": {
            "get": _get(
                "verdicts",
                "Verdicts, the newest first, without the pictures and the form of the question",
                array(ref("Verdict")),
                _parameter("watch", "Only of this watch.", _TEXT),
                _parameter("outcome", "Only those that ended so.", {"type": "string", "enum": list(OUTCOMES)}),
                _parameter("since", _SINCE, _TEXT),
                _parameter("anomalous", "Only those with a score above 0.5.", _FLAG),
                _parameter("before", "The id of the last one of the page before.", _TEXT),
                _limit(),
            )
        },
        "/api/v1/verdicts/{id}": {"get": _get("verdict", "One verdict, whole", ref("Verdict"), verdict)},
        "/api/v1/verdicts/{id}/request": {"get": _question(verdict)},
        "/api/v1/events": {
            "get": _get(
                "events",
                "What happened to servers, the newest first",
                array(ref("Event")),
                _parameter("server", "Only of this server.", _TEXT),
                _parameter("since", _SINCE, _TEXT),
                _limit(),
            )
        },
        "/api/v1/alerts": {
            "get": _get("alerts", "Alerts that are pending or firing, as Prometheus' API shows them", ref("Alerts"))
        },
        "/api/v1/notifications": {
            "get": _get(
                "notifications", "What came in by webhook, the newest first", array(ref("Notification")), _limit()
            )
        },
        "/api/v1/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This description; not wrapped",
                "responses": {"200": _content("OpenAPI 3.1.", {"type": "object"})},
            }
        },
        WEBHOOK_PATH: {"post": _webhook()},
        "/api/v2/alerts": {
            "post": {
                "operationId": "noAlertmanager",
                "summary": "Says that lmwatch is no Alertmanager, to whoever takes it for one",
                "responses": {"404": _content("Where alerts belong.", ref("Error"))},
            }
        },
    }


def _status() -> dict[str, Any]:
    operation = _get(
        "status",
        "How everything stands, with a weak ETag that changes when people would see something new",
        ref("Status"),
        {"name": "If-None-Match", "in": "header", "description": "The ETag of an earlier answer.", "schema": _TEXT},
    )
    operation["responses"]["304"] = {"description": "Nothing that people would see has changed since then."}
    return operation


def _question(verdict: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "question",
        "summary": "The question as a body for POST /v1/chat/completions, to put it again; not wrapped",
        "parameters": [verdict],
        "responses": {
            "200": _content("A chat completion request.", ref("ChatCompletionRequest")),
            "default": _error(),
        },
    }


def _webhook() -> dict[str, Any]:
    return {
        "operationId": "webhook",
        "summary": "Takes notifications of Alertmanager, version 4",
        "security": [{}, {"basic": []}, {"bearer": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {"200": _content("It is stored.", _wrapped(_TEXT)), "default": _error()},
    }


def _get(name: str, summary: str, data: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": _content(f"{summary}.", _wrapped(data)), "default": _error()},
    }


def _wrapped(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"status": {"const": "success"}, "data": data},
        "required": ["status", "data"],
        "additionalProperties": False,
    }


def _content(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": summary, "content": {"application/json": {"schema": schema}}}


def _error() -> dict[str, Any]:
    return _content("What went wrong.", ref("Error"))


def _path_parameter(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": what, "schema": _TEXT}


def _parameter(name: str, what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": what, "schema": schema}


def _limit() -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": DEFAULT_ROWS}
    return _parameter("limit", "At most so many.", schema)
