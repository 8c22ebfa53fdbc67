"""The OpenAI-shaped chat and completion routes, below `/v1` and, with figures added, below `/api/v0`."""

import json
import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from exporter.embedded.contract import Ending, Message
from exporter.embedded.studio_errors import ApiError, bad_value
from exporter.embedded.studio_http import Call
from exporter.embedded.studio_models import Instance
from exporter.embedded.studio_predict import Ask, Route, Service, ttl_of
from exporter.embedded.studio_strikes import reported_name

_STOP_REASONS = {"stop": "eosFound", "length": "maxPredictedTokensReached"}


@dataclass(frozen=True, slots=True)
class _Style:
    """What tells the four routes apart."""

    chat: bool
    v0: bool

    @property
    def object(self) -> str:
        return "chat.completion" if self.chat else "text_completion"

    @property
    def chunk_object(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def new_id(self) -> str:
        return ("chatcmpl-" if self.chat else "cmpl-") + secrets.token_hex(12)


def chat_completions(service: Service, call: Call) -> None:
    """POST /v1/chat/completions"""
    _complete(service, call, _Style(chat=True, v0=False))


def completions(service: Service, call: Call) -> None:
    """POST /v1/completions; the prompt is put to the model as one message of a user."""
    _complete(service, call, _Style(chat=False, v0=False))


def chat_completions_v0(service: Service, call: Call) -> None:
    """POST /api/v0/chat/completions"""
    _complete(service, call, _Style(chat=True, v0=True))


def completions_v0(service: Service, call: Call) -> None:
    """POST /api/v0/completions; see `completions`."""
    _complete(service, call, _Style(chat=False, v0=True))


def _complete(service: Service, call: Call, style: _Style) -> None:
    body = call.body()
    ask = _parse(body, chat=style.chat)
    if body.get("stream"):
        _stream(service, call, style, ask, body)
        return
    created = service.created()
    answer = service.answer(call, ask)
    if style.chat:
        message = {"role": "assistant", "content": answer.text, "reasoning_content": answer.reasoning, "tool_calls": []}
        content: dict[str, Any] = {"message": message}
    else:
        content = {"text": answer.text}
    document = {
        "id": style.new_id(),
        "object": style.object,
        "created": created,
        "model": answer.model,
        "choices": [{"index": 0, "logprobs": None, "finish_reason": answer.ending.finish_reason, **content}],
        "usage": _usage(answer.ending, style),
    }
    call.send_json(200, document | _figures(style, answer.instance, answer.ending, answer.model))


def _parse(body: Mapping[str, Any], *, chat: bool) -> Ask:
    if chat:
        messages, images = parse_messages(body.get("messages"))
    elif isinstance(body.get("prompt"), str):
        messages, images = ({"role": "user", "content": body["prompt"]},), ()
    else:
        raise bad_value("prompt", "'prompt' field is required and must be a string")
    if isinstance(body.get("tool_choice"), Mapping):
        raise bad_value(
            "tool_choice", "Invalid tool_choice type: 'object'. Supported string values: none, auto, required"
        )
    limit = body.get("max_tokens")
    return Ask(
        model=body.get("model"),
        messages=messages,
        max_tokens=limit if isinstance(limit, int) and limit >= 0 else None,
        temperature=float(body.get("temperature", 0.7)),
        seed=body.get("seed"),
        schema=_schema(body.get("response_format")),
        ttl_seconds=ttl_of(body),
        images=images,
    )


def parse_messages(given: Any) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """Messages with their parts joined to texts, and the addresses of the images among the parts.

    Raises:
        ApiError: it is no list of messages.
    """
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise bad_value("messages", "'messages' field is required")
    messages, images = [], []
    for message in given:
        if not isinstance(message, Mapping) or message.get("role") not in {"system", "user", "assistant", "tool"}:
            raise bad_value("messages", "Invalid 'messages': each one needs a role and a content")
        content = message.get("content") or ""
        if not isinstance(content, str):
            images += [_address(part) for part in content if part.get("type") not in {"text", "input_text"}]
            content = "".join(part.get("text", "") for part in content)
        messages.append({"role": message["role"], "content": content})
    return tuple(messages), tuple(images)


def _address(part: Mapping[str, Any]) -> str:
    """Of an image in any of the three forms: of chats, of responses, of Anthropic's messages."""
    image = part.get("image_url")
    if isinstance(image, Mapping):
        image = image.get("url")
    source = part.get("source")
    if isinstance(source, Mapping):
        image = f"data:{source.get('media_type')};base64,{source.get('data')}"
    return image if isinstance(image, str) else ""


def _schema(response_format: Any) -> Mapping[str, Any] | None:
    if response_format is None:
        return None
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if kind == "text":
        return None
    if kind != "json_schema":
        raise bad_value("response_format", "'response_format.type' must be 'json_schema' or 'text'")
    schema = (response_format.get("json_schema") or {}).get("schema")
    if not isinstance(schema, Mapping):
        raise bad_value("response_format", "'response_format.json_schema.schema' must be an object")
    return schema


def _usage(ending: Ending, style: _Style) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": ending.prompt_tokens,
        "completion_tokens": ending.output_tokens,
        "total_tokens": ending.prompt_tokens + ending.output_tokens,
    }
    if not style.v0:
        usage["completion_tokens_details"] = {"reasoning_tokens": ending.reasoning_tokens}
    return usage


def _figures(style: _Style, instance: Instance, ending: Ending, model: str) -> dict[str, Any]:
    """What stands behind `usage`: nothing but an empty block on the OpenAI routes, the truth on v0."""
    if not style.v0:
        return {"stats": {}, "system_fingerprint": model}
    stats: dict[str, Any] = {
        "time_to_first_token": ending.prefill_seconds,
        "generation_time": ending.decode_seconds,
        "stop_reason": _STOP_REASONS[ending.finish_reason],
    }
    if ending.tokens_per_second is not None:
        stats["tokens_per_second"] = ending.tokens_per_second
    facts, engine = instance.model.facts, instance.engine
    return {
        "stats": stats,
        "model_info": {
            "arch": facts.architecture,
            "quant": facts.quantization,
            "format": instance.model.format,
            "context_length": instance.context_length,
        },
        "runtime": {
            "name": engine.name if engine else "",
            "version": engine.version if engine else "",
            "supported_formats": [instance.model.format],
        },
    }


def _stream(service: Service, call: Call, style: _Style, ask: Ask, body: Mapping[str, Any]) -> None:
    """Chunks as they come. What fails once the stream is open is told inside it, without the closing [DONE]."""
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    unknown = False
    try:
        located = service.locate(ask)
    except ApiError as error:
        unknown = isinstance(error.error, dict) and error.error.get("code") == "model_not_found"
        if not unknown:
            raise
    with call.events() as send:
        if call.fault is not None and call.fault.kind == "empty_stream":
            return
        if unknown:
            send('event: error\ndata: {"error":{"message":"terminated"}}')
            return
        try:
            instance, _ = service.ready(located, ask)
            with closing(_chunks(service, call, style, ask, instance, with_usage=with_usage)) as chunks:
                for chunk in chunks:
                    send("data: " + json.dumps(chunk, ensure_ascii=False))
        except ApiError as error:
            send(_error_event(call, error))
            return
        send("data: [DONE]")


def _error_event(call: Call, error: ApiError) -> str:
    if call.fault is not None and call.fault.kind == "error_event":
        return "data: " + json.dumps({"error": {"message": error.message}, "message": error.message})
    return "event: error\ndata: " + json.dumps({"error": error.error_object})


def _chunks(
    service: Service, call: Call, style: _Style, ask: Ask, instance: Instance, *, with_usage: bool
) -> Generator[dict[str, Any], None, None]:
    model = reported_name(call, instance.id)
    head = {
        "id": style.new_id(),
        "object": style.chunk_object,
        "created": service.created(),
        "model": model,
        "system_fingerprint": model,
    }
    ending: Ending | None = None
    role: dict[str, str] = {"role": "assistant"}
    with service.answering(call, ask, instance) as pieces:
        for piece in pieces:
            ending = piece.ending or ending
            if piece.text or piece.reasoning:
                yield head | {"choices": [_delta(style, role, piece.text, piece.reasoning)]}
                role = {}
    if ending is None:
        raise ApiError(400, "received prediction-error")
    last = head | {"choices": [_delta(style, {}, "", "", ending.finish_reason)]}
    if not style.chat:
        yield last | {"usage": _usage(ending, style)}
        return
    extra = {}
    if style.v0 and service.habits.v0_stream_stats:
        extra = _figures(style, instance, ending, model)
    if not with_usage:
        yield last | extra
        return
    yield last
    yield head | {"choices": [], "usage": _usage(ending, style)} | extra


def _delta(
    style: _Style, role: Mapping[str, str], text: str, reasoning: str, finish_reason: str | None = None
) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish_reason}
    if not style.chat:
        return choice | {"text": text}
    delta: dict[str, str] = dict(role)
    if reasoning:
        delta["reasoning_content"] = reasoning
    if text:
        delta["content"] = text
    return choice | {"delta": delta}


ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/v1/chat/completions"): chat_completions,
    ("POST", "/v1/completions"): completions,
    ("POST", "/api/v0/chat/completions"): chat_completions_v0,
    ("POST", "/api/v0/completions"): completions_v0,
}
