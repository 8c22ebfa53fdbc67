"""POST /v1/responses and POST /v1/messages in their basic form: text in, text out, whole or as events."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from exporter.embedded.contract import Ending, Piece
from exporter.embedded.studio_errors import ApiError, bad_value
from exporter.embedded.studio_http import Call
from exporter.embedded.studio_openai import parse_messages
from exporter.embedded.studio_predict import NO_ENDING, Ask, Route, Service
from exporter.embedded.studio_strikes import reported_name

_ANTHROPIC_STOPS = {"stop": "end_turn", "length": "max_tokens"}


def responses(service: Service, call: Call) -> None:
    """POST /v1/responses. Structured output is ignored, as LM Studio ignores it there."""
    body = call.body()
    given = body.get("input")
    messages, images = parse_messages([{"role": "user", "content": given}] if isinstance(given, str) else given)
    if body.get("instructions"):
        messages = ({"role": "system", "content": str(body["instructions"])}, *messages)
    ask = Ask(body.get("model"), messages, max_tokens=body.get("max_output_tokens"), images=images)
    document = {
        "id": f"resp_{secrets.token_hex(24)}",
        "object": "response",
        "created_at": service.created(),
        "status": "in_progress",
    }
    if not body.get("stream"):
        answer = service.answer(call, ask)
        call.send_json(200, document | _response_end(answer.model, answer.text, answer.ending))
        return
    _stream(service, call, ask, _ResponseEvents(document))


def _response_end(model: str, text: str, ending: Ending) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": f"msg_{secrets.token_hex(12)}", "role": "assistant", "status": "completed"}
    return {
        "status": "completed" if ending.finish_reason == "stop" else "incomplete",
        "model": model,
        "output": [message | {"content": [part]}],
        "usage": {
            "input_tokens": ending.prompt_tokens,
            "output_tokens": ending.output_tokens,
            "total_tokens": ending.prompt_tokens + ending.output_tokens,
            "input_tokens_details": {"cached_tokens": ending.cached_prompt_tokens},
            "output_tokens_details": {"reasoning_tokens": ending.reasoning_tokens},
        },
    }


class _ResponseEvents:
    """The events of the responses route, each with its number."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = dict(document)
        self._number = 0

    def _event(self, kind: str, **payload: Any) -> tuple[str, dict[str, Any]]:
        self._number += 1
        return kind, {"type": kind, "sequence_number": self._number - 1, **payload}

    def start(self, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
        yield self._event("response.created", response=self._document | {"model": model})

    def delta(self, text: str) -> tuple[str, dict[str, Any]]:
        return self._event("response.output_text.delta", output_index=0, content_index=0, delta=text)

    def end(self, model: str, text: str, ending: Ending) -> Iterator[tuple[str, dict[str, Any]]]:
        yield self._event("response.completed", response=self._document | _response_end(model, text, ending))


def messages(service: Service, call: Call) -> None:
    """POST /v1/messages, in Anthropic's shape."""
    body = call.body()
    limit = body.get("max_tokens")
    if not isinstance(limit, int):
        raise bad_value("max_tokens", "max_tokens: Field required")
    chat, images = parse_messages(body.get("messages"))
    if body.get("system"):
        chat = ({"role": "system", "content": str(body["system"])}, *chat)
    ask = Ask(body.get("model"), chat, max_tokens=limit, images=images)
    identifier = f"msg_{secrets.token_hex(12)}"
    if not body.get("stream"):
        answer = service.answer(call, ask)
        document = _message(identifier, answer.model, answer.ending)
        document["content"] = [{"type": "text", "text": answer.text}]
        document["stop_reason"] = _ANTHROPIC_STOPS[answer.ending.finish_reason]
        call.send_json(200, document)
        return
    _stream(service, call, ask, _MessageEvents(identifier))


def _message(identifier: str, model: str, ending: Ending) -> dict[str, Any]:
    return {
        "id": identifier,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": ending.prompt_tokens,
            "output_tokens": ending.output_tokens,
            "cache_read_input_tokens": ending.cached_prompt_tokens,
        },
    }


class _MessageEvents:
    """The events of the messages route."""

    def __init__(self, identifier: str) -> None:
        self._identifier = identifier

    def start(self, model: str) -> Iterator[tuple[str, dict[str, Any]]]:
        yield _typed("message_start", message=_message(self._identifier, model, NO_ENDING))
        yield _typed("content_block_start", index=0, content_block={"type": "text", "text": ""})

    def delta(self, text: str) -> tuple[str, dict[str, Any]]:
        return _typed("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def end(self, model: str, text: str, ending: Ending) -> Iterator[tuple[str, dict[str, Any]]]:
        del text
        usage = _message(self._identifier, model, ending)["usage"]
        delta = {"stop_reason": _ANTHROPIC_STOPS[ending.finish_reason], "stop_sequence": None}
        yield _typed("content_block_stop", index=0)
        yield _typed("message_delta", delta=delta, usage=usage)
        yield _typed("message_stop")


def _typed(kind: str, **payload: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **payload}


def _stream(service: Service, call: Call, ask: Ask, events: _ResponseEvents | _MessageEvents) -> None:
    located = service.locate(ask)
    with call.events() as send:
        if call.fault is not None and call.fault.kind == "empty_stream":
            return
        try:
            instance, _ = service.ready(located, ask)
            model = reported_name(call, instance.id)
            with service.answering(call, ask, instance) as pieces:
                _tell(send, events, model, pieces)
        except ApiError as error:
            _say(send, "error", {"type": "error", "error": error.error_object})


def _tell(
    send: Callable[[str], None], events: _ResponseEvents | _MessageEvents, model: str, pieces: Iterator[Piece]
) -> None:
    texts, ending = [], NO_ENDING
    for kind, payload in events.start(model):
        _say(send, kind, payload)
    for piece in pieces:
        ending = piece.ending or ending
        if piece.text:
            texts.append(piece.text)
            _say(send, *events.delta(piece.text))
    for kind, payload in events.end(model, "".join(texts), ending):
        _say(send, kind, payload)


def _say(send: Callable[[str], None], kind: str, payload: Mapping[str, Any]) -> None:
    send(f"event: {kind}\ndata: {json.dumps(payload, ensure_ascii=False)}")


ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/v1/responses"): responses,
    ("POST", "/v1/messages"): messages,
}
