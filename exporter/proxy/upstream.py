"""Connections to the server behind the proxy, and what every socket of the proxy is set to."""

import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from exporter.config.model import Server
from exporter.errors import ConfigError, TransientError
from exporter.sources.tls import TlsSettings

CONNECT_SECONDS = 10.0
"""For each address of the server, and again for the TLS handshake."""
_PORTS = {"http": 80, "https": 443}
_KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that vanished without a word is noticed after a minute. The second is what macOS calls the first."""


class UnreachableError(TransientError):
    """There is no connection to the server; the text says why."""


class Upstream:
    """The server behind the proxy.

    The proxy stands in place of scheme, host and port; a path in the server's URL is the clients' business.
    Of the server's configuration only `url` and `tls_config` are used: what clients send goes through as it is, without
    credentials or headers of ours.

    Raises:
        ConfigError: the server is to be reached through another proxy.
    """

    def __init__(self, config: Server) -> None:
        if config.proxy_url is not None:
            raise ConfigError(
                f"proxy: server {config.name!r} has a proxy_url, and what passes unchanged cannot go through another proxy"
            )
        parts = urlsplit(config.url)
        self.name = config.name
        self.url = config.url
        self.host = parts.hostname or ""
        self.port = parts.port or _PORTS[parts.scheme]
        self.base = parts.path
        """The path that all routes of the server begin with; empty for the usual one at the root."""
        self._tls = TlsSettings(config.tls_config) if parts.scheme == "https" else None

    def connect(self) -> socket.socket:
        """A new connection that does not block.

        Raises:
            UnreachableError: there is none to be had.
        """
        try:
            raw = socket.create_connection((self.host, self.port), CONNECT_SECONDS)
        except OSError as error:
            raise self._unreachable(error) from error
        try:
            prepare(raw)
            connected = raw if self._tls is None else self._secure(raw, self._tls)
        except (OSError, ValueError) as error:
            raw.close()
            raise self._unreachable(error) from error
        connected.setblocking(False)
        return connected

    def _secure(self, raw: socket.socket, tls: TlsSettings) -> ssl.SSLSocket:
        context = tls.context()
        # The sockets that this context makes for lmwatch's own calls need the deadline of such a call.
        context.sslsocket_class = ssl.SSLSocket
        return context.wrap_socket(raw, server_hostname=tls.server_name or self.host)

    def _unreachable(self, error: Exception) -> UnreachableError:
        reason = "timed out" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
        return UnreachableError(f"server {self.name!r} at {self.url} cannot be reached: {reason}")


def prepare(connected: socket.socket) -> None:
    """Send each piece at once, and notice a peer that has vanished."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            with suppress(OSError):
                connected.setsockopt(socket.IPPROTO_TCP, option, value)
