"""What can go wrong with a call to a model server: a closed list of reasons, and how each is recognised.

LM Studio answers failures with 200, 400, 404 or 500, with `error` as a string or an object, as HTML, or inside a stream,
and the same status means different things from version to version. So the text decides first, then the status.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from exporter.errors import LmwatchError
from exporter.sources.http import HttpError

DETAIL_LENGTH = 300
"""Characters of a foreign text that are shown."""
_SEARCHED = 4000
"""Characters of a foreign text that are searched for what they mean."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One kind of failure: its name in the label `reason`, and what may help against it."""

    name: str
    meaning: str
    again: bool
    """Whether the same request may succeed on the same server a little later."""
    elsewhere: bool
    """Whether the same request may succeed on another server now."""


_TABLE = (
    Reason("unreachable", "no connection, or it broke before an answer began", again=True, elsewhere=True),
    Reason("timeout", "no complete answer before the deadline", again=True, elsewhere=True),
    Reason("cancelled", "given up by whoever asked, or by lmwatch at its end", again=False, elsewhere=False),
    Reason("auth", "the API token or password is missing or wrong", again=False, elsewhere=True),
    Reason("unexpected_endpoint", "the server does not know this route", again=False, elsewhere=True),
    Reason("invalid_request", "the server refuses the request as it is", again=False, elsewhere=False),
    Reason("image_refused", "the server or the model takes no images", again=False, elsewhere=False),
    Reason("grammar", "the server or its engine cannot enforce the JSON schema", again=False, elsewhere=True),
    Reason("context_overflow", "the prompt does not fit into the loaded context", again=False, elsewhere=True),
    Reason("model_not_found", "the server does not have the model", again=False, elsewhere=True),
    Reason("no_model_loaded", "no model is loaded, or it was unloaded during the call", again=True, elsewhere=True),
    Reason("load_failed", "the model could not be loaded or its engine did not start", again=True, elsewhere=True),
    Reason("guardrail", "refused to load the model for want of memory", again=False, elsewhere=True),
    Reason("busy", "the server takes no work now: it is loading, or too many requests", again=True, elsewhere=True),
    Reason("slot_timeout", "waited too long for a free slot of the model", again=True, elsewhere=True),
    Reason("crashed", "the process that runs the model died", again=True, elsewhere=True),
    Reason("channel_error", "the server lost the connection to its own engine", again=True, elsewhere=True),
    Reason("server_error", "the server failed without saying more", again=True, elsewhere=True),
    Reason("bad_answer", "status 200, but not what the API promises: HTML, broken JSON", again=True, elsewhere=True),
    Reason("empty_answer", "a complete answer without a single token", again=True, elsewhere=True),
    Reason("stream_cut", "the answer broke off before its end", again=True, elsewhere=True),
    Reason("unknown", "an error with a text that is not in the list", again=True, elsewhere=True),
)
FAILURES: Mapping[str, Reason] = MappingProxyType({reason.name: reason for reason in _TABLE})
REASONS: tuple[str, ...] = tuple(FAILURES)
"""Every value that the label `reason` can have."""


class ModelFailure(LmwatchError):  # noqa: N818 - reads as what it is in `except ModelFailure as failure`
    """A call to a model server that brought no usable answer.

    Attributes:
        reason: one of `REASONS`.
        detail: what the server or the network said, shortened, without secrets.
        status: the HTTP status; None if no answer began.
        url: what was called.
        retryable: whether the same request may succeed on the same server a little later.
        elsewhere: whether the same request may succeed on another server now.
    """

    def __init__(self, reason: str, detail: str = "", *, status: int | None = None, url: str = "") -> None:
        self.reason = reason
        self.detail = readable(detail) or FAILURES[reason].meaning
        self.status = status
        self.url = url
        self.retryable = FAILURES[reason].again
        self.elsewhere = FAILURES[reason].elsewhere
        where = f" from {url}" if url else ""
        code = f" (status {status})" if status is not None else ""
        super().__init__(f"{reason}{where}{code}: {self.detail}")


# The first row that matches decides, so the special stands before the general: a guardrail text is also a load failure.
_TEXTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(pattern, re.IGNORECASE))
    for reason, pattern in (
        ("unexpected_endpoint", r"unexpected endpoint or method"),
        ("image_refused", r"not support image|images? (inputs? )?(is|are) not supported|not a multimodal model"),
        ("image_refused", r"(load|decode|process) (the )?image|required for image input|base64 encoded image"),
        ("image_refused", r"content (part )?type\W+image_url"),
        ("auth", r"invalid_api_key|api token|unauthori[sz]ed"),
        ("guardrail", r"insufficient (system )?(resources|memory)|guardrail"),
        ("load_failed", r"failed to load model|model_load_failed|engine protocol startup"),
        (
            "context_overflow",
            r"exceed\w* the available context|exceed_context_size|context size has been exceeded|n_keep\b.*n_ctx",
        ),
        (
            "context_overflow",
            r"keep the first \d+ tokens|context[ _]overflow|context_length_exceeded|maximum context length",
        ),
        ("grammar", r"response_format|json_?schema|json schema|grammar"),
        ("model_not_found", r"model_not_found|invalid model identifier|model .{1,200}\b(not found|does not exist)"),
        ("no_model_loaded", r"no models? (is |are )?(currently )?loaded|model is unloaded|model unloaded"),
        ("slot_timeout", r"engine protocol predict stream returned an error"),
        ("crashed", r"has crashed|exit code:"),
        ("channel_error", r"channel error|fetch failed|^terminated$"),
        ("server_error", r"received prediction-error|compute error|engine protocol .* returned 5\d\d"),
        ("busy", r"loading model|too many requests|rate.?limit|unavailable_error"),
        ("cancelled", r"operation cancell?ed"),
    )
)
_BY_STATUS: Mapping[int, str] = MappingProxyType(
    {
        401: "auth",
        403: "auth",
        404: "unexpected_endpoint",
        405: "unexpected_endpoint",
        408: "timeout",
        429: "busy",
        501: "unexpected_endpoint",
        503: "busy",
        504: "timeout",
    }
)
_HTTP_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "timeout": "timeout",
        "refused": "unreachable",
        "reset": "unreachable",
        "unreachable": "unreachable",
        "dns": "unreachable",
        "tls": "unreachable",
        "proxy": "unreachable",
        "local": "unreachable",
        "credentials": "auth",
        "too_large": "bad_answer",
        "redirect": "bad_answer",
        "protocol": "bad_answer",
        "cancelled": "cancelled",
    }
)
_HTML = re.compile(r"\s*<(!doctype|html|head|body)", re.IGNORECASE)
_TAGS = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(r"\bsk-[A-Za-z0-9_-]{4,}(:[A-Za-z0-9]+)?|(?<=Bearer )\S+")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def classify(status: int, content_type: str, body: bytes, *, url: str = "") -> ModelFailure | None:
    """The failure that a complete answer reports; None if it reports none.

    An event stream with status 200 reports none here: its events are judged one by one with `failure_in`.

    Args:
        status: the HTTP status.
        content_type: the header's value, empty if there is none.
        body: the body, whole or its beginning.
        url: what was called, for the failure's text.
    """
    kind = content_type.partition(";")[0].strip().lower()
    ok = 200 <= status < 300
    if ok and kind == "text/event-stream":
        return None
    text = body.decode("utf-8", "replace")
    if kind == "text/html" or _HTML.match(text):
        words = _TAGS.sub(" ", text[:_SEARCHED])
        return ModelFailure("bad_answer" if ok else _reason("", status), words, status=status, url=url)
    document = load_json(text)
    if isinstance(document, dict):
        failure = failure_in(document, status=status, url=url)
        if failure is not None or ok:
            return failure
    elif ok and isinstance(document, list):
        return None
    if ok:
        return ModelFailure("bad_answer", f"not JSON: {text[:DETAIL_LENGTH]}", status=status, url=url)
    return ModelFailure(_reason(text, status), text, status=status, url=url)


def failure_in(document: Mapping[str, Any], *, status: int = 200, url: str = "") -> ModelFailure | None:
    """The failure that a JSON object reports, be it a whole body or one event of a stream; None if it reports none."""
    error = document.get("error")
    if error is None or error is False or error == "":
        if 200 <= status < 300:
            return None
        error = document
    text, codes = _words(error)
    text = text or _words(document)[0] or codes or _dump(error)
    return ModelFailure(_reason(f"{codes} {text}".strip(), status), text, status=status, url=url)


def from_http(error: HttpError, *, answering: bool = False) -> ModelFailure:
    """The failure behind a broken HTTP exchange.

    Args:
        error: what the HTTP layer raised.
        answering: whether the answer had begun; a connection that breaks then cut it off.
    """
    reason = _HTTP_KINDS.get(error.kind, "unreachable")
    if answering and error.kind in ("reset", "protocol"):
        reason = "stream_cut"
    return ModelFailure(reason, str(error).removeprefix(f"{error.url}: "), url=error.url)


def load_json(text: str | bytes) -> Any:
    """The JSON document in a text; None if it holds none, or one too deep or too large to be read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def readable(text: str) -> str:
    """A foreign text made fit to be shown: one line, printable, without API tokens, at most `DETAIL_LENGTH` long."""
    line = _TOKEN.sub("<secret>", _UNPRINTABLE.sub(" ", text[: 4 * DETAIL_LENGTH]).strip())
    return line if len(line) <= DETAIL_LENGTH else line[: DETAIL_LENGTH - 1] + "…"


def _words(error: Any) -> tuple[str, str]:
    """The message of an error, and its type and code, from any of the forms in which servers give it."""
    if not isinstance(error, Mapping):
        return (error, "") if isinstance(error, str) else (_dump(error), "")
    message = next((error[key] for key in ("message", "detail", "error") if isinstance(error.get(key), str)), "")
    codes = [error[key] for key in ("type", "code", "param") if isinstance(error.get(key), str)]
    return message, " ".join(codes)


def _dump(document: Any) -> str:
    try:
        return json.dumps(document)
    except RecursionError:
        return ""


def _reason(text: str, status: int) -> str:
    searched = text[:_SEARCHED]
    for reason, pattern in _TEXTS:
        if pattern.search(searched):
            return reason
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return "server_error"
    if status >= 400:
        return "invalid_request"
    return "bad_answer" if 300 <= status < 400 else "unknown"
