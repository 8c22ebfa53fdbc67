"""LM Studio's websocket RPC, as far as an observer uses it: who is there, what is loaded, what it is doing.

Written from LM Studio's published client: the frames, the words of its warnings, and that there are at most five of
those a connection.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.embedded.studio_faults import FaultPlan
from exporter.embedded.studio_http import Call
from exporter.embedded.studio_models import Instance
from exporter.embedded.studio_predict import Service
from exporter.embedded.studio_websocket import WebSocket, accept

NAMESPACES = ("llm", "embedding", "system", "diagnostics", "files", "repository", "plugins", "runtime")
_MOST_WARNINGS = 5
_LONGEST_NAME = 256
_TOKEN_PREFIX = "sk-lm-"  # noqa: S105 - how every token begins


@dataclass(frozen=True, slots=True)
class About:
    """What the server says of itself."""

    version: str
    build: int
    pid: int


class _RpcFailedError(Exception):
    """A call that is answered by an error."""


Endpoint = Callable[[Service, About, Any], Any]
"""Given the call's parameter, its result as JSON."""


def serve(service: Service, call: Call, faults: FaultPlan, about: About) -> None:
    """Serve one connection until it ends.

    Raises:
        ApiError: the request is no proper upgrade.
        ClientGoneError: the client left.
    """
    connection = accept(call)
    if not _authenticated(connection, call, faults, service.habits.api_token):
        connection.close()
        return
    port = _Port(service, about, connection, call.path.removeprefix("/"))
    while (text := connection.receive()) is not None:
        if faults.take(call.path, predicts=False, over="rpc") is not None:
            connection.hang()
            return
        port.take(text)


def _authenticated(connection: WebSocket, call: Call, faults: FaultPlan, token: str | None) -> bool:
    """Wait for the client to say who it is, and answer. What is no such frame is passed over."""
    while (text := connection.receive()) is not None:
        identity = _identity(text)
        if identity is None:
            continue
        if faults.take(call.path, predicts=False, over="greeting") is not None or not _is_known(identity, token):
            connection.send(json.dumps({"success": False, "error": {"title": "Invalid API token"}}))
            return False
        connection.send(json.dumps({"success": True}))
        return True
    return False


def _identity(text: str) -> tuple[str, str] | None:
    document = _object(text)
    name, passkey = document.get("clientIdentifier"), document.get("clientPasskey")
    if document.get("authVersion") != 1 or not isinstance(name, str) or not isinstance(passkey, str):
        return None
    return (name, passkey) if max(len(name), len(passkey)) <= _LONGEST_NAME else None


def _is_known(identity: tuple[str, str], token: str | None) -> bool:
    if token is None:
        return True
    name, colon, passkey = token.removeprefix(_TOKEN_PREFIX).partition(":")
    expected = f"{name}:{passkey}" if colon else token
    given = ":".join(identity) if colon else identity[1]
    return hmac.compare_digest(given.encode(), expected.encode())


class _Port:
    """An authenticated connection to one namespace."""

    def __init__(self, service: Service, about: About, connection: WebSocket, namespace: str) -> None:
        self._service = service
        self._about = about
        self._connection = connection
        self._namespace = namespace
        self._warnings = 0

    def take(self, text: str) -> None:
        """Answer one frame."""
        frame = _object(text)
        match frame.get("type"):
            case "rpcCall":
                self._call(frame)
            case "channelCreate":
                self._refuse_channel(frame)
            case "keepAlive":
                self._say(type="keepAliveAck")
            case _:
                pass

    def _call(self, frame: Mapping[str, Any]) -> None:
        name = str(frame.get("endpoint"))
        endpoint = ENDPOINTS.get((self._namespace, name))
        if endpoint is None:
            self._warn("rpcEndpointUnknown", f"Received rpcCall for unknown endpoint, endpoint = {name}")
            return
        if ("parameter" in frame) != (name in _WITH_PARAMETER):
            given = json.dumps(frame.get("parameter"))
            self._warn(
                "rpcParameterTypeError",
                f"Received invalid parameter for rpcCall, endpointName = {name}, parameter = {given}. Zod error:\n\n"
                "- Expected void",
            )
            return
        try:
            result = endpoint(self._service, self._about, frame.get("parameter"))
        except _RpcFailedError as error:
            self._say(type="rpcError", callId=frame.get("callId"), error={"title": str(error)})
        else:
            answer = {} if result is None else {"result": result}
            self._say(type="rpcResult", callId=frame.get("callId"), **answer)

    def _refuse_channel(self, frame: Mapping[str, Any]) -> None:
        name = str(frame.get("endpoint"))
        if (self._namespace, name) == ("diagnostics", "streamLogs"):
            error = {"title": "This client is not allowed to stream logs."}
            self._say(type="channelError", channelId=frame.get("channelId"), error=error)
        else:
            self._warn("channelEndpointUnknown", f"Received channelCreate for unknown endpoint, endpoint = {name}")

    def _warn(self, kind: str, warning: str) -> None:
        self._warnings += 1
        if self._warnings <= _MOST_WARNINGS:
            self._say(type="communicationWarning", warning=warning, kind=kind)

    def _say(self, **frame: Any) -> None:
        self._connection.send(json.dumps(frame))


def _object(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _info(_: Service, about: About, __: Any) -> dict[str, Any]:
    return {"pid": about.pid, "isDaemon": False, "version": about.version}


def _version(_: Service, about: About, __: Any) -> dict[str, Any]:
    return {"version": about.version, "build": about.build}


def _listed(*, embedding: bool) -> Endpoint:
    def list_loaded(service: Service, _: About, __: Any) -> list[dict[str, Any]]:
        return [_describe(service, each) for each in service.store.instances() if _embeds(each) == embedding]

    return list_loaded


def _state(*, embedding: bool) -> Endpoint:
    def processing_state(service: Service, _: About, parameter: Any) -> dict[str, Any] | None:
        found = _specified(service, parameter, embedding=embedding)
        if found is None:
            return None
        status, queued = service.store.activity(found)
        return {"status": status, "queued": queued}

    return processing_state


def _model_info(*, embedding: bool) -> Endpoint:
    def model_info(service: Service, _: About, parameter: Any) -> dict[str, Any] | None:
        found = _specified(service, parameter, embedding=embedding)
        return _describe(service, found) if found is not None else None

    return model_info


def _specified(service: Service, parameter: Any, *, embedding: bool) -> Instance | None:
    """The loaded instance that a parameter specifies, by reference or by identifier; nothing is loaded to answer.

    Raises:
        _RpcFailedError: there is none, and the parameter asks for an error then.
    """
    asked = parameter if isinstance(parameter, dict) else {}
    specifier = asked.get("specifier")
    specifier = specifier if isinstance(specifier, dict) else {}
    query = specifier.get("query")
    identifier = query.get("identifier") if isinstance(query, dict) else None
    for each in service.store.instances():
        if _embeds(each) == embedding and (
            each.reference == specifier.get("instanceReference") or each.id == identifier
        ):
            return each
    if asked.get("throwIfNotFound"):
        raise _RpcFailedError("No model found that fits the query")
    return None


def _embeds(instance: Instance) -> bool:
    return instance.model.kind == "embedding"


def _describe(service: Service, instance: Instance) -> dict[str, Any]:
    facts, model = instance.model.facts, instance.model
    idle = service.clock.monotonic() - instance.last_used
    document: dict[str, Any] = {
        "type": "embedding" if model.kind == "embedding" else "llm",
        "modelKey": facts.key,
        "format": "safetensors" if model.format == "mlx" else model.format,
        "displayName": facts.display_name or facts.key,
        "publisher": facts.publisher,
        "path": f"{facts.publisher}/{facts.key}",
        "sizeBytes": facts.size_bytes,
        "indexedModelIdentifier": f"{facts.publisher}/{facts.key}",
        "deviceIdentifier": None,
        "paramsString": facts.params_string or None,
        "architecture": facts.architecture,
        "quantization": {"name": facts.quantization, "bits": facts.bits_per_weight},
        "identifier": instance.id,
        "instanceReference": instance.reference,
        "ttlMs": None if instance.ttl_seconds is None else int(instance.ttl_seconds * 1000),
        "lastUsedTime": int((service.clock.now() - idle) * 1000),
        "contextLength": instance.context_length,
        "maxContextLength": facts.max_context_length,
    }
    if model.kind != "embedding":
        document |= {"vision": model.kind == "vlm", "trainedForToolUse": model.tool_use}
    return document


ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("system", "info"): _info,
    ("system", "version"): _version,
    ("llm", "listLoaded"): _listed(embedding=False),
    ("embedding", "listLoaded"): _listed(embedding=True),
    ("llm", "getInstanceProcessingState"): _state(embedding=False),
    ("embedding", "getInstanceProcessingState"): _state(embedding=True),
    ("llm", "getModelInfo"): _model_info(embedding=False),
    ("embedding", "getModelInfo"): _model_info(embedding=True),
}
_WITH_PARAMETER = frozenset({"getInstanceProcessingState", "getModelInfo"})
