"""LM Studio on this host: its command `lms`, and whether LM Studio runs, found out without starting it.

Almost every `lms` command starts LM Studio, or its daemon llmster, where none runs. An observer must not do that: it would
bring back to life what it should report as down. So no command is run to find out, and none is run before
`LocalLmStudio.runs` says yes. It asks where `lms` itself would look, in this order:

1. `.internal/http-server.json` in LM Studio's home names the port of the local API server, which listens on loopback also
   while the HTTP server is off. The file may be stale, so the port must answer.
2. Older versions publish no port; theirs is one of five well-known ones.

A port answers if `/lms-status` names package and version or, before that existed, `/lmstudio-greeting` greets. If
none does, `lms` would find none either, and start one. Between this answer and the look that `lms` itself takes LM Studio may
end; for that, a published file is handed to `lms` in `LMS_API_SERVER_INFO_PATH`, with which newer versions start nothing.

The stream shows what the LM Studio of this home does. That this is the configured server follows from its URL: an address of
this host, the port of `.internal/http-server-config.json`, and LM Studio's greeting, if anything answers there at all.
"""

import contextlib
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from exporter.config.http import HttpClient
from exporter.config.model import Server
from exporter.lmstudio.failures import load_json
from exporter.lmstudio.fields import count, text
from exporter.lmstudio.session import open_session
from exporter.sources.http import Cancel, HttpError, HttpSession

WELL_KNOWN_PORTS = (41343, 52993, 16141, 39414, 22931)
"""Where LM Studio's local API server listens if it does not publish its port."""
INFO_VARIABLE = "LMS_API_SERVER_INFO_PATH"
_NAMES = ("lms", "lms.exe")
"""The second also within WSL, where the command of the Windows side is on the path."""
_ANSWER_SECONDS = 3.0
"""As long as `lms` waits for an answer to the same question."""
_MOST_BYTES = 64 * 1024
_STANDARD_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class LocalApi:
    """LM Studio's local API server, which answered."""

    port: int
    info: Path | None
    """The file that publishes the port; None where it was found at a well-known one."""
    package: str
    """The product: the app, llmster or Bionic; empty where an older version does not tell."""
    version: str


class LocalLmStudio:
    """The LM Studio of one user on this host, as the answer to: may `lms` be run on behalf of this server?

    Args:
        config: the server. `log_stream: on` says that it is this LM Studio, whatever port its URL has.
        home: the user's home directory.
        ports: where the local API server may listen if it does not publish its port.
    """

    def __init__(self, config: Server, home: Path, ports: Sequence[int] = WELL_KNOWN_PORTS) -> None:
        self._config = config
        self._home = home
        self._ports = ports
        self._session = open_session(config)
        # The API token is for the configured server only, not for whatever listens on a well-known port.
        self._anonymous = HttpSession(HttpClient(), pool_size=1)
        self._cancel = Cancel()
        self._found: LocalApi | None = None

    def runs(self) -> bool:
        """Whether LM Studio runs here and is the configured server, so that `lms` will find it and start nothing."""
        self._found = self.find() if is_this_host(self._config.url) and self._is_configured() else None
        return self._found is not None

    def find(self) -> LocalApi | None:
        """The LM Studio that runs here, its HTTP server on or off, the configured server or another; None if there is none."""
        info = lm_studio_home(self._home) / ".internal" / "http-server.json"
        published = _port_in(info)
        places = [(published, info)] if published is not None else []
        answers = (self._ask(port, file) for port, file in [*places, *((port, None) for port in self._ports)])
        return next((api for api in answers if api is not None), None)

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment for `lms`: this one, and what keeps newer versions from starting LM Studio."""
        if self._found is None or self._found.info is None:
            return dict(environ)
        return {INFO_VARIABLE: str(self._found.info), **environ}

    def close(self) -> None:
        """End a look that is under way, from another thread, and close idle connections. Later looks say no."""
        self._cancel.cancel()
        self._session.close()
        self._anonymous.close()

    def _ask(self, port: int, info: Path | None) -> LocalApi | None:
        base = f"http://127.0.0.1:{port}"
        status = self._get(self._anonymous, f"{base}/lms-status")
        if status is None:
            return None
        package, version = text(status, "package"), text(status, "version")
        if (package and version) or _greets(self._get(self._anonymous, f"{base}/lmstudio-greeting")):
            return LocalApi(port, info, package, version)
        return None

    def _is_configured(self) -> bool:
        port = _port_in(lm_studio_home(self._home) / ".internal" / "http-server-config.json")
        forced = self._config.log_stream == "on"
        if not forced and port is not None and port != port_of(self._config.url):
            return False
        greeting = self._get(self._session, f"{self._config.url}/lmstudio-greeting")
        # Its HTTP server may be off while its own chats go on; then only the port tells.
        return _greets(greeting) if greeting is not None else forced or port is not None

    def _get(self, session: HttpSession, url: str) -> Mapping[str, Any] | None:
        """The JSON object at this URL, an empty one for any other answer, None if there is none."""
        try:
            answer = session.get(url, deadline_seconds=_ANSWER_SECONDS, max_bytes=_MOST_BYTES, cancel=self._cancel)
        except HttpError as error:
            return {} if error.kind in ("protocol", "too_large", "redirect", "tls") else None
        document = load_json(answer.body) if answer.status == 200 else None
        return document if isinstance(document, dict) else {}


def find_lms(environ: Mapping[str, str], home: Path) -> Path | None:
    """The `lms` command: on the path, else where LM Studio installs it; None if there is none.

    Args:
        environ: the environment, for its PATH.
        home: the user's home directory.
    """
    homes = (lm_studio_home(home), home / ".lmstudio", home / ".cache" / "lm-studio")
    on_path = [folder for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    folders = os.pathsep.join([*on_path, *(str(folder / "bin") for folder in homes)])
    found = next((path for name in _NAMES if (path := shutil.which(name, path=folders))), None)
    return Path(found) if found is not None else None


def lm_studio_home(home: Path) -> Path:
    """Where LM Studio keeps its files: where its pointer file says, else the folder of older versions, else the usual one."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        pointed = Path((home / ".lmstudio-home-pointer").read_text(encoding="utf-8").strip())
        if pointed.is_absolute() and pointed.is_dir():
            return pointed
    older = home / ".cache" / "lm-studio"
    return older if older.is_dir() else home / ".lmstudio"


def is_this_host(url: str) -> bool:
    """Whether a URL names this host: localhost, the host's own name, or an address that one of its interfaces has.

    No name is looked up, so that a name server which does not answer holds up nothing.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    own = socket.gethostname().lower()
    if host == "localhost" or host.endswith(".localhost") or (host and host in (own, own.partition(".")[0])):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.getaddrinfo(host, 0, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def port_of(url: str) -> int | None:
    """The port that a URL leads to."""
    parts = urlsplit(url)
    return parts.port if parts.port is not None else _STANDARD_PORTS.get(parts.scheme)


def _greets(document: Mapping[str, Any] | None) -> bool:
    return document is not None and document.get("lmstudio") is True


def _port_in(file: Path) -> int | None:
    """The port in one of LM Studio's files; None if there is no such file, or it says none."""
    try:
        document = load_json(file.read_bytes())
    except OSError:
        return None
    port = count(document, "port") if isinstance(document, dict) else None
    return port if port is not None and 0 < port < 1 << 16 else None
