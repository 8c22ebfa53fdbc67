"""A server that behaves like LM Studio 0.4.24, over any engine, with failures on demand.

For the demo, which has no LM Studio, and for tests, which need one that fails when told to. It is written from what
LM Studio documents and what its users measured, not from LM Studio's code.
"""

import hmac
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from exporter.clock import Clock, SystemClock
from exporter.embedded import studio_lists, studio_manage, studio_native, studio_openai, studio_other, studio_rpc
from exporter.embedded.contract import Engine
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_errors import ApiError, unauthorized, unexpected_endpoint
from exporter.embedded.studio_faults import Fault, FaultPlan, Over
from exporter.embedded.studio_http import Call, Listener, Received
from exporter.embedded.studio_models import ModelStore
from exporter.embedded.studio_predict import ApiLevel, Habits, Route, Service
from exporter.embedded.studio_websocket import wants_websocket
from exporter.errors import LmwatchError

_ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - compared with, not listened on
_KEPT_REQUESTS = 1000
_PREDICTS = ("/chat", "/completions", "/responses", "/messages")
_GREETING = "/lmstudio-greeting"
_ANTHROPIC = "/v1/messages"
_V0_MODEL = "/api/v0/models/"
_DOWNLOAD_STATUS = "/api/v1/models/download/status/"
_VERSIONS = {"v1": "0.4.24", "v0": "0.3.30", "openai": ""}
_BUILD = 1
_FIRST_PID = 40_000


class StudioServer:
    """An LM Studio on the loopback address, unless another is named.

    Args:
        models: what is on disk. An engine stands for its model and is loaded from the start, to stay.
        host: the IPv4 address to listen on.
        port: to listen on; 0 takes a free one and keeps it when started again.
        api_token: what `Authorization: Bearer` must carry, or `x-api-key` on Anthropic's route; None lets everybody in.
        jit: whether a request loads the model that it names.
        ttl_seconds: how long a model loaded by a request stays without another.
        evict: whether it goes when a request loads the next one.
        api_level: `v1` is 0.4.24; `v0` is a build before 0.4.0, which has no /api/v1; `openai` is any other program
            with /v1 alone.
        clock: for times to live and timestamps.
        faults: what goes wrong; kept as `faults`.
        keep_alive_seconds: how long a connection may be silent between requests.
        slot_wait_seconds: how long a request waits for one of a model's slots.
        v0_stream_stats: whether the last chunk of a v0 stream carries `stats`.
    """

    def __init__(
        self,
        models: Sequence[DownloadedModel | Engine],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_token: str | None = None,
        jit: bool = True,
        ttl_seconds: float = 3600.0,
        evict: bool = True,
        api_level: ApiLevel = "v1",
        clock: Clock | None = None,
        faults: FaultPlan | None = None,
        keep_alive_seconds: float = 5.0,
        slot_wait_seconds: float = 120.0,
        v0_stream_stats: bool = False,
    ) -> None:
        clock = clock or SystemClock()
        self.faults = faults or FaultPlan()
        self._host = host
        self._port = port
        self._keep_alive_seconds = keep_alive_seconds
        self._habits = Habits(api_level, api_token, slot_wait_seconds, v0_stream_stats)
        downloaded = [model if isinstance(model, DownloadedModel) else DownloadedModel.of(model) for model in models]
        self._store = ModelStore(downloaded, clock=clock, jit=jit, ttl_seconds=ttl_seconds, evict=evict)
        for model, given in zip(downloaded, models, strict=True):
            if not isinstance(given, DownloadedModel):
                self._store.adopt(model, given, given.context_length)
        self._service = Service(self._store, self._habits, clock)
        self._native = studio_native.NativeChat()
        self._downloads = studio_manage.Downloads()
        self._routes = self._collect_routes()
        self._received: deque[Received] = deque(maxlen=_KEPT_REQUESTS)
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._starts = 0

    def _collect_routes(self) -> dict[tuple[str, str], Route]:
        routes = {
            **studio_lists.ROUTES,
            **studio_openai.ROUTES,
            **studio_manage.ROUTES,
            **studio_other.ROUTES,
            ("POST", "/api/v1/chat"): self._native.chat,
            ("POST", "/api/v1/models/download"): self._downloads.start,
        }
        absent = {"v1": (), "v0": ("/api/v1/",), "openai": ("/api/", _GREETING)}[self._habits.api_level]
        return {key: route for key, route in routes.items() if not key[1].startswith(absent)}

    def start(self) -> None:
        """Listen and answer from now on.

        Raises:
            LmwatchError: the port is taken, or it is running already.
        """
        if self._listener is not None:
            raise LmwatchError(f"the stand-in for LM Studio runs already, on {self.url}")
        powered_by = {} if self._habits.api_level == "openai" else {"X-Powered-By": "Express"}
        try:
            self._listener = Listener(
                self._port,
                self._answer,
                host=self._host,
                keep_alive_seconds=self._keep_alive_seconds,
                headers=powered_by,
            )
        except OSError as error:
            raise LmwatchError(f"cannot listen on {self._host}:{self._port}: {error.strerror}") from error
        self._port = self._listener.port
        self._starts += 1
        self._listener.start()

    def stop(self) -> None:
        """Cut all connections and stop listening. Models stay loaded; it may be started again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def __enter__(self) -> Self:
        """Started."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stopped."""
        self.stop()

    @property
    def port(self) -> int:
        """The port; 0 before the first start if none was chosen."""
        return self._port

    @property
    def url(self) -> str:
        """Where it answers on this machine, without a slash at the end."""
        host = "127.0.0.1" if self._host == _ALL_ADDRESSES else self._host
        return f"http://{host}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id that it tells by its websocket RPC: another one after each start."""
        return _FIRST_PID + self._starts

    @property
    def received(self) -> tuple[Received, ...]:
        """The latest thousand requests, oldest first."""
        with self._lock:
            return tuple(self._received)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The ids of the loaded models."""
        return tuple(instance.id for instance in self._store.instances())

    def load(self, key: str, *, ttl_seconds: float | None = None) -> str:
        """Load a model, as a user does by hand; returns the id of the instance.

        Raises:
            LmwatchError: there is no such model, or it cannot be loaded.
        """
        for model in self._store.models:
            if model.key == key:
                try:
                    return self._store.load(model, ttl_seconds=ttl_seconds)[0].id
                except ApiError as error:
                    raise LmwatchError(error.message) from error
        raise LmwatchError(f"no model {key!r} on the stand-in's disk")

    def unload(self, identifier: str) -> bool:
        """Take a loaded model away, even while it answers; False if there is none of that id."""
        return self._store.unload(identifier)

    def _answer(self, call: Call) -> None:
        with self._lock:
            self._received.append(call.received)
        upgrade = self._habits.api_level != "openai" and call.path.removeprefix("/") in studio_rpc.NAMESPACES
        upgrade = upgrade and wants_websocket(call)
        over: Over = "upgrade" if upgrade else "http"
        call.fault = self.faults.take(call.path, predicts=call.path.endswith(_PREDICTS), over=over)
        try:
            if call.fault is not None and _misbehave(call, call.fault):
                return
            if upgrade:
                # Whoever it is says so in the first frame, not in a header.
                studio_rpc.serve(self._service, call, self.faults, self._about)
                return
            self._authorise(call)
            self._dispatch(call)
        except ApiError as error:
            call.send_json(error.status, error.body)
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            if call.answered:
                raise
            call.send_html(500, f"{type(error).__name__}: {error}")

    @property
    def _about(self) -> studio_rpc.About:
        return studio_rpc.About(_VERSIONS[self._habits.api_level], _BUILD, self.pid)

    def _authorise(self, call: Call) -> None:
        token = self._habits.api_token
        if token is None or call.path == _GREETING:
            return
        headers = call.received.headers
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = headers.get("x-api-key", "") if call.path == _ANTHROPIC else ""
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise unauthorized()

    def _dispatch(self, call: Call) -> None:
        method, path, level = call.received.method, call.path, self._habits.api_level
        route = self._routes.get((method, path))
        if route is not None:
            route(self._service, call)
        elif method == "GET" and path.startswith(_V0_MODEL) and level != "openai":
            studio_lists.model_v0(self._service, call, unquote(path.removeprefix(_V0_MODEL)))
        elif method == "GET" and path.startswith(_DOWNLOAD_STATUS) and level == "v1":
            self._downloads.status(self._service, call, path.removeprefix(_DOWNLOAD_STATUS))
        else:
            known = any(path == known_path for _, known_path in self._routes)
            native = level == "v1" and path.startswith("/api/v1/") and not known
            raise unexpected_endpoint(method, path, 404 if native or level == "openai" else 200)


def _misbehave(call: Call, fault: Fault) -> bool:
    """Faults that need no model; True when the call is answered by that."""
    match fault.kind:
        case "slow":
            call.wait(fault.first_byte_seconds)
            return False
        case "reset":
            call.reset()
        case "html_500":
            call.send_html(500, fault.text or "Internal Server Error")
        case "error_200":
            call.send_json(200, {"error": fault.text or "Unexpected error."})
        case "unauthorized":
            raise unauthorized()
        case _:
            return False
    return True
