"""The head of an HTTP/1.1 message, and how the body behind it is delimited (RFC 9112, sections 2 to 6)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from exporter.errors import BadDataError

_DIGITS = re.compile(r"[0-9]{1,18}")
_VERSION = re.compile(r"HTTP/1\.[0-9]")
_STATUS = re.compile(r"[1-9][0-9]{2}")


class FramingError(BadDataError):
    """Bytes that are no HTTP/1: where messages end from here on cannot be told."""


class Delimiter(Enum):
    """How the end of a body is found, where it is not by its length."""

    CHUNKED = "chunked"
    CLOSE = "close"
    """The body lasts until the connection is closed."""
    TUNNEL = "tunnel"
    """What follows is no HTTP any more, in both directions."""


BodyLength = int | Delimiter


@dataclass(frozen=True, slots=True)
class Head:
    """The first line in its three parts, and the headers with names in lower case; repeated ones joined by commas."""

    first: tuple[str, str, str]
    headers: Mapping[str, str]


def parse_head(data: bytes) -> Head:
    """Read a head, given without the empty line that ends it.

    Raises:
        FramingError: the first line has no three parts.
    """
    lines = data.decode("latin-1").replace("\r\n", "\n").split("\n")
    parts = lines[0].split(" ", 2)
    if len(parts) < 2:
        raise FramingError("a message begins with a line that is no HTTP")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return Head((parts[0], parts[1], parts[2] if len(parts) == 3 else ""), headers)


def request_body(head: Head) -> BodyLength:
    """How the body of a request is delimited.

    Raises:
        FramingError: it is no HTTP/1 request, or its headers contradict each other.
    """
    if not _VERSION.fullmatch(head.first[2]):
        raise FramingError("a request of another version than HTTP/1")
    coding = head.headers.get("transfer-encoding")
    if coding is None:
        return _content_length(head) or 0
    if not _ends_chunked(coding):
        raise FramingError("a request whose last transfer coding is not chunked has no end")
    return Delimiter.CHUNKED


def answer_body(head: Head, method: str) -> BodyLength:
    """How the body of an answer is delimited.

    Args:
        head: of the answer.
        method: of the request that it answers.

    Raises:
        FramingError: it is no HTTP/1 answer, or its headers contradict each other.
    """
    status = answer_status(head)
    if status == 101 or (method == "CONNECT" and 200 <= status < 300):
        return Delimiter.TUNNEL
    if method == "HEAD" or status < 200 or status in (204, 304):
        return 0
    coding = head.headers.get("transfer-encoding")
    if coding is not None:
        return Delimiter.CHUNKED if _ends_chunked(coding) else Delimiter.CLOSE
    length = _content_length(head)
    return Delimiter.CLOSE if length is None else length


def answer_status(head: Head) -> int:
    """The status code of an answer.

    Raises:
        FramingError: it is no HTTP/1 answer.
    """
    if not _VERSION.fullmatch(head.first[0]) or not _STATUS.fullmatch(head.first[1]):
        raise FramingError("an answer that does not begin with an HTTP/1 status")
    return int(head.first[1])


def ends_connection(head: Head) -> bool:
    """Whether the connection is to be closed after this message and its answer, by the word of its sender."""
    options = {option.strip().lower() for option in head.headers.get("connection", "").split(",")}
    if "HTTP/1.0" in (head.first[0], head.first[2]):
        return "keep-alive" not in options
    return "close" in options


def _ends_chunked(coding: str) -> bool:
    return coding.rpartition(",")[2].strip().lower() == "chunked"


def _content_length(head: Head) -> int | None:
    given = head.headers.get("content-length")
    if given is None:
        return None
    lengths = {length.strip() for length in given.split(",")}
    length = lengths.pop()
    if lengths or not _DIGITS.fullmatch(length):
        raise FramingError("a Content-Length that is no length")
    return int(length)
