"""requests' adapter over urllib3 connections, with every socket operation held to the deadline of the call."""

import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from exporter.sources.call import CURRENT, Call

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from exporter.sources.tls import TlsSettings


class PlainSocket(socket.socket):
    """A TCP socket that gives each operation only what is left of its call."""

    call: Call

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """Receive into a buffer."""
        self.settimeout(self.call.left())
        count = super().recv_into(buffer, nbytes, flags)
        self.call.received += count
        return count

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Receive up to `bufsize` bytes."""
        self.settimeout(self.call.left())
        data = super().recv(bufsize, flags)
        self.call.received += len(data)
        return data

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """Send everything."""
        self.settimeout(self.call.left())
        super().sendall(data, flags)


class TlsSocket(ssl.SSLSocket):
    """A TLS socket that gives each operation, the handshake too, only what is left of its call."""

    call: Call

    def do_handshake(self, block: bool = False) -> None:
        """Perform the TLS handshake; the wrapped socket's file descriptor is this object's since a moment ago."""
        adopt(self, CURRENT.get())
        self.call.reach("the TLS handshake")
        self.settimeout(self.call.left())
        super().do_handshake(block)

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0) -> int:
        """Receive into a buffer."""
        self.settimeout(self.call.left())
        count = super().recv_into(buffer, nbytes, flags)
        self.call.received += count
        return count

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive up to `buflen` bytes."""
        self.settimeout(self.call.left())
        data = super().recv(buflen, flags)
        self.call.received += len(data)
        return data

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        """Send some; `sendall` is made of this."""
        self.settimeout(self.call.left())
        return super().send(data, flags)


def adopt(sock: Any, call: Call) -> None:
    """Put a socket, also one under a TLS-in-TLS transport, on a call's deadline."""
    base = getattr(sock, "socket", sock)
    base.call = call
    call.on(base)


def connect(call: Call, host: str, port: int, options: Any) -> PlainSocket:
    """A connected socket; of several addresses each gets its share of the time that is left.

    Raises:
        OSError: the last address' failure.
    """
    addresses = call.resolve(host, port)
    call.reach(f"connecting to {host}:{port}")
    failure: OSError = OSError("the name has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = PlainSocket(family, kind, protocol)
        try:
            adopt(sock, call)
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(call.left() / (len(addresses) - tried))
            sock.connect(address)
            call.left()
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


class _Connecting(HTTPConnection):
    """What both kinds of connection do differently from urllib3's."""

    def _new_conn(self) -> socket.socket:
        call = CURRENT.get()
        call.reused = False
        try:
            return connect(call, self._dns_host.strip("[]"), int(self.port), self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "timed out") from error
        except OSError as error:
            raise NewConnectionError(self, "failed") from error

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request; a connection from the pool changes over to the present call first."""
        call = CURRENT.get()
        call.received = 0
        if self.sock is not None:
            adopt(self.sock, call)
            call.reach("sending the request")
        super().request(*args, **kwargs)
        call.reach("waiting for the first byte")


class PlainConnection(_Connecting):
    """An HTTP connection."""


class TlsConnection(_Connecting, HTTPSConnection):
    """An HTTPS connection."""


class PlainPool(HTTPConnectionPool):
    """The connections to one HTTP host."""

    ConnectionCls = PlainConnection


class TlsPool(HTTPSConnectionPool):
    """The connections to one HTTPS host."""

    ConnectionCls = TlsConnection

    def _validate_conn(self, conn: Any) -> None:
        # urllib3's own also warns at each request with insecure_skip_verify, which the user chose in the configuration.
        if conn.is_closed:
            conn.connect()


_MOST_HOSTS = 4096
_POOLS = {"http": PlainPool, "https": TlsPool}


class Adapter(requests.adapters.HTTPAdapter):
    """Hands requests to the connections above, with the TLS context of the configuration."""

    def __init__(self, tls: "TlsSettings", *, per_host: int) -> None:
        self._tls = tls
        super().__init__(pool_connections=_affordable_hosts(), pool_maxsize=per_host)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        """Called by the base class."""
        self.poolmanager = urllib3.PoolManager(num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Called by the base class for the proxy that a request goes through."""
        if not proxy.lower().startswith(("http://", "https://")):
            raise requests.exceptions.InvalidProxyURL("only http and https proxies are supported")
        if proxy.lower().startswith("https://"):
            proxy_kwargs["proxy_ssl_context"] = self._tls.context()
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """The pool's key: a new TLS context, after its files changed, makes new connections."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] != "https":
            return host, {}
        name = {"server_hostname": self._tls.server_name} if self._tls.server_name else {}
        return host, {"ssl_context": self._tls.context(), **name}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to do: the base class would replace what the TLS context says."""


def _affordable_hosts() -> int:
    """Hosts that an idle connection may be kept to, so that three quarters of the open files stay free."""
    if sys.platform == "win32":
        return _MOST_HOSTS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_HOSTS if files == resource.RLIM_INFINITY else max(1, min(_MOST_HOSTS, files // 4))
