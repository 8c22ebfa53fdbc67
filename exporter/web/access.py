"""Who may change something: reload the configuration, hand in alerts."""

import hmac
import logging
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from werkzeug.wrappers import Request

from exporter.config.secrets import read_secret
from exporter.errors import ConfigError

logger = logging.getLogger(__name__)

WEBHOOK_PATH = "/api/v1/alertmanager/webhook"

AUTHENTICATED = "lmwatch.authenticated"
"""Set in a request's environment when the web configuration file demands credentials and the client gave them.
A client cannot set it: its headers arrive with the prefix HTTP_."""

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip")


def may_change(request: Request) -> bool:
    """Whether the caller showed credentials, or runs on this machine.

    A request that a proxy passed on does not count as local, whatever its sender's address. Neither counts one that
    a web page of another origin made somebody's browser send: browsers name the origin when they send a POST.
    """
    if _from_foreign_page(request):
        return False
    return bool(request.environ.get(AUTHENTICATED)) or _is_local(request)


def may_hand_in(request: Request, token: Path | None) -> Literal["yes", "unauthorized", "forbidden"]:
    """Whether the caller may hand in alerts.

    With a token, whoever shows it, or other credentials that the web configuration file demands; without, as `may_change`.

    Args:
        request: of the webhook.
        token: the file with the token; None where there is none.
    """
    if may_change(request) and (token is None or request.environ.get(AUTHENTICATED)):
        return "yes"
    if token is None:
        return "forbidden"
    return "yes" if _shows(request, token) else "unauthorized"


def webhook_bearer(token: Callable[[], Path | None], external_url: str) -> Callable[[Request], bool]:
    """Tells requests to the webhook that show its token: they need no user of the web configuration file.

    Args:
        token: gives the file with the token; None where there is none.
        external_url: its path may stand in front of the webhook's.
    """
    paths = (WEBHOOK_PATH, urlsplit(external_url).path.rstrip("/") + WEBHOOK_PATH)

    def shows_token(request: Request) -> bool:
        file = token()
        return request.method == "POST" and request.path in paths and file is not None and _shows(request, file)

    return shows_token


def _shows(request: Request, token: Path) -> bool:
    """Whether a request carries the token that a file holds; one that cannot be read is shown by nobody."""
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        return False
    try:
        expected = read_secret(token)
    except ConfigError as error:
        logger.error("the webhook answers nobody: %s", error)  # noqa: TRY400 - a message for users
        return False
    return hmac.compare_digest(given.token.encode("utf-8", "surrogatepass"), expected.encode())


def _is_local(request: Request) -> bool:
    # Even the own origin may be a lie on loopback: with DNS rebinding, any name can lead here.
    if "Origin" in request.headers or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _from_foreign_page(request: Request) -> bool:
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] != request.host
