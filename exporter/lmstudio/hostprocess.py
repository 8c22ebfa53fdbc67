"""Whether LM Studio's process runs on this host, apart from its HTTP API, which its user can switch off.

LM Studio has a second, local HTTP server on the loopback address that runs as long as the process does. It is asked for
`/lms-status`, which names product and version, or for its greeting; nothing is ever started by that. Its port stands in
`.internal/http-server.json` of LM Studio's home, where lmwatch may read that, and is one of five well-known ones otherwise.

A process whose local server takes connections and says nothing is up, too: it hangs.

What cannot be told is None: a server on another host, one behind a tunnel or in a container, a program that is not LM Studio.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.clock import Clock
from exporter.config.http import HttpClient
from exporter.config.model import Server
from exporter.lmstudio.failures import load_json
from exporter.lmstudio.fields import count, text
from exporter.lmstudio.lms import WELL_KNOWN_PORTS, is_this_host, lm_studio_home, port_of
from exporter.lmstudio.wire import ServerHealth
from exporter.sources.http import Cancel, HttpError, HttpSession

EVERY_SECONDS = 60.0
"""How long an answer holds while the HTTP API is up. While it is down, each poll asks."""
LOOK_SECONDS = 1.0
"""For all ports together."""
_PORT_SECONDS = 0.3
_MOST_BYTES = 64 * 1024
_STANDARD_PORT = 1234


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What was found on this host."""

    up: bool
    package: str = ""
    """The product, by its own word; empty where it does not say."""
    version: str = ""
    pid: int | None = None
    """As LM Studio wrote it down when it started."""


@dataclass(frozen=True, slots=True)
class _Published:
    """What LM Studio wrote down about itself when it started; it stays behind when the process ends."""

    pid: int | None
    port: int | None


class HostProcess:
    """Looks for the process behind one server. For one thread at a time.

    Args:
        config: the server.
        clock: tells the time.
        home: the home directory of the user who runs LM Studio; None reads no files.
        ports: where the local server may listen if no file tells.
        cancel: ends a look from another thread.
    """

    def __init__(
        self,
        config: Server,
        clock: Clock,
        *,
        home: Path | None,
        ports: Sequence[int] = WELL_KNOWN_PORTS,
        cancel: Cancel | None = None,
    ) -> None:
        self._clock = clock
        self._home = home
        self._ports = ports
        self._cancel = cancel
        self._here = is_this_host(config.url)
        self._api_port = port_of(config.url)
        self._session = HttpSession(HttpClient(), pool_size=1)
        self._known_port: int | None = None
        self._is_lm_studio: bool | None = None
        self._seen = False
        self._silent: set[int] = set()
        self._state: ProcessState | None = None
        self._asked_at: float | None = None

    def look(self, health: ServerHealth) -> ProcessState | None:
        """The process behind a server that was just polled; None where that cannot be told.

        Args:
            health: of the server; says whether its HTTP API is up, and whether it is LM Studio.
        """
        if not health.up:
            self._asked_at = None
        elif self._is_lm_studio != (health.api != "openai"):
            self._is_lm_studio = health.api != "openai"
            self._asked_at = None
        if not self._here or self._is_lm_studio is False:
            return None
        now = self._clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= EVERY_SECONDS:
            self._state = self._find(health)
            # What was found while the API was down does not hold once it is up.
            self._asked_at = now if health.up else None
        return self._state

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _find(self, health: ServerHealth) -> ProcessState | None:
        folder = lm_studio_home(self._home) / ".internal" if self._home is not None else None
        if not self._serves_this_url(_read(folder, "http-server-config.json")):
            return None
        published = _published(_read(folder, "http-server.json"))
        answer = self._ask(published)
        if answer is not None:
            self._seen = True
            return ProcessState(True, text(answer, "package"), text(answer, "version"), _living(published))
        if health.up:
            # Something answers for it. Where it was seen here before, that is the same process.
            return ProcessState(True) if self._seen else None
        if published is not None and published.port in self._silent and _living(published) is not None:
            return ProcessState(True, pid=published.pid)
        return ProcessState(False) if self._seen or published is not None else None

    def _serves_this_url(self, http_config: Mapping[str, Any]) -> bool:
        """Whether the LM Studio of this home, if it ran, would answer at the server's URL."""
        port = _port(http_config)
        if port is not None:
            return port == self._api_port
        return self._is_lm_studio is True or self._api_port == _STANDARD_PORT

    def _ask(self, published: _Published | None) -> Mapping[str, Any] | None:
        """What the local server says of itself; None if no port answers as LM Studio does."""
        until = self._clock.monotonic() + LOOK_SECONDS
        self._silent.clear()
        likely = (self._known_port, published.port if published is not None else None, *self._ports)
        for port in dict.fromkeys(likely):
            if port is None or self._clock.monotonic() >= until:
                continue
            answer = self._status(port)
            if answer is not None:
                self._known_port = port
                return answer
        return None

    def _status(self, port: int) -> Mapping[str, Any] | None:
        status = self._get(port, "/lms-status")
        if status is None or (text(status, "package") and text(status, "version")):
            return status
        greeting = self._get(port, "/lmstudio-greeting")
        return {} if greeting is not None and greeting.get("lmstudio") is True else None

    def _get(self, port: int, path: str) -> Mapping[str, Any] | None:
        """The JSON object there, an empty one for any other answer, None for none."""
        url = f"http://127.0.0.1:{port}{path}"
        try:
            answer = self._session.get(url, deadline_seconds=_PORT_SECONDS, max_bytes=_MOST_BYTES, cancel=self._cancel)
        except HttpError as error:
            if error.kind == "timeout":
                self._silent.add(port)
            return None
        document = load_json(answer.body)
        return document if isinstance(document, dict) else {}


def _published(document: Mapping[str, Any]) -> _Published | None:
    return _Published(count(document, "pid") or None, _port(document)) if document else None


def _living(published: _Published | None) -> int | None:
    """The process id that was written down, if there is such a process."""
    pid = published.pid if published is not None else None
    if pid is None or sys.platform == "win32":
        # On Windows the question whether a process exists ends the process.
        return pid
    try:
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (ProcessLookupError, OverflowError):
        return None
    return pid


def _port(document: Mapping[str, Any]) -> int | None:
    port = count(document, "port")
    return port if port is not None and 0 < port < 1 << 16 else None


def _read(folder: Path | None, name: str) -> Mapping[str, Any]:
    """The JSON object in one of LM Studio's files; an empty one if it cannot be read."""
    if folder is None:
        return {}
    try:
        with (folder / name).open("rb") as file:
            document = load_json(file.read(_MOST_BYTES))
    except OSError:
        return {}
    return document if isinstance(document, dict) else {}
