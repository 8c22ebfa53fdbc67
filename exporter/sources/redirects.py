"""Where a redirect leads, and what may be shown there."""

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests

from exporter.sources.failures import HttpError, public_url

MAX_REDIRECTS = 10
"""As in Go's HTTP client, and so in Prometheus."""
_PORTS = {"http": 80, "https": 443}
_HARMLESS = frozenset(
    {"user-agent", "accept", "accept-encoding", "accept-language", "x-prometheus-scrape-timeout-seconds"}
)
"""Headers that another origin may see; all others can hold a secret."""
_BODY_HEADERS = ("Content-Length", "Content-Type", "Transfer-Encoding")


@dataclass(frozen=True)
class Hop:
    """A request on its way through redirects."""

    request: requests.PreparedRequest
    followed: int = 0

    @property
    def url(self) -> str:
        """Where this hop goes."""
        return self.request.url or ""


def follow(hop: Hop, response: requests.Response, *, shows_certificate: bool) -> Hop:
    """The request that a redirect asks for.

    Another origin (scheme, host or port; http to https on the standard ports counts as the same) gets neither
    credentials nor a body, and once left, the first origin does not get them again either.

    Raises:
        HttpError: kind `redirect`: too many, not http, or it would show a body or a client certificate elsewhere.
    """
    if hop.followed >= MAX_REDIRECTS:
        raise HttpError(
            "redirect", hop.url, f"more than {MAX_REDIRECTS} redirects in a row; correct the URL in the configuration"
        )
    target = _target(hop.url, response.headers["Location"])
    request = hop.request.copy()
    request.prepare_url(target, None)
    if response.status_code == 303 or (response.status_code in (301, 302) and request.method == "POST"):
        request.method = "GET"
        request.body = None
        for name in _BODY_HEADERS:
            request.headers.pop(name, None)
    if not _same_origin(hop.url, target):
        if request.body is not None:
            raise HttpError(
                "redirect", hop.url, f"redirects what was sent to {public_url(target)}; name that URL if it is right"
            )
        if shows_certificate:
            raise HttpError(
                "redirect",
                hop.url,
                f"redirects to {public_url(target)}, where the client certificate must not be shown; name that URL if it is right",
            )
        for name in [name for name in request.headers if name.lower() not in _HARMLESS]:
            del request.headers[name]
    return Hop(request, hop.followed + 1)


def _target(url: str, location: str) -> str:
    # http.client reads headers as latin-1; what servers send is UTF-8.
    target = urljoin(url, location.encode("latin-1").decode("utf-8", "replace"))
    if urlsplit(target).scheme not in _PORTS:
        raise HttpError("redirect", url, f"redirects to {public_url(target)}, which is neither http nor https")
    return target


def _same_origin(old: str, new: str) -> bool:
    before, after = urlsplit(old), urlsplit(new)
    if before.hostname != after.hostname:
        return False
    ports = before.port or _PORTS[before.scheme], after.port or _PORTS[after.scheme]
    upgraded = (before.scheme, after.scheme) == ("http", "https") and ports == (80, 443)
    return upgraded or (before.scheme == after.scheme and ports[0] == ports[1])
