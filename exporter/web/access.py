"""Who may change something: reload the configuration, hand in alerts."""

from ipaddress import ip_address

from werkzeug.wrappers import Request

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
