"""LM Studio's websocket RPC: what its models do at the moment, how much waits for them, when they were used, how long they stay.

REST tells none of this. The RPC answers on the port of the HTTP API, needs no privileges, works from another host, and
takes an API token where the server asks for one. Three connections are kept, one a namespace. Nothing is received between
looks, so each look shows anew whether they live: connections that are silent for half of a look's time, as after the
computer slept, are replaced by fresh ones within the same look.
"""

import logging
import threading

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.rpc_dial import Dialer
from exporter.lmstudio.rpc_frames import NAMESPACES, Namespace
from exporter.lmstudio.rpc_reading import read_state
from exporter.lmstudio.rpc_socket import RpcSocket
from exporter.lmstudio.rpc_state import RpcState
from exporter.lmstudio.rpc_trouble import Look, RpcError
from exporter.logs import fields
from exporter.sources.http import Cancel

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""For one look. It is part of a poll, which it must not hold up for long."""
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 300.0
"""After a failure, doubled from the first to the longest."""
RARELY_SECONDS = 600.0
"""With `rpc: auto`, until a server is asked again that refused, or that has no RPC."""
QUIET_SECONDS = 600.0
"""The same kind of news about a server is logged no more often than this."""
_REUSED_SHARE = 0.5
"""Of a look's time for connections of an earlier look, before fresh ones are made."""
_LEAST_SECONDS = 0.05


class RpcClient:
    """Looks at one server. Safe to use from several threads; one look at a time.

    Args:
        config: the server. With `rpc: off` nothing is ever sent.
        clock: tells the time.
        cancel: ends a look from another thread.
    """

    def __init__(self, config: Server, clock: Clock, cancel: Cancel | None = None) -> None:
        self._config = config
        self._clock = clock
        self._cancel = cancel
        self._dialer = Dialer(config)
        self._lock = threading.Lock()
        self._connections: dict[Namespace, RpcSocket] = {}
        self._absent: set[Namespace] = set()
        self._closed = False
        self._not_before = 0.0
        self._failures = 0
        self._worked = False
        self._logged: dict[str, float] = {}
        self._problem = ""

    @property
    def expected(self) -> bool:
        """Whether a look should succeed: the configuration says `rpc: on`; with `auto`, one did, and it was not refused since."""
        return self._config.rpc == "on" or self._worked

    @property
    def problem(self) -> str:
        """Why the last look failed, in words for people; empty where it did not, or where that was not expected."""
        return self._problem if self.expected else ""

    def look(self, deadline_seconds: float = LOOK_SECONDS) -> RpcState | None:
        """What the server says now; None where it says nothing, or is not to be asked yet.

        Nothing is raised whatever the server does. After a failure looks are left out for a while.

        Args:
            deadline_seconds: for everything: connections, greetings, calls.
        """
        with self._lock:
            if self._closed or self._config.rpc == "off" or self._clock.monotonic() < self._not_before:
                return None
            try:
                state = self._read(deadline_seconds)
            except RpcError as error:
                if error.trouble != "cancelled":
                    self._failed(error)
                return None
            self._succeeded()
            return state

    def look_again(self) -> None:
        """Leave no look out any more: the server was down and is back."""
        with self._lock:
            self._not_before = 0.0
            self._failures = 0

    def close(self) -> None:
        """Close the connections and make no more. Waits for a look under way."""
        with self._lock:
            self._closed = True
            self._drop()

    def _read(self, seconds: float) -> RpcState:
        began = Look(seconds)
        if len(self._connections) + len(self._absent) == len(NAMESPACES):
            try:
                return self._attempt(seconds * _REUSED_SHARE)
            except RpcError as error:
                if error.trouble == "cancelled":
                    raise
        return self._attempt(max(_LEAST_SECONDS, seconds - began.elapsed()))

    def _attempt(self, seconds: float) -> RpcState:
        look = Look(seconds, self._cancel)
        try:
            self._connect(look)
            try:
                return read_state(self._connections, look, self._clock)
            except BaseException:
                # What is still to come on these connections would be taken for answers to later calls.
                self._drop()
                raise
        finally:
            look.finish()

    def _connect(self, look: Look) -> None:
        """Open the connections that are missing. Those that are open stay when time runs out: the next look goes on there."""
        for namespace in NAMESPACES:
            if namespace in self._connections or namespace in self._absent:
                continue
            try:
                self._connections[namespace] = self._dialer.open(namespace, look)
            except RpcError as error:
                if error.trouble != "absent" or namespace == "llm":
                    raise
                self._absent.add(namespace)

    def _drop(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._absent.clear()

    def _succeeded(self) -> None:
        if not self._worked or self._failures:
            self._say("up", logging.INFO, "the websocket answers: model states are read")
        self._worked = True
        self._failures = 0
        self._problem = ""

    def _failed(self, error: RpcError) -> None:
        self._failures += 1
        self._problem = str(error)
        wait = min(FIRST_WAIT_SECONDS * 2 ** min(self._failures - 1, 16), LONGEST_WAIT_SECONDS)
        if error.trouble != "failed":
            self._drop()
            if self._config.rpc == "auto":
                self._worked = False
                wait = RARELY_SECONDS
        self._not_before = self._clock.monotonic() + wait
        level = logging.WARNING if self.expected else logging.INFO
        self._say(error.trouble, level, "the websocket does not answer: model states are not known", str(error))

    def _say(self, kind: str, level: int, message: str, detail: str = "") -> None:
        """Log news; of one kind only once in a while, and only once for a server that need not have an RPC."""
        now = self._clock.monotonic()
        before = self._logged.get(kind)
        if before is not None and (now - before < QUIET_SECONDS or (kind != "up" and not self.expected)):
            return
        self._logged[kind] = now
        logger.log(level, message, extra=fields(server=self._config.name, detail=detail))
