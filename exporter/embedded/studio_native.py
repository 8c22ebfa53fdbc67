"""POST /api/v1/chat: LM Studio's own chat, in one piece or as events."""

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.embedded.contract import Ending, Message
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_errors import ApiError, missing_parameter
from exporter.embedded.studio_http import Call
from exporter.embedded.studio_models import Instance
from exporter.embedded.studio_predict import NO_ENDING, Answer, Ask, Service
from exporter.embedded.studio_strikes import reported_name

_KNOWN_KEYS = frozenset(
    {
        "model", "input", "system_prompt", "integrations", "stream", "temperature", "top_p", "top_k", "min_p",
        "repeat_penalty", "max_output_tokens", "reasoning", "context_length", "store", "previous_response_id",
    }
)  # fmt: skip
_KEPT_RESPONSES = 64


@dataclass
class NativeChat:
    """The route, with the threads of the chats that it stored: the latest 64 responses."""

    _threads: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def chat(self, service: Service, call: Call) -> None:
        """POST /api/v1/chat"""
        body = call.body()
        ask = self._parse(body)
        if body.get("stream"):
            self._stream(service, call, ask, body)
            return
        try:
            answer = service.answer(call, ask)
        except ApiError as error:
            raise _native(error) from error
        call.send_json(200, self._result(ask, body, answer))

    def _parse(self, body: Mapping[str, Any]) -> Ask:
        for name in ("model", "input"):
            if not body.get(name):
                raise missing_parameter(name)
        unknown = sorted(body.keys() - _KNOWN_KEYS)
        if unknown:
            names = ", ".join(f"'{name}'" for name in unknown)
            raise ApiError(400, f"Unrecognized key(s) in object: {names}", "invalid_request", "unrecognized_keys")
        if body.get("reasoning") not in {None, "off"}:
            raise ApiError(
                400, "This model does not support reasoning", "invalid_request", "invalid_value", "reasoning"
            )
        text, images = _input(body["input"])
        messages = self._thread(body.get("previous_response_id"))
        if body.get("system_prompt") and not messages:
            messages = ({"role": "system", "content": str(body["system_prompt"])},)
        return Ask(
            model=body["model"],
            messages=(*messages, {"role": "user", "content": text}),
            max_tokens=body.get("max_output_tokens"),
            temperature=float(body.get("temperature", 0.7)),
            images=images,
            context_length=body.get("context_length"),
        )

    def _thread(self, response_id: Any) -> tuple[Message, ...]:
        if response_id is None:
            return ()
        with self._lock:
            thread = self._threads.get(response_id)
        if thread is None:
            message = f"Could not find stored response: {response_id}"
            raise ApiError(400, message, "invalid_request", "invalid_value", "previous_response_id")
        return thread

    def _result(self, ask: Ask, body: Mapping[str, Any], answer: "Answer | _Events") -> dict[str, Any]:
        ending = answer.ending
        output = [{"type": "reasoning", "content": answer.reasoning}] if answer.reasoning else []
        output.append({"type": "message", "content": answer.text})
        stats: dict[str, Any] = {
            "input_tokens": ending.prompt_tokens,
            "total_output_tokens": ending.output_tokens,
            "reasoning_output_tokens": ending.reasoning_tokens,
            "tokens_per_second": ending.tokens_per_second or 0.0,
            "time_to_first_token_seconds": ending.prefill_seconds,
        }
        if answer.load_seconds is not None:
            stats["model_load_time_seconds"] = answer.load_seconds
        document: dict[str, Any] = {"model_instance_id": answer.model, "output": output, "stats": stats}
        if body.get("store", True):
            document["response_id"] = response_id = f"resp_{secrets.token_hex(24)}"
            with self._lock:
                self._threads[response_id] = (*ask.messages, {"role": "assistant", "content": answer.text})
                while len(self._threads) > _KEPT_RESPONSES:
                    del self._threads[next(iter(self._threads))]
        return document

    def _stream(self, service: Service, call: Call, ask: Ask, body: Mapping[str, Any]) -> None:
        try:
            located = service.locate(ask)
        except ApiError as error:
            raise _native(error) from error
        with call.events() as send:
            if call.fault is not None and call.fault.kind == "empty_stream":
                return
            name = located.key if isinstance(located, DownloadedModel) else located.id
            events = _Events(send, reported_name(call, name))
            events.say("chat.start", model_instance_id=events.model)
            try:
                events.answer(service, call, ask, events.load(service, located, ask))
            except ApiError as error:
                events.close_part()
                events.say("error", error=_native(error).error)
            events.say("chat.end", result=self._result(ask, body, events))


class _Events:
    """The events of one streamed answer, and what it has come to so far."""

    def __init__(self, send: Callable[[str], None], model: str) -> None:
        self.model = model
        self.load_seconds: float | None = None
        self.text = ""
        self.reasoning = ""
        self.ending: Ending = NO_ENDING
        self._send = send
        self._part = ""

    def say(self, kind: str, **payload: Any) -> None:
        """Send one event."""
        self._send(f"event: {kind}\ndata: {json.dumps({'type': kind, **payload}, ensure_ascii=False)}")

    def load(self, service: Service, located: Instance | DownloadedModel, ask: Ask) -> Instance:
        """Load the model if need be, and tell so."""
        loads = isinstance(located, DownloadedModel)
        if loads:
            self.say("model_load.start", model_instance_id=self.model)
            self.say("model_load.progress", model_instance_id=self.model, progress=0.0)
        instance, self.load_seconds = service.ready(located, ask)
        if loads:
            self.say("model_load.progress", model_instance_id=self.model, progress=1.0)
            self.say("model_load.end", model_instance_id=self.model, load_time_seconds=self.load_seconds or 0.0)
        return instance

    def answer(self, service: Service, call: Call, ask: Ask, instance: Instance) -> None:
        """Let the model answer, and tell each step."""
        with service.answering(call, ask, instance) as pieces:
            self._open_part("prompt_processing")
            for piece in pieces:
                if piece.progress is not None and self._part == "prompt_processing":
                    self.say("prompt_processing.progress", progress=piece.progress)
                if piece.reasoning:
                    self._open_part("reasoning")
                    self.reasoning += piece.reasoning
                    self.say("reasoning.delta", content=piece.reasoning)
                if piece.text:
                    self._open_part("message")
                    self.text += piece.text
                    self.say("message.delta", content=piece.text)
                self.ending = piece.ending or self.ending
        self.close_part()

    def _open_part(self, part: str) -> None:
        if self._part != part:
            self.close_part()
            self._part = part
            self.say(f"{part}.start")

    def close_part(self) -> None:
        """End what is open: reading the prompt, reasoning, or the message."""
        if self._part:
            self.say(f"{self._part}.end")
            self._part = ""


def _input(given: Any) -> tuple[str, tuple[str, ...]]:
    """The text of the input, and the addresses of the images in it."""
    if isinstance(given, str):
        return given, ()
    if not isinstance(given, list) or not all(isinstance(part, dict) for part in given):
        raise ApiError(400, "'input' must be a string or an array", "invalid_request", "invalid_value", "input")
    texts = [part.get("content", "") for part in given if part.get("type") in {"message", "text"}]
    return "\n".join(texts), tuple(str(part.get("data_url", "")) for part in given if part.get("type") == "image")


def _native(error: ApiError) -> ApiError:
    """An error in the envelope of this route, which is always an object."""
    if isinstance(error.error, str):
        return ApiError(error.status, error.message, "internal_error")
    code = error.error.get("code")
    if code == "model_not_found":
        return ApiError(404, error.message, "model_not_found")
    if error.error["type"] == "invalid_request_error":
        return ApiError(error.status, error.message, "invalid_request", code, error.error.get("param"))
    return error
