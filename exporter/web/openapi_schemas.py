"""The documents of the JSON API as JSON Schema 2020-12, for `openapi`."""

from typing import Any

from exporter.board import WATCH_STATES
from exporter.lmstudio.failures import REASONS
from exporter.lmstudio.wire import MODEL_STATUSES
from exporter.screening.result import KINDS
from exporter.web.query import OUTCOMES

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_INSTANT: Schema = {"type": "number", "description": "Unix seconds."}
_LABELS: Schema = {"type": "object", "additionalProperties": _STRING}


def ref(name: str) -> Schema:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    """This or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def closed(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object of exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


_KIND = nullable({"type": "string", "enum": list(KINDS)})
_SERVER: dict[str, Schema] = {
    "server": _STRING,
    "url": _STRING,
    "up": _BOOLEAN,
    "api": nullable({"type": "string", "enum": ["v1", "v0", "openai"]}),
    "version": _STRING,
    "polled_at": _INSTANT,
    "poll_duration_seconds": _NUMBER,
    "failure": nullable({"type": "string", "description": f"Why it is not up, usually one of {', '.join(REASONS)}."}),
    "detail": _STRING,
    "models": array(ref("Model")),
}
_SCORED: dict[str, Schema] = {"metric": _STRING, "labels": _LABELS, "unit": _STRING}

SCHEMAS: dict[str, Schema] = {
    "Error": closed({"status": {"const": "error"}, "error": _STRING}),
    "Configuration": closed({"yaml": _STRING}),
    "Status": closed(
        {
            "version": _STRING,
            "started_at": _INSTANT,
            "ready": _BOOLEAN,
            "configuration": closed({"successful": _BOOLEAN, "last_success_at": _INSTANT, "error": _STRING}),
            "servers": array(ref("Server")),
            "sources": array(ref("Source")),
            "watches": array(ref("WatchInShort")),
            "newest_verdict": nullable(
                closed(
                    {
                        "id": _STRING,
                        "watch": _STRING,
                        "at": _INSTANT,
                        "score": nullable(_SHARE),
                        "summary": _STRING,
                    }
                )
            ),
        }
    ),
    "Server": closed(_SERVER),
    "Model": closed(
        {
            "id": _STRING,
            "key": _STRING,
            "kind": {"type": "string", "enum": ["llm", "vlm", "embedding", "unknown"]},
            "loaded": nullable(_BOOLEAN),
            "status": nullable({"type": "string", "enum": list(MODEL_STATUSES)}),
            "context_length": nullable(_COUNT),
            "queued_requests": nullable(_COUNT),
        }
    ),
    "ServerDetail": closed(
        {
            **_SERVER,
            "circuit": nullable({"type": "string", "enum": ["closed", "half_open", "open"]}),
            "figures": {"type": "object", "additionalProperties": ref("Figures")},
            "states": array(
                closed(
                    {
                        "name": _STRING,
                        "spans": array(closed({"begin": _INSTANT, "end": _INSTANT, "state": _STRING})),
                    }
                )
            ),
            "events": array(ref("Event")),
            "failures": array(
                closed(
                    {
                        "id": _STRING,
                        "watch": _STRING,
                        "at": _INSTANT,
                        "outcome": {"type": "string", "enum": list(OUTCOMES)},
                        "problems": array(_STRING),
                    }
                )
            ),
        }
    ),
    "Figures": closed(
        {
            "origin": nullable({"type": "string", "enum": ["traffic", "analysis", "probe"]}),
            "tokens_per_second": nullable(_NUMBER),
            "time_to_first_token_seconds": nullable(_NUMBER),
            "context_used_tokens": nullable(_NUMBER),
            "context_used_ratio": nullable(_NUMBER),
            "status": nullable(_STRING),
            "queued_requests": nullable(_NUMBER),
            "ttl_remaining_seconds": nullable(_NUMBER),
            "last_failure": nullable(_STRING),
            "last_failure_at": nullable(_INSTANT),
        }
    ),
    "Source": closed(
        {
            "source": _STRING,
            "target": _STRING,
            "up": _BOOLEAN,
            "duration_seconds": _NUMBER,
            "samples": _COUNT,
            "at": _INSTANT,
            "error": _STRING,
            "warnings": array(_STRING),
        }
    ),
    "WatchInShort": closed(
        {
            "watch": _STRING,
            "state": {"type": "string", "enum": list(WATCH_STATES)},
            "reason": _STRING,
            "at": _INSTANT,
            "series": _COUNT,
            "suspicious": _COUNT,
            "top": array(closed({"metric": _STRING, "labels": _LABELS, "score": nullable(_SHARE), "kind": _KIND})),
            "verdicts": array(ref("VerdictInShort")),
        }
    ),
    "VerdictInShort": closed(
        {
            "id": _STRING,
            "group": _LABELS,
            "at": _INSTANT,
            "outcome": {"type": "string", "enum": list(OUTCOMES)},
            "score": nullable(_SHARE),
            "summary": _STRING,
        }
    ),
    "Watch": closed(
        {
            "watch": _STRING,
            "state": {"type": "string", "enum": list(WATCH_STATES)},
            "reason": _STRING,
            "at": _INSTANT,
            "threshold": _SHARE,
            "group_by": array(_STRING),
            "score": nullable(_SHARE),
            "series_total": _COUNT,
            "suspicious": _COUNT,
            "groups": array(
                closed(
                    {
                        "group": _LABELS,
                        "series": _COUNT,
                        "suspicious": _COUNT,
                        "score": nullable(_SHARE),
                        "verdict": nullable(ref("VerdictInShort")),
                    }
                )
            ),
            "histories": array(ref("History")),
            "page": _COUNT,
            "pages": _COUNT,
            "series_found": _COUNT,
            "series": array(
                closed(
                    {
                        **_SCORED,
                        "score": nullable(_SHARE),
                        "screen": nullable(_SHARE),
                        "model": nullable(_SHARE),
                        "confidence": nullable(_SHARE),
                        "kind": _KIND,
                    }
                )
            ),
        }
    ),
    "History": closed(
        {
            **_SCORED,
            "score": nullable(_SHARE),
            "kind": _KIND,
            "times": array(_INSTANT),
            "values": array(nullable(_NUMBER)),
            "expected": {"type": "array", "items": nullable(_NUMBER), "minItems": 2, "maxItems": 2},
            "evidence": array(_STRING),
            "alarms": array(ref("Alarm")),
        }
    ),
    "Alarm": closed({"began": _INSTANT, "ended": nullable(_INSTANT), "kind": _KIND}),
    "Verdict": {
        "type": "object",
        "description": "As it was kept: verdicts of an older version may lack what came later.",
        "properties": {
            "id": _STRING,
            "watch": _STRING,
            "group": _LABELS,
            "at": _INSTANT,
            "outcome": {"type": "string", "enum": list(OUTCOMES)},
            "server": _STRING,
            "model": _STRING,
            "group_score": nullable(_SHARE),
            "summary": _STRING,
            "cause": _STRING,
            "next_steps": _STRING,
            "findings": array(ref("Finding")),
            "problems": array(_STRING),
            "facts": array(closed({"id": _STRING, "series_id": _STRING, "text": _STRING})),
            "prompt": _STRING,
            "answer": _STRING,
            "shown": _COUNT,
            "dropped": _COUNT,
            "prompt_tokens_estimated": _COUNT,
            "predictions": array({"type": "object", "description": "One call to a model with its figures."}),
            "answers": {"type": "string", "description": "Which alerts it explains; empty for a verdict on a watch."},
            "request": nullable({"type": "object", "description": "The form of the last question."}),
            "pictures": array(ref("Picture")),
        },
        "required": ["id", "watch", "at"],
    },
    "Finding": closed(
        {
            "series": {"type": "object"},
            "screen_score": nullable(_NUMBER),
            "llm_score": nullable(_SHARE),
            "confidence": nullable(_SHARE),
            "kind": _KIND,
            "evidence": array(_STRING),
            "text": _STRING,
            "grounded": _BOOLEAN,
        }
    ),
    "Picture": closed(
        {
            "id": _STRING,
            "series": closed({"name": _STRING, "labels": _LABELS, "unit": _STRING}),
            "begin": _INSTANT,
            "offsets": {**array(_NUMBER), "description": "Seconds since begin."},
            "values": array(nullable(_NUMBER)),
            "lower": nullable(_NUMBER),
            "upper": nullable(_NUMBER),
            "alarms": array(ref("Alarm")),
        }
    ),
    "ChatCompletionRequest": {
        "type": "object",
        "properties": {
            "model": _STRING,
            "messages": array(closed({"role": _STRING, "content": _STRING})),
            "max_tokens": _COUNT,
            "temperature": _NUMBER,
            "response_format": {"type": "object"},
        },
        "required": ["model", "messages"],
    },
    "Event": {
        "type": "object",
        "properties": {"server": _STRING, "kind": _STRING, "at": _INSTANT},
        "required": ["server", "kind", "at"],
    },
    "Alerts": closed(
        {
            "alerts": array(
                closed(
                    {
                        "labels": _LABELS,
                        "annotations": _LABELS,
                        "state": {"type": "string", "enum": ["pending", "firing"]},
                        "activeAt": {"type": "string", "format": "date-time"},
                        "value": _STRING,
                    }
                )
            )
        }
    ),
    "Notification": {
        "type": "object",
        "properties": {"group_key": _STRING, "status": _STRING, "at": _INSTANT},
        "required": ["group_key", "status", "at"],
    },
}
