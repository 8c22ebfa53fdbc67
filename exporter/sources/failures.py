"""What can go wrong between lmwatch and another HTTP server, and the one place where foreign exceptions are translated."""

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import Literal, get_args
from urllib.parse import urlsplit

import requests.exceptions
import urllib3.exceptions

from exporter.errors import TransientError
from exporter.sources.call import Call
from exporter.sources.tls import TlsFilesError

Kind = Literal[
    "timeout",
    "refused",
    "unreachable",
    "reset",
    "dns",
    "tls",
    "proxy",
    "too_large",
    "redirect",
    "protocol",
    "cancelled",
    "credentials",
    "address",
    "local",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

FOREIGN: tuple[type[Exception], ...] = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""Everything that requests, urllib3, http.client, ssl and socket raise on their own."""

_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RESET = (
    ConnectionResetError,
    BrokenPipeError,
    ConnectionAbortedError,
    http.client.RemoteDisconnected,
    http.client.IncompleteRead,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
_TYPES: tuple[tuple[Kind, tuple[type[BaseException], ...]], ...] = (
    ("proxy", (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError, requests.exceptions.InvalidProxyURL)),
    ("dns", (socket.gaierror, urllib3.exceptions.NameResolutionError)),
    ("refused", (ConnectionRefusedError,)),
    ("reset", _RESET),
    (
        "tls",
        (TlsFilesError, ssl.SSLError, ssl.CertificateError, requests.exceptions.SSLError, urllib3.exceptions.SSLError),
    ),
    ("timeout", (TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)),
    ("redirect", (requests.exceptions.TooManyRedirects,)),
    (
        "address",
        (
            requests.exceptions.InvalidURL,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidSchema,
            urllib3.exceptions.LocationValueError,
            http.client.InvalidURL,
        ),
    ),
)
_ADVICE: dict[Kind, str] = {
    "refused": "is the server running, and does it listen on that address and port?",
    "unreachable": "check the address, and the network between here and there",
    "reset": "the server closed the connection before its answer was complete; its log may say why",
    "dns": "check the spelling of the host and the name server of this machine",
    "tls": "check the scheme of the URL, and ca_file, server_name, cert_file and min_version in tls_config",
    "proxy": "check proxy_url, or the proxy that the environment names",
    "protocol": "is this the right port, and the right scheme (http or https)?",
    "local": "this machine has run out of a resource; for open files raise the limit (ulimit -n, LimitNOFILE=)",
}


class HttpError(TransientError):
    """A request that brought no complete answer. The text names the URL and what to do, and holds no secret.

    Attributes:
        kind: what went wrong, from a closed list.
        url: scheme, host, port and path; neither user, password nor query.
    """

    def __init__(self, kind: Kind, url: str, text: str) -> None:
        self.kind: Kind = kind
        self.url = public_url(url)
        super().__init__(f"{self.url}: {text}")


def public_url(url: str) -> str:
    """The URL as it may be shown: without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<URL that cannot be read>"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def translate(error: BaseException, call: Call, url: str) -> HttpError:
    """The HttpError that a foreign exception means for this call."""
    if call.cancelled:
        return HttpError("cancelled", url, "the request was cancelled")
    causes = tuple(_causes(error))
    kind = _kind(causes)
    if kind == "timeout" or call.expired():
        return HttpError(
            "timeout",
            url,
            f"no complete answer within {call.seconds:g} s (got as far as {call.progress()}); "
            "raise the timeout, or see why the server is slow",
        )
    if kind == "address":
        # The foreign text repeats the URL with all that is in it.
        return HttpError("address", url, "this is no http or https URL with a host; correct it in the configuration")
    return HttpError(kind, url, f"{_reason(kind, causes)}; {_ADVICE.get(kind, _ADVICE['protocol'])}")


def is_reset(error: BaseException) -> bool:
    """Whether the other side dropped the connection, as it may do with one that was idle."""
    return _kind(tuple(_causes(error))) == "reset"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything it was made from, breadth first; requests and urllib3 nest in four ways."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        context = None if found.__suppress_context__ else found.__context__
        waiting += [found.__cause__, context, getattr(found, "reason", None), *found.args]


def _kind(causes: tuple[BaseException, ...]) -> Kind:
    # urllib3 derives NewConnectionError, which wraps any failure to connect, from its timeouts.
    causes = tuple(cause for cause in causes if type(cause) is not urllib3.exceptions.NewConnectionError)
    for kind, types in _TYPES:
        if any(isinstance(cause, types) for cause in causes):
            return kind
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    if numbers.intersection(_UNREACHABLE):
        return "unreachable"
    if numbers.intersection(_EXHAUSTED):
        return "local"
    return "protocol"


def _reason(kind: Kind, causes: tuple[BaseException, ...]) -> str:
    """The words of the innermost cause of this kind: the outer layers repeat the URL with its query."""
    types = dict(_TYPES).get(kind, (BaseException,)) if kind != "proxy" else (BaseException,)
    innermost = [cause for cause in causes if isinstance(cause, types)][-1]
    title, words = _TITLES.get(kind, "the answer cannot be used"), _words(innermost) or type(innermost).__name__
    return title if words.lower() == title else f"{title}: {words}"


def _words(error: BaseException) -> str:
    """What an exception says, on one short line and without the headers that some repeat."""
    if isinstance(error, requests.exceptions.InvalidHeader):
        return "a header of the request holds a line break or a leading space"
    if isinstance(error, UnicodeError):
        return "a character that cannot be encoded"
    if isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None) or error.strerror
    else:
        said = getattr(error, "strerror", None) or " ".join(part for part in error.args if isinstance(part, str))
    return "".join(char if char.isprintable() else " " for char in str(said or ""))[:_LONGEST]


_LONGEST = 200
_TITLES: dict[Kind, str] = {
    "refused": "connection refused",
    "unreachable": "the host cannot be reached",
    "reset": "connection lost",
    "dns": "the host name cannot be resolved",
    "tls": "TLS failed",
    "proxy": "the proxy failed",
    "local": "no connection could be opened",
}
