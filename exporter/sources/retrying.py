"""What an answer says about asking again: whether that may help, and how long to wait before it. Pure."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 120.0
"""For which a server may put us off: rules that count failures within 5 minutes have to see that they go on."""

_FOR_LATER = frozenset({408, 425, 429})
"""Request Timeout, Too Early, Too Many Requests: the refusals that are about the moment and not about the request."""


def may_help(status: int) -> bool:
    """Whether the same request may be accepted later."""
    return status >= 500 or status in _FOR_LATER


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server wants to be left alone, 0 to `LONGEST_SECONDS`; 0 where it names no time that can be read.

    `Retry-After` (RFC 9110, 10.2.3) holds seconds or a date. A date is compared with the server's own `Date`, so that it
    does not matter how our clocks differ.
    """
    given = headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdecimal():
        return min(float(given[:18]), LONGEST_SECONDS)
    try:
        until, now = (parsedate_to_datetime(text) for text in (given, headers.get("Date", "")))
        return min(max(0.0, (until - now).total_seconds()), LONGEST_SECONDS)
    except (TypeError, ValueError):  # no date, or one without its zone
        return 0.0
