"""The frames of LM Studio's websocket RPC, to and from JSON. Pure: no socket, no clock.

Each websocket serves one namespace. The client's first frame says who it is, the server's first frame whether it may
talk. After that calls go one way and results the other, matched by number, in any order and among frames of other kinds.

Only calls that read can be put into a frame: see `ENDPOINTS`. Channels, by which models are loaded and asked, cannot.
"""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

from exporter.lmstudio.failures import load_json, readable
from exporter.lmstudio.fields import count

Namespace = Literal["system", "llm", "embedding"]
NAMESPACES: tuple[Namespace, ...] = get_args(Namespace)

INFO = "info"
VERSION = "version"
LIST_LOADED = "listLoaded"
PROCESSING_STATE = "getInstanceProcessingState"
_OF_MODELS = frozenset({LIST_LOADED, PROCESSING_STATE})
ENDPOINTS: Mapping[Namespace, frozenset[str]] = MappingProxyType(
    {"system": frozenset({INFO, VERSION}), "llm": _OF_MODELS, "embedding": _OF_MODELS}
)
"""All that is ever called. None of these starts, stops, loads, unloads, asks or changes anything."""

_TOKEN_PREFIX = "sk-lm-"  # noqa: S105 - how every token begins
_LONGEST_NAME = 256
"""Characters that the server takes of each half of an identity."""

FrameKind = Literal["accepted", "refused", "result", "error", "warning", "other"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame from the server. `other` is all that is not for us: acknowledgements, channels, signals, new kinds."""

    kind: FrameKind
    call_id: int | None = None
    value: Any = None
    """Of a result, as JSON; None also where a call returns nothing."""
    text: str = ""
    """Of a refusal, an error or a warning: what the server says, fit to be shown."""
    about: str = ""
    """Of a warning: its kind, such as `rpcEndpointUnknown`; older versions give none."""


def identity_frame(token: str | None) -> str:
    """The first frame of a connection.

    An API token `sk-lm-<identifier>:<passkey>` gives both parts of the identity. Without one the client is a guest, as
    LM Studio's own clients are; a server that requires authentication refuses guests. A token of another form is sent as a
    passkey, so that the server says what it thinks of it. Names are not reused: the first passkey that comes with a name may
    claim it.
    """
    if token is None:
        identifier, passkey = f"guest:{uuid.uuid4().hex}", uuid.uuid4().hex
    else:
        first, colon, second = token.removeprefix(_TOKEN_PREFIX).partition(":")
        identifier, passkey = (first, second) if colon else (f"lmwatch:{uuid.uuid4().hex}", token)
    return json.dumps(
        {
            "authVersion": 1,
            "clientIdentifier": identifier[:_LONGEST_NAME],
            "clientPasskey": passkey[:_LONGEST_NAME],
        }
    )


def call_frame(namespace: Namespace, endpoint: str, call_id: int, parameter: Mapping[str, Any] | None = None) -> str:
    """The frame of one call.

    Args:
        namespace: of the connection that it goes out on.
        endpoint: one of the namespace's `ENDPOINTS`.
        call_id: comes back with the result.
        parameter: None leaves the key out: an endpoint that takes no parameter refuses even an empty one.

    Raises:
        ValueError: the endpoint is not one of those that only read.
    """
    if endpoint not in ENDPOINTS[namespace]:
        raise ValueError(f"{namespace}.{endpoint} is not among the calls that lmwatch may make")
    frame: dict[str, Any] = {"type": "rpcCall", "endpoint": endpoint, "callId": call_id}
    if parameter is not None:
        frame["parameter"] = dict(parameter)
    return json.dumps(frame)


def state_parameter(instance_reference: str) -> dict[str, Any]:
    """The parameter of `getInstanceProcessingState`. An instance that is gone meanwhile is no error.

    A reference names a running instance; a query by name is never used, so that nothing can be loaded to answer it.
    """
    return {
        "specifier": {"type": "instanceReference", "instanceReference": instance_reference},
        "throwIfNotFound": False,
    }


def parse_frame(text: str | bytes) -> Frame | None:
    """The frame in a text message; None if it is no JSON object."""
    document = load_json(text)
    if not isinstance(document, Mapping):
        return None
    if "type" not in document and isinstance(document.get("success"), bool):
        return Frame("accepted") if document["success"] else Frame("refused", text=_said(document.get("error")))
    call_id = count(document, "callId")
    match document.get("type"):
        case "rpcResult" if call_id is not None:
            return Frame("result", call_id, document.get("result"))
        case "rpcError" if call_id is not None:
            return Frame("error", call_id, text=_said(document.get("error")))
        case "communicationWarning":
            about = document.get("kind")
            return Frame("warning", text=_said(document.get("warning")), about=about if isinstance(about, str) else "")
        case _:
            return Frame("other")


def endpoints_meant(warning: Frame, waiting: Collection[str]) -> frozenset[str]:
    """Which of the endpoints that are waited for a warning is about: they will get no other answer.

    A call of an unknown endpoint, or with a parameter that the server does not take, is answered by a warning without the
    call's number. Its text names the endpoint. Of one connection the server sends at most five warnings.

    Args:
        warning: a frame of that kind.
        waiting: endpoints of calls without an answer yet.
    """
    words = warning.text.replace(",", " ").replace(".", " ").split()
    named = frozenset(waiting).intersection(words)
    if named or not warning.about.startswith("rpc"):
        return named
    return frozenset(waiting) if len(frozenset(waiting)) == 1 else named


def _said(error: Any) -> str:
    """The words of an error, which is a string or an object with a title."""
    if isinstance(error, Mapping):
        error = next((error[key] for key in ("title", "message", "cause") if isinstance(error.get(key), str)), "")
    return readable(error) if isinstance(error, str) else ""
