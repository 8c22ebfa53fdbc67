"""The routes on which a model answers, and what each of their JSON objects tells: figures and signs, never its text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from exporter.lmstudio.fields import mapping, rows, text

RouteName = Literal["chat", "completions", "embeddings", "native", "responses", "messages"]
NOTHING: Mapping[str, Any] = MappingProxyType({})
_THOUGHT = ("reasoning_content", "reasoning")
_SAID = ("content", "refusal", "tool_calls", "function_call", "text")
"""Keys of a choice's delta, message or own text under which a token comes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one JSON object tells about the answer that it belongs to."""

    model: str = ""
    token: bool = False
    """Whether it brings a token of any kind; for embeddings, a vector."""
    thought: bool = False
    """Whether that is a token of thinking."""
    finish_reason: str = ""
    complete: bool = False
    """Whether the answer is whole with it."""
    figures: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    """`usage`, `stats` and `timings`, as far as they are there, under OpenAI's names for what usage holds."""
    error: Any = None
    """What stands where the route reports an error."""
    repeats: bool = False
    """Whether an event repeats the whole answer, so that its time says nothing about tokens."""


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of question to a model.

    Attributes:
        name: what it is called.
        whole: reads an answer that comes in one piece.
        event: reads one event of a stream, given its type and its object.
    """

    name: RouteName
    whole: Callable[[Mapping[str, Any]], Facts]
    event: Callable[[str, Mapping[str, Any]], Facts]


def find_route(method: str, target: str, base: str) -> Route | None:
    """The route that a request goes to; None if no model answers there.

    Args:
        method: of the request.
        target: its path, with or without a query, or its whole URL.
        base: the path that all routes of the server begin with.
    """
    if method != "POST":
        return None
    path = target.partition("?")[0]
    if not path.startswith("/"):
        path = "/" + path.partition("://")[2].partition("/")[2]
    return _ROUTES.get(path.removeprefix(base).rstrip("/"))


def _choices(document: Mapping[str, Any]) -> Facts:
    """Chat and text completions, whole or in chunks."""
    token, thought, finish_reason = False, False, ""
    for choice in rows(document, "choices"):
        part = mapping(choice, "delta") or mapping(choice, "message") or choice
        thought = thought or any(part.get(key) for key in _THOUGHT)
        token = token or thought or any(part.get(key) for key in _SAID)
        finish_reason = finish_reason or text(choice, "finish_reason")
    return Facts(
        model=text(document, "model"),
        token=token,
        thought=thought,
        finish_reason=finish_reason,
        complete=bool(finish_reason),
        figures=_figures(document),
        error=document.get("error"),
    )


def _vectors(document: Mapping[str, Any]) -> Facts:
    vectors = bool(rows(document, "data"))
    return Facts(
        text(document, "model"),
        token=vectors,
        complete=vectors,
        figures=_figures(document),
        error=document.get("error"),
    )


def _native(result: Mapping[str, Any]) -> Facts:
    """The body of /api/v1/chat, which `chat.end` carries too."""
    return Facts(
        model=text(result, "model_instance_id"),
        token=any(row.get("content") or row.get("tool") for row in rows(result, "output")),
        complete="output" in result,
        figures=_figures(result),
        error=result.get("error"),
    )


def _native_event(kind: str, document: Mapping[str, Any]) -> Facts:
    if kind == "chat.end":
        return replace(_native(mapping(document, "result")), repeats=True)
    return Facts(
        model=text(document, "model_instance_id"),
        token=(kind.endswith(".delta") and bool(document.get("content"))) or kind == "tool_call.start",
        thought=kind == "reasoning.delta",
        error=(document.get("error") or "error") if kind == "error" else None,
    )


def _response(response: Mapping[str, Any]) -> Facts:
    """The body of /v1/responses, which its first and last events carry too."""
    status = text(response, "status")
    error = response.get("error")
    return Facts(
        model=text(response, "model"),
        token=any(row.get("content") or row.get("arguments") or row.get("summary") for row in rows(response, "output")),
        finish_reason=status,
        complete=status in ("completed", "incomplete"),
        figures=_figures(response),
        error=error if error is not None or status != "failed" else "failed",
    )


def _response_event(kind: str, document: Mapping[str, Any]) -> Facts:
    if kind == "error":
        return Facts(error=document.get("error") or document)
    response = mapping(document, "response")
    if response:
        return replace(_response(response), repeats=True)
    return Facts(token=kind.endswith(".delta") and bool(document.get("delta")), thought="reasoning" in kind)


def _message(document: Mapping[str, Any]) -> Facts:
    """The body of /v1/messages."""
    reason = text(document, "stop_reason")
    return Facts(
        model=text(document, "model"),
        token=bool(rows(document, "content")),
        finish_reason=reason,
        complete=bool(reason),
        figures=_figures(document),
        error=document.get("error"),
    )


def _message_event(kind: str, document: Mapping[str, Any]) -> Facts:
    if kind == "message_start":
        return _message(mapping(document, "message"))
    delta = mapping(document, "delta")
    return Facts(
        token=kind == "content_block_delta" and any(value for key, value in delta.items() if key != "type"),
        thought="thinking" in delta,
        finish_reason=text(delta, "stop_reason"),
        complete=kind == "message_stop",
        figures=_figures(document),
        error=document.get("error"),
    )


def _figures(source: Mapping[str, Any]) -> Mapping[str, Any]:
    told: dict[str, Any] = {key: source[key] for key in ("stats", "timings") if mapping(source, key)}
    usage = mapping(source, "usage")
    if usage:
        told["usage"] = _usage(usage)
    return told or NOTHING


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Usage of any of the routes under OpenAI's names, without what is not told.

    No prompt has 0 tokens: where that is reported (embeddings, /v1/responses for a repeated input), nobody counted.
    """
    named = {
        "prompt_tokens": usage.get("prompt_tokens") or usage.get("input_tokens") or None,
        "completion_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "completion_tokens_details": usage.get("completion_tokens_details") or usage.get("output_tokens_details"),
        "prompt_tokens_details": usage.get("prompt_tokens_details")
        or usage.get("input_tokens_details")
        or {"cached_tokens": usage.get("cache_read_input_tokens")},
    }
    return {name: value for name, value in named.items() if value is not None}


def _without_type(read: Callable[[Mapping[str, Any]], Facts]) -> Callable[[str, Mapping[str, Any]], Facts]:
    return lambda _, document: read(document)


_CHAT = Route("chat", _choices, _without_type(_choices))
_COMPLETIONS = Route("completions", _choices, _without_type(_choices))
_EMBEDDINGS = Route("embeddings", _vectors, _without_type(_vectors))
_ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        "/v1/chat/completions": _CHAT,
        "/api/v0/chat/completions": _CHAT,
        "/chat/completions": _CHAT,
        "/v1/completions": _COMPLETIONS,
        "/api/v0/completions": _COMPLETIONS,
        "/v1/embeddings": _EMBEDDINGS,
        "/api/v0/embeddings": _EMBEDDINGS,
        "/api/v1/chat": Route("native", _native, _native_event),
        "/v1/responses": Route("responses", _response, _response_event),
        "/v1/messages": Route("messages", _message, _message_event),
    }
)
