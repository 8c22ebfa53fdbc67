"""Opening websockets to LM Studio's RPC: connection, proxy, TLS, upgrade, identity, as the configuration says."""

import socket
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from exporter import __version__
from exporter.config.model import Server
from exporter.config.secrets import read_secret
from exporter.errors import ConfigError
from exporter.lmstudio.rpc_frames import Namespace, identity_frame
from exporter.lmstudio.rpc_socket import RpcSocket
from exporter.lmstudio.rpc_trouble import WEBSOCKET_ERRORS, Look, RpcError, trouble_in
from exporter.lmstudio.rpc_upgrade import tunnel, upgrade
from exporter.sources.call import CURRENT
from exporter.sources.credentials import authorization_header
from exporter.sources.tls import TlsSettings
from exporter.sources.transport import PlainSocket, TlsSocket, connect

_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_SCHEMES: Mapping[str, str] = {"http": "ws", "https": "wss"}
_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


class Dialer:
    """Opens websockets to one server, as its configuration says: address, token, headers, TLS, proxy."""

    def __init__(self, config: Server) -> None:
        self._config = config
        self._parts = urlsplit(config.url)
        self._tls = TlsSettings(config.tls_config)

    def url(self, namespace: Namespace) -> str:
        """Where a namespace answers."""
        parts = self._parts
        return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path}/{namespace}"

    def open(self, namespace: Namespace, look: Look) -> RpcSocket:
        """A connection that the server has accepted.

        Raises:
            RpcError: there is none.
        """
        url = self.url(namespace)
        token = CURRENT.set(look)
        sock: PlainSocket | TlsSocket | None = None
        try:
            sock = self._connect(url, look)
            resource = f"{self._parts.path}/{namespace}"
            opened = RpcSocket(namespace, url, upgrade(sock, look, resource, self._headers(url), url), sock)
            opened.introduce(identity_frame(self._token()), look)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if isinstance(error, ConfigError):
                raise RpcError("failed", url, str(error)) from None
            if isinstance(error, WEBSOCKET_ERRORS):
                raise trouble_in(error, look, url) from None
            raise
        finally:
            CURRENT.reset(token)
        return opened

    def _connect(self, url: str, look: Look) -> PlainSocket | TlsSocket:
        host, port = _address(self._parts)
        proxy = self._proxy(url, host)
        if proxy is None:
            sock = connect(look, host, port, _OPTIONS)
        else:
            sock = connect(look, *_address(proxy), _OPTIONS)
            try:
                target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                tunnel(sock, look, target, proxy, url)
            except BaseException:
                sock.close()
                raise
        if self._parts.scheme == "http":
            return sock
        try:
            secured = self._tls.context().wrap_socket(sock, server_hostname=self._tls.server_name or host)
        except BaseException:
            sock.close()
            raise
        assert isinstance(secured, TlsSocket)
        return secured

    def _headers(self, url: str) -> dict[str, str]:
        given = {"Host" if name.lower() == "host" else name: value for name, value in self._config.http_headers.items()}
        credentials = authorization_header(self._config, None, url)
        known = {"Authorization": credentials} if credentials is not None else {}
        return {"Host": self._parts.netloc, "User-Agent": f"lmwatch/{__version__}", **given, **known}

    def _token(self) -> str | None:
        """The API token, read anew so that it can be rotated; also one that is given as a bearer token."""
        config = self._config
        if config.api_token_file is not None:
            return read_secret(config.api_token_file)
        if config.api_token is not None:
            return config.api_token.get_secret_value()
        bearer = config.authorization
        if bearer is None or bearer.type.lower() != "bearer":
            return None
        value = bearer.credentials.get_secret_value() if bearer.credentials is not None else None
        value = read_secret(bearer.credentials_file) if bearer.credentials_file is not None else value
        return value if value is not None and value.startswith("sk-lm-") else None

    def _proxy(self, url: str, host: str) -> SplitResult | None:
        """The proxy to go through.

        Raises:
            RpcError: it is one that cannot be used here.
        """
        address = self._config.proxy_url
        if address is None and self._config.proxy_from_environment and not proxy_bypass(host):
            address = getproxies().get(self._parts.scheme)
        if not address:
            return None
        proxy = urlsplit(address if "://" in address else f"http://{address}")
        if proxy.scheme != "http":
            raise RpcError("absent", url, "a websocket can only go through an http proxy; set rpc: off for this server")
        return proxy


def _address(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port if parts.port is not None else _PORTS[parts.scheme]
