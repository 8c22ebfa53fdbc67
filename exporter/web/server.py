"""The HTTP server: one listener for each address, with TLS and authentication as the web configuration file says."""

import logging
import re
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from werkzeug.wrappers import Request

from exporter.errors import ConfigError
from exporter.web.connections import ContextProvider, Limits, Listener
from exporter.web.guard import Guard
from exporter.web.security import Authenticator

logger = logging.getLogger(__name__)

_ADDRESS = re.compile(r"(?:\[(?P<six>[\w:.%]+)\]|(?P<host>[^:\[\]/\s]*)):(?P<port>\d{1,5})")


class WebServer:
    """Serves a WSGI application.

    Users, headers and certificates follow the web configuration file while the server runs; whether there is TLS
    at all is decided by `start`.

    Args:
        app: the WSGI application.
        listen: addresses: `127.0.0.1:9917`, `[::1]:9917`, `:9917` for all interfaces; port 0 takes a free one.
        web_config: the web configuration file; None for plain HTTP without authentication.
        limits: what clients may take.
        bearer: whether a request shows a token of its own that stands for a user of the web configuration file.

    Raises:
        ConfigError: an address is malformed, or the web configuration file cannot be used.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        listen: Sequence[str],
        web_config: Path | None = None,
        limits: Limits | None = None,
        *,
        bearer: Callable[[Request], bool] = lambda _: False,
    ) -> None:
        self._addresses = [_parse(text) for text in listen]
        self._limits = limits or Limits()
        self._authenticator = Authenticator(web_config) if web_config else None
        self._app = Guard(app, self._authenticator, bearer) if self._authenticator else app
        if self._authenticator:
            self._authenticator.file.context()
        self._listeners: list[Listener] = []
        self._running = ExitStack()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the server listens, `host:port` with the real port; empty while it does not run."""
        return tuple(_format(listener.bind_addr) for listener in self._listeners)

    def start(self) -> None:
        """Begin to listen on all addresses, and serve in threads of its own.

        Raises:
            ConfigError: an address cannot be listened on, or the web configuration file cannot be used; nothing listens then.
        """
        context = self._context_provider()
        with ExitStack() as undo:
            for hosts, port in self._addresses:
                listener = self._listen(hosts, port, context)
                thread = threading.Thread(target=listener.serve, name=f"web {_format(listener.bind_addr)}", daemon=True)
                # Undone in reverse: stop the listener, then wait for its thread.
                undo.callback(thread.join)
                undo.callback(listener.stop)
                thread.start()
                self._listeners.append(listener)
                undo.callback(self._listeners.remove, listener)
                logger.info("listening on %s, TLS %s", _format(listener.bind_addr), "on" if context else "off")
            self._running = undo.pop_all()

    def stop(self) -> None:
        """End all listeners; a request that is being answered gets a few seconds. A second call does nothing."""
        self._running.pop_all().close()

    def _context_provider(self) -> ContextProvider | None:
        if self._authenticator is None or self._authenticator.file.context() is None:
            return None
        file = self._authenticator.file

        def context() -> ssl.SSLContext:
            present = file.context()
            if present is None:
                raise ConfigError("TLS was taken out of the web configuration file; restart lmwatch to serve without")
            return present

        return context

    def _listen(self, hosts: tuple[str, ...], port: int, context: ContextProvider | None) -> Listener:
        failures = []
        for host in hosts:
            listener = Listener((host, port), self._app, self._limits, context)
            try:
                listener.prepare()
            except OSError as error:
                failures.append(str(error))
            else:
                return listener
        raise ConfigError(f"cannot listen on {_format((hosts[0], port))}: {failures[-1]}")


def _parse(text: str) -> tuple[tuple[str, ...], int]:
    """Hosts to try, the first that works is taken, and the port."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ConfigError(f"{text!r} is no address to listen on; write it like 127.0.0.1:9917, [::1]:9917 or :9917")
    host = match["six"] or match["host"]
    # `::` takes IPv4 too; where the machine has no IPv6 the second one is left.
    return (host,) if host else ("::", "0.0.0.0"), int(match["port"])  # noqa: S104 - that is what ":9917" asks for


def _format(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
