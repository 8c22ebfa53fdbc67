"""One request and its answer as they pass, and what is reported of them in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from exporter.lmstudio.failures import ModelFailure, classify, load_json
from exporter.lmstudio.fields import text
from exporter.lmstudio.wire import Origin, Prediction
from exporter.proxy.capture import Allowance, Capture
from exporter.proxy.head import Head, answer_status
from exporter.proxy.names import Names
from exporter.proxy.readers import Reader, UnreadableError, reader_for
from exporter.proxy.routes import Route, find_route
from exporter.proxy.tally import Tally

MAX_REQUEST_BYTES = 8 * 1024**2
"""Of a request that is read for its model: larger ones hold images, and the answer names the model too."""
ORIGIN: Origin = "traffic"
Broken = Literal["cut", "cancelled", "unreachable"]
"""How an exchange ends before its answer does: by the server, by the client, or without a connection to the server."""
_CLIENT_LEFT = "the client left, or the proxy was stopped, before the answer was complete"


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where exchanges are reported, and what is known about the server that they go to.

    Attributes:
        server: its name.
        url: where it is.
        base: the path that its routes begin with.
        names: which names of models may become labels.
        allowance: for the bodies that are being read.
        context_of: tokens of context that a model is loaded with; None where that is not known.
        on_prediction: told each complete answer of a model, without its text, and the context length.
        on_failure: told each request to a model that brought none; server, model, origin, failure.
        on_response: told the status of each answer; server, model (empty for routes on which no model answers), status.
    """

    server: str
    url: str
    base: str
    names: Names
    allowance: Allowance
    context_of: Callable[[str], int | None]
    on_prediction: Callable[[Origin, Prediction, int | None], None]
    on_failure: Callable[[str, str, Origin, ModelFailure], None]
    on_response: Callable[[str, str, int], None]


class Exchange:
    """One request with its answer. Its methods are called in the order in which things pass."""

    def __init__(self, accounts: Accounts, head: Head, at: float) -> None:
        method, target, _ = head.first
        self._accounts = accounts
        self._started = at
        self._route: Route | None = find_route(method, target, accounts.base)
        self._asked = ""
        self._streamed = False
        readable = self._route is not None and "content-encoding" not in head.headers
        self._request = Capture(MAX_REQUEST_BYTES, accounts.allowance) if readable else None
        self._status: int | None = None
        self._content_type = ""
        self._tally = Tally()
        self._reader: Reader | None = None
        self._done = False

    def request_body(self, piece: memoryview) -> None:
        """A piece of the request's body has passed."""
        if self._request is not None and not self._request.add(piece):
            self._request = None

    def request_end(self) -> None:
        """The request is complete: learn what it asks for, and forget it."""
        request, self._request = self._request, None
        document = load_json(request.take_out()) if request is not None else None
        if isinstance(document, dict):
            self._asked = text(document, "model")
            self._streamed = document.get("stream") is True

    def answer_head(self, head: Head) -> None:
        """The head of the answer has passed; an interim one (100 to 199) does not get here."""
        self._status = answer_status(head)
        self._content_type = head.headers.get("content-type", "")
        if self._route is None:
            return
        try:
            self._reader = reader_for(head, self._route, self._tally, self._accounts.allowance, streamed=self._streamed)
        except UnreadableError:
            self._reader = None

    def answer_body(self, piece: memoryview, at: float) -> None:
        """A piece of the answer's body has passed."""
        if self._reader is None:
            return
        try:
            self._reader.feed(bytes(piece), at)
        except UnreadableError:
            self._reader = None

    def answer_end(self, at: float) -> None:
        """The answer is complete."""
        if self._reader is not None:
            try:
                self._reader.finish(at)
            except UnreadableError:
                self._reader = None
        self._conclude(at, None)

    def broken(self, how: Broken, at: float) -> None:
        """Nothing more will pass, and the answer is not complete."""
        self._conclude(at, how)

    def _conclude(self, at: float, how: Broken | None) -> None:
        if self._done:
            return
        self._done = True
        self._request = None
        failure = self._failure(how) if self._route is not None else None
        model = self._label(answered=failure is None)
        status = 502 if how == "unreachable" else self._status
        if status is not None:
            self._accounts.on_response(self._accounts.server, model, status)
        if self._route is None:
            return
        if failure is not None:
            self._accounts.on_failure(self._accounts.server, model, ORIGIN, failure)
        else:
            self._accounts.on_prediction(ORIGIN, self._prediction(model, at), self._accounts.context_of(model))

    def _label(self, *, answered: bool) -> str:
        if self._route is None:
            return ""
        name = self._tally.model or self._asked
        return self._accounts.names.answered(name) if answered else self._accounts.names.asked(name)

    def _failure(self, how: Broken | None) -> ModelFailure | None:
        """What went wrong, in our own words: a foreign text could hold what the user wrote, or what the model said."""
        reason = self._reason(how)
        if reason is None:
            return None
        detail = _CLIENT_LEFT if how == reason == "cancelled" else ""
        return ModelFailure(reason, detail, status=self._status, url=self._accounts.url)

    def _reason(self, how: Broken | None) -> str | None:
        tally = self._tally
        if tally.failed is not None:
            return tally.failed
        if self._status is not None and not 200 <= self._status < 300:
            # A body that was not read, or not to its end: the status decides alone.
            told = classify(self._status, "", b"")
            return told.reason if told is not None else None
        if how is not None and not tally.complete:
            cut = "unreachable" if self._status is None else "stream_cut"
            return cut if how == "cut" else how
        if self._reader is None:
            return None
        if not tally.complete and tally.objects:
            return "stream_cut"
        return "empty_answer" if tally.is_empty else None

    def _prediction(self, model: str, at: float) -> Prediction:
        figures = self._tally.figures()
        first = self._tally.first_token_at
        tokens_per_second, timed_by = self._tally.speed(figures)
        return Prediction(
            server=self._accounts.server,
            model=model,
            asked_model=self._asked,
            text="",
            reasoning="",
            finish_reason=self._tally.finish_reason or "unknown",
            prompt_tokens=figures.prompt_tokens,
            output_tokens=figures.output_tokens,
            reasoning_tokens=figures.reasoning_tokens,
            cached_prompt_tokens=figures.cached_prompt_tokens,
            time_to_first_token_seconds=figures.time_to_first_token_seconds if first is None else first - self._started,
            duration_seconds=at - self._started,
            tokens_per_second=tokens_per_second,
            timed_by=timed_by,
        )
