"""One question to one server: the request, the route, the answer as it arrives, and everything that can go wrong.

Which route is asked:

- `/api/v0/chat/completions` where the server is LM Studio (it answers the v1 or v0 model list). It takes the same
  request as the OpenAI route, and is the only one that may send `stats`, LM Studio's own timing, with a stream.
  Whether it does depends on the version, so the first answer decides: without `stats` the OpenAI route is asked from then on.
- `/v1/chat/completions` everywhere else, and where the v0 route is unknown or refuses the schema. On LM Studio
  its `stats` are always empty; our clock times the answer.
- Never `/api/v1/chat`: it takes no `response_format`.

LM Studio answers a question to an unknown model with a model that is loaded. That is no failure here: `Prediction.model` names
who answered, and the caller compares it with `Prediction.asked_model`.
"""

import base64
from collections.abc import Mapping
from typing import Any

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio import sse
from exporter.lmstudio.answer import AnswerBuilder, speed
from exporter.lmstudio.failures import ModelFailure, classify, failure_in, from_http, load_json
from exporter.lmstudio.wire import Api, ChatRequest, Message, Prediction
from exporter.sources.http import Cancel, HttpError, HttpSession, Stream

V0_PATH = "/api/v0/chat/completions"
OPENAI_PATH = "/v1/chat/completions"
MAX_ANSWER_BYTES = 16 * 1024**2
MAX_ERROR_BYTES = 64 * 1024

_ROUTE_FAILURES = ("unexpected_endpoint", "grammar")
"""Failures that another route of the same server may not have."""
_OPTIONAL_FIELDS = ("reasoning_effort", "stream_options")
"""Fields that a server may refuse and that an answer can do without."""
_STALE_SECONDS = 1.0
"""A connection that the server had closed while it was idle fails at once; a later break is a break."""
_REMEMBERED_MODELS = 256


class LmStudioClient:
    """Asks one server. Safe to use from several threads; what it learns about the server it keeps."""

    def __init__(self, config: Server, session: HttpSession, clock: Clock) -> None:
        self._config = config
        self._session = session
        self._clock = clock
        self._openai_only = False
        self._refused_fields: dict[str, frozenset[str]] = {}

    def chat(
        self, request: ChatRequest, *, deadline_seconds: float, cancel: Cancel | None = None, api: Api | None = None
    ) -> Prediction:
        """Ask and wait for the whole answer.

        Args:
            request: the question.
            deadline_seconds: for everything, further attempts included.
            cancel: ends the call from another thread, by closing its connection.
            api: what the server was found to speak; None for not known.

        Raises:
            ModelFailure: there was no complete answer. A complete one has a finish reason or the stream's
                end mark, at least one token, and no error object in it.
        """
        until = self._clock.monotonic() + deadline_seconds
        if api not in ("v1", "v0") or self._openai_only:
            return self._ask(OPENAI_PATH, request, until, cancel)[0]
        try:
            prediction, has_stats = self._ask(V0_PATH, request, until, cancel)
        except ModelFailure as failure:
            if failure.reason not in _ROUTE_FAILURES:
                raise
            prediction, has_stats = self._ask(OPENAI_PATH, request, until, cancel)[0], False
        self._openai_only = not has_stats
        return prediction

    def _ask(self, path: str, request: ChatRequest, until: float, cancel: Cancel | None) -> tuple[Prediction, bool]:
        """Ask on one route, again without each optional field that the server refuses."""
        while True:
            refused = self._refused_fields.get(request.model, frozenset())
            body = request_body(request, without=refused)
            try:
                return self._attempt(path, body, request, until, cancel)
            except ModelFailure as failure:
                field = _refused_field(failure, body)
                if field is None:
                    raise
                if len(self._refused_fields) >= _REMEMBERED_MODELS:
                    self._refused_fields.clear()
                self._refused_fields[request.model] = refused | {field}

    def _attempt(
        self, path: str, body: Mapping[str, Any], request: ChatRequest, until: float, cancel: Cancel | None
    ) -> tuple[Prediction, bool]:
        started = self._clock.monotonic()
        builder = AnswerBuilder()
        try:
            self._exchange(path, body, until, cancel, builder)
        except _ConnectionWasStaleError:
            self._exchange(path, body, until, cancel, builder, fresh=True)
        ended = self._clock.monotonic()
        return self._prediction(request, builder, started, ended), builder.has_stats

    def _exchange(
        self,
        path: str,
        body: Mapping[str, Any],
        until: float,
        cancel: Cancel | None,
        builder: AnswerBuilder,
        *,
        fresh: bool = False,
    ) -> None:
        """Send the request and feed the answer to the builder.

        Raises:
            ModelFailure: the exchange failed.
            _ConnectionWasStaleError: the connection was lost at once, before an answer; never where `fresh` is True.
        """
        url = self._config.url + path
        started = self._clock.monotonic()
        left = until - started
        if left <= 0:
            raise ModelFailure("timeout", "no time was left for the call", url=url)
        answering = False
        try:
            with self._session.stream("POST", url, deadline_seconds=left, json=body, cancel=cancel) as stream:
                answering = True
                self._read(stream, url, builder)
        except HttpError as error:
            stale = error.kind == "reset" and self._clock.monotonic() - started < _STALE_SECONDS
            if stale and not answering and not fresh:
                raise _ConnectionWasStaleError from error
            if builder.finish_reason and error.kind != "cancelled":
                return
            raise from_http(error, answering=answering) from error

    def _read(self, stream: Stream, url: str, builder: AnswerBuilder) -> None:
        content_type = stream.headers.get("Content-Type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if not 200 <= stream.status < 300 or kind in ("application/json", "text/html"):
            limit = MAX_ANSWER_BYTES if stream.status == 200 else MAX_ERROR_BYTES
            body = stream.read(limit)
            failure = classify(stream.status, content_type, body, url=url)
            if failure is not None:
                raise failure
            document = load_json(body)
            if isinstance(document, dict):
                builder.take(document, at=None)
            return
        self._read_events(stream, url, builder)

    def _read_events(self, stream: Stream, url: str, builder: AnswerBuilder) -> None:
        size = 0
        ended = False
        try:
            for event in sse.parse(stream.chunks()):
                if event.data.strip() == "[DONE]":
                    ended = True
                    break
                size += len(event.data)
                if size > MAX_ANSWER_BYTES:
                    raise ModelFailure("bad_answer", f"more than {MAX_ANSWER_BYTES} bytes", status=200, url=url)
                if not self._take_event(event, url, builder):
                    break
        except sse.EventTooLargeError as error:
            raise ModelFailure("bad_answer", str(error), status=200, url=url) from error
        if ended or builder.finish_reason:
            return
        if builder.chunks == 0:
            raise ModelFailure("empty_answer", "the stream ended without an event", status=200, url=url)
        raise ModelFailure("stream_cut", "neither a finish reason nor [DONE] came", status=200, url=url)

    def _take_event(self, event: sse.Event, url: str, builder: AnswerBuilder) -> bool:
        """Take one event; False if it is half an event at the end of the stream."""
        document = load_json(event.data)
        if event.event == "error" and not isinstance(document, dict):
            document = {"error": event.data}
        if not isinstance(document, dict):
            if not event.closed:
                return False
            raise ModelFailure("bad_answer", f"not JSON: {event.data}", status=200, url=url)
        failure = failure_in(document, url=url)
        if failure is not None:
            raise failure
        builder.take(document, at=self._clock.monotonic())
        return True

    def _prediction(self, request: ChatRequest, builder: AnswerBuilder, started: float, ended: float) -> Prediction:
        if builder.is_empty:
            raise ModelFailure("empty_answer", status=200, url=self._config.url)
        figures = builder.figures()
        first, last = builder.first_token_at, builder.last_token_at
        decode_seconds = last - first if first is not None and last is not None else None
        tokens_per_second, timed_by = speed(figures, decode_seconds)
        text, reasoning = builder.texts(json_wanted=request.schema is not None)
        return Prediction(
            server=self._config.name,
            model=builder.model or request.model,
            asked_model=request.model,
            text=text,
            reasoning=reasoning,
            finish_reason=builder.finish_reason or "unknown",
            prompt_tokens=figures.prompt_tokens,
            output_tokens=figures.output_tokens,
            reasoning_tokens=figures.reasoning_tokens,
            cached_prompt_tokens=figures.cached_prompt_tokens,
            time_to_first_token_seconds=figures.time_to_first_token_seconds if first is None else first - started,
            duration_seconds=ended - started,
            tokens_per_second=tokens_per_second,
            timed_by=timed_by,
        )


def request_body(request: ChatRequest, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON body of a streamed chat completion, less the optional fields named in `without`."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": message.role, "content": _content(message)} for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if request.reasoning_effort is not None:
        body["reasoning_effort"] = request.reasoning_effort
    if request.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return {key: value for key, value in body.items() if key not in without}


def _content(message: Message) -> str | list[dict[str, Any]]:
    """A text as it is; with an image the parts that OpenAI's API takes, the image as a `data:` address."""
    if message.image is None:
        return message.content
    file = base64.b64encode(message.image.data).decode("ascii")
    return [
        {"type": "text", "text": message.content},
        {"type": "image_url", "image_url": {"url": f"data:{message.image.media_type};base64,{file}"}},
    ]


def _refused_field(failure: ModelFailure, body: Mapping[str, Any]) -> str | None:
    """The optional field of this request that the failure complains of."""
    if failure.status not in (400, 422):
        return None
    return next((field for field in _OPTIONAL_FIELDS if field in body and field in failure.detail), None)


class _ConnectionWasStaleError(Exception):
    """The server had closed the idle connection that the request went out on."""
