"""What the web configuration file demands of every request and adds to every answer."""

import logging
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from exporter.errors import ConfigError
from exporter.web.access import AUTHENTICATED
from exporter.web.security import Authenticator
from exporter.web.webconfig import WebConfig

logger = logging.getLogger(__name__)


class Guard:
    """A WSGI application in front of another: credentials first, then the application, the file's headers on top.

    Args:
        app: the other.
        authenticator: knows the users.
        bearer: whether a request shows a token of its own that stands for a user.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        authenticator: Authenticator,
        bearer: Callable[[Request], bool] = lambda _: False,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._bearer = bearer

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; one that cannot be checked is refused, never let through."""
        request = Request(environ)
        try:
            config = self._authenticator.file.current()
            refusal = self._refusal(request, config)
        except ConfigError as error:
            logger.error("every request is refused until the web configuration file is right: %s", error)  # noqa: TRY400 - a message for users
            return _plain("The web configuration file cannot be used; the log says why.\n", 500)(
                environ, start_response
            )

        def with_headers(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, _replaced(headers, config.http_server_config.headers), *rest)

        return (refusal or self._app)(environ, with_headers)

    def _refusal(self, request: Request, config: WebConfig) -> Response | None:
        certified = config.tls_server_config.client_certificate is ssl.CERT_REQUIRED and request.is_secure
        if config.basic_auth_users:
            if not (self._is_known(request) or self._bearer(request)):
                refusal = _plain("Unauthorized\n", 401)
                refusal.headers["WWW-Authenticate"] = 'Basic realm="lmwatch", charset="UTF-8"'
                return refusal
            certified = True
        request.environ[AUTHENTICATED] = certified
        return None

    def _is_known(self, request: Request) -> bool:
        given = request.authorization
        if given is None or given.type != "basic":
            return False
        return self._authenticator.check(given.username or "", given.password or "")


def _replaced(headers: list[tuple[str, str]], ours: dict[Any, str]) -> list[tuple[str, str]]:
    names = {str(name).lower() for name in ours}
    return [pair for pair in headers if pair[0].lower() not in names] + [(str(name), ours[name]) for name in ours]


def _plain(text: str, code: int) -> Response:
    return Response(text, status=code, content_type="text/plain; charset=utf-8")
