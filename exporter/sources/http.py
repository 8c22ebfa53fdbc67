"""The one HTTP client of lmwatch: deadlines for whole calls, size limits, authentication, TLS, cancelling.

Requests go straight to requests' adapter: a requests Session would keep cookies, believe `.netrc` and read the
body of a redirect whole, however long it is. The environment is never asked, except for a proxy where
`proxy_from_environment` says so.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import requests.utils
from requests.structures import CaseInsensitiveDict

from exporter import __version__
from exporter.config.http import HttpClient
from exporter.sources.call import CURRENT, Call, Cancel
from exporter.sources.credentials import authorization_header
from exporter.sources.failures import FOREIGN, HttpError, Kind, is_reset, translate
from exporter.sources.inflate import Inflater
from exporter.sources.redirects import Hop, follow
from exporter.sources.tls import TlsSettings
from exporter.sources.transport import Adapter

__all__ = ["Answer", "Cancel", "HttpError", "HttpSession", "Kind", "Params", "Stream"]

Params = Mapping[str, str | Sequence[str]]
_READ = 1 << 16
_LONGEST_DEADLINE = 1e9
"""Seconds; sockets take no much larger number."""
_LONGEST_NUMBER = 18
_REDIRECT_BODY = 1 << 16
"""Bytes of a redirect's body that are read to keep its connection; a longer one is not worth it."""


@dataclass(frozen=True)
class Answer:
    """A complete answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Case does not matter in names."""
    body: bytes
    """Decoded: no longer gzip."""
    url: str
    """Where the answer came from, after redirects; may hold a query."""
    elapsed_seconds: float


class Stream:
    """An answer whose body arrives bit by bit."""

    def __init__(self, response: requests.Response, call: Call) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url: str = response.url
        self._response = response
        self._call = call

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the call started."""
        return self._call.elapsed()

    def chunks(self) -> Iterator[bytes]:
        """The decoded body as it arrives: each piece as soon as it is there, without waiting for more. To be read once.

        Raises:
            HttpError: the deadline passed, the connection broke, the call was cancelled, the encoding is broken.
        """
        try:
            inflater = Inflater(self.headers.get("Content-Encoding", ""))
            self._call.left()
            while data := self._response.raw.read1(_READ, decode_content=False):
                for piece in inflater.feed(data):
                    if piece:
                        yield piece
                self._call.left()
            if self._call.cancelled:
                raise ConnectionAbortedError("cancelled")
            inflater.finish()
        except FOREIGN as error:
            raise translate(error, self._call, self.url) from None

    def read(self, max_bytes: int) -> bytes:
        """The body up to `max_bytes`, for error texts; what lies beyond is left unread.

        Raises:
            HttpError: as `chunks`.
        """
        parts: list[bytes] = []
        size = 0
        for piece in self.chunks():
            parts.append(piece)
            size += len(piece)
            if size >= max_bytes:
                break
        return b"".join(parts)[:max_bytes]


class HttpSession:
    """Connections to any number of servers under one `http_config`. Safe to use from many threads.

    Args:
        settings: authentication, TLS, proxy, headers.
        authorization: gives the Authorization header at each request, in place of what `settings` says.
        user_agent: what lmwatch calls itself.
        pool_size: idle connections kept to each host. They are kept to as many hosts as a quarter of the open files
            that the system allows; the least recently used host gives way.
    """

    def __init__(
        self,
        settings: HttpClient,
        *,
        authorization: Callable[[], str] | None = None,
        user_agent: str = f"lmwatch/{__version__}",
        pool_size: int = 8,
    ) -> None:
        self._settings = settings
        self._authorization = authorization
        self._user_agent = user_agent
        self._tls = TlsSettings(settings.tls_config)
        self._adapter = Adapter(self._tls, per_host=pool_size)

    def get(
        self,
        url: str,
        *,
        deadline_seconds: float,
        max_bytes: int,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        cancel: Cancel | None = None,
    ) -> Answer:
        """Fetch a URL, following redirects where the settings allow it.

        Args:
            url: http or https.
            deadline_seconds: for everything: name, connection, TLS, redirects, headers and body.
            max_bytes: of the decoded body; 0 is no limit.
            params: query parameters.
            headers: further headers; they win over the settings' `http_headers`.
            cancel: ends the call from another thread.

        Returns:
            The answer, also one with a status like 404 or 503.

        Raises:
            HttpError: there was no complete answer.
        """
        with self._open("GET", url, deadline_seconds, cancel, params=params, headers=headers) as stream:
            return _collect(stream, max_bytes)

    def post(
        self,
        url: str,
        *,
        deadline_seconds: float,
        max_bytes: int,
        json: Any = None,
        data: Mapping[str, str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cancel: Cancel | None = None,
    ) -> Answer:
        """Send a JSON document, a form (a mapping) or bytes; arguments and errors as in `get`."""
        with self._open("POST", url, deadline_seconds, cancel, json=json, data=data, headers=headers) as stream:
            return _collect(stream, max_bytes)

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        deadline_seconds: float,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Stream]:
        """Open an answer to read while it arrives. Leaving the block early closes the connection.

        The deadline covers the stream to its end. Compression is not asked for, as it delays what is small.

        Raises:
            HttpError: there was no answer.
        """
        plain = {"Accept-Encoding": "identity", **(headers or {})}
        with self._open(method, url, deadline_seconds, cancel, json=json, data=data, headers=plain) as stream:
            yield stream

    def close(self) -> None:
        """Close idle connections; those in use close when their call ends."""
        self._adapter.close()

    @contextlib.contextmanager
    def _open(
        self,
        method: str,
        url: str,
        deadline_seconds: float,
        cancel: Cancel | None,
        **content: Any,
    ) -> Iterator[Stream]:
        if not deadline_seconds < _LONGEST_DEADLINE:
            raise ValueError("deadline_seconds must be a number of seconds below 1e9")
        call = Call(deadline_seconds, cancel)
        try:
            response = self._request(call, method, url, content)
            try:
                yield Stream(response, call)
            finally:
                # After a body that was read whole the connection is back in the pool already, and this does nothing.
                response.raw.close()
        finally:
            call.finish()

    def _request(self, call: Call, method: str, url: str, content: Mapping[str, Any]) -> requests.Response:
        """Send the request and follow redirects, up to the headers of the final answer."""
        hop = self._first_hop(call, method, url, content)
        while True:
            try:
                response = self._send(call, hop.request)
                if not (self._settings.follow_redirects and response.is_redirect):
                    return response
                _drain(response)
                hop = follow(hop, response, shows_certificate=self._tls.shows_certificate)
            except FOREIGN as error:
                raise translate(error, call, hop.url) from None

    def _first_hop(self, call: Call, method: str, url: str, content: Mapping[str, Any]) -> Hop:
        headers = CaseInsensitiveDict({"User-Agent": self._user_agent, "Accept": "*/*", "Accept-Encoding": "gzip"})
        headers.update(self._settings.http_headers)
        headers.update(content.get("headers") or {})
        credentials = authorization_header(self._settings, self._authorization, url)
        if credentials is not None:
            headers["Authorization"] = credentials
        try:
            request = requests.Request(method.upper(), url, **{**content, "headers": headers}).prepare()
        except FOREIGN as error:
            raise translate(error, call, url) from None
        return Hop(request)

    def _send(self, call: Call, request: requests.PreparedRequest) -> requests.Response:
        """Up to the headers of the answer; once more where an idle connection turns out to be closed."""
        token = CURRENT.set(call)
        try:
            try:
                return self._exchange(call, request)
            except FOREIGN as error:
                lost = call.reused and call.received == 0 and request.method == "GET" and is_reset(error)
                if not lost or call.cancelled:
                    raise
            return self._exchange(call, request)
        finally:
            CURRENT.reset(token)

    def _exchange(self, call: Call, request: requests.PreparedRequest) -> requests.Response:
        call.reused = True
        call.received = 0
        return self._adapter.send(request, stream=True, timeout=call.left(), proxies=self._proxies(request.url or ""))

    def _proxies(self, url: str) -> dict[str, str]:
        if self._settings.proxy_url is not None:
            return {"http": self._settings.proxy_url, "https": self._settings.proxy_url}
        if self._settings.proxy_from_environment:
            return requests.utils.get_environ_proxies(url)
        return {}


def _collect(stream: Stream, max_bytes: int) -> Answer:
    announced = stream.headers.get("Content-Length", "")[:_LONGEST_NUMBER]
    if max_bytes and announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(stream.url, max_bytes)
    body = bytearray()
    for piece in stream.chunks():
        body += piece
        if max_bytes and len(body) > max_bytes:
            raise _too_large(stream.url, max_bytes)
    return Answer(stream.status, stream.headers, bytes(body), stream.url, stream.elapsed_seconds)


def _too_large(url: str, max_bytes: int) -> HttpError:
    return HttpError(
        "too_large", url, f"the answer is longer than the limit of {max_bytes} bytes; raise the limit if that is right"
    )


def _drain(response: requests.Response) -> None:
    read = 0
    while read < _REDIRECT_BODY and (data := response.raw.read1(_READ, decode_content=False)):
        read += len(data)
    response.raw.close()
