"""The HTTP before a websocket: through a proxy, and the upgrade. RFC 6455, section 4; no redirects, no cookies."""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote

import websocket

from exporter.lmstudio.rpc_trouble import Look, RpcError, Trouble
from exporter.sources.transport import PlainSocket, TlsSocket

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""
_LONGEST_HEAD = 16 * 1024
_DENIED = (401, 403)


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""


def tunnel(sock: PlainSocket, look: Look, target: str, proxy: SplitResult, url: str) -> None:
    """Have an HTTP proxy connect to `target`, a host and port.

    Raises:
        RpcError: it does not.
        OSError: the connection failed.
    """
    look.reach("the proxy")
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    _send_head(sock, lines)
    status = _read_head(sock, url).status
    if status != 200:
        raise RpcError("failed", url, f"the proxy did not connect: status {status}")


def upgrade(
    sock: PlainSocket | TlsSocket, look: Look, resource: str, headers: Mapping[str, str], url: str
) -> websocket.WebSocket:
    """Turn an HTTP connection into a websocket.

    Args:
        sock: the connection to the server.
        look: its deadline.
        resource: the path to ask for.
        headers: to send, `Host` among them.
        url: for errors.

    Raises:
        RpcError: there is no websocket.
        OSError: the connection failed.
    """
    look.reach("the upgrade to a websocket")
    key = base64.b64encode(os.urandom(16)).decode()
    own = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    _send_head(sock, [f"GET {resource} HTTP/1.1", *(f"{name}: {value}" for name, value in {**headers, **own}.items())])
    head = _read_head(sock, url)
    if head.status != 101:
        trouble: Trouble = "failed" if head.status >= 500 else "denied" if head.status in _DENIED else "absent"
        raise RpcError(trouble, url, f"no websocket here: the answer to the upgrade had status {head.status}")
    digest = base64.b64encode(hashlib.sha1((key + _MAGIC).encode(), usedforsecurity=False).digest())
    if not hmac.compare_digest(digest, head.headers.get("sec-websocket-accept", "").encode()):
        raise RpcError("absent", url, "no websocket here: the answer to the upgrade does not fit the question")
    connection = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
    connection.sock = sock
    connection.connected = True
    return connection


def _send_head(sock: PlainSocket | TlsSocket, lines: list[str]) -> None:
    sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))


def _read_head(sock: PlainSocket | TlsSocket, url: str) -> _Head:
    """Status and headers of an answer, and not a byte more: what follows is not HTTP.

    Raises:
        RpcError: it is no HTTP.
        ConnectionResetError: the connection ended.
        OSError: it failed.
    """
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        if len(head) > _LONGEST_HEAD:
            raise RpcError("absent", url, f"no HTTP: {_LONGEST_HEAD} bytes without the end of the headers")
        byte = sock.recv(1)
        if not byte:
            raise ConnectionResetError("the connection was closed")
        head += byte
    first, *lines = head.decode("latin-1").split("\r\n")
    protocol, status = (*first.split(" ", 2), "")[:2]
    if not protocol.startswith("HTTP/1.") or not (status.isascii() and status.isdecimal() and len(status) == 3):
        raise RpcError("absent", url, f"no HTTP: the answer begins with {first[:40]!r}")
    pairs = (line.partition(":") for line in lines)
    return _Head(int(status), {name.strip().lower(): value.strip() for name, _, value in pairs})
