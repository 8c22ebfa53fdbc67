"""The WSGI application: finds who answers an address, and says how errors look."""

import logging
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable
from werkzeug.routing import Map
from werkzeug.wrappers import Request, Response

from exporter.errors import LmwatchError
from exporter.web import answers
from exporter.web.api_routes import ApiRoutes
from exporter.web.deps import WebDeps
from exporter.web.operations import Operations
from exporter.web.page_routes import PageRoutes
from exporter.web.pages import Pages
from exporter.web.windows import Windows

logger = logging.getLogger(__name__)

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(deps: WebDeps) -> WSGIApplication:
    """The WSGI application over these parts."""
    return Application(deps)


class Application:
    """Every address of lmwatch.

    Attributes:
        routes: which addresses there are.
    """

    def __init__(self, deps: WebDeps) -> None:
        self._prefix = urlsplit(deps.external_url).path.rstrip("/")
        windows = Windows(deps.groups)
        self._pages = Pages(windows, deps.clock, self._prefix)
        parts = (PageRoutes(deps, self._pages, self._prefix), ApiRoutes(deps, windows), Operations(deps))
        self.routes = Map([rule for part in parts for rule in part.rules()], merge_slashes=False)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        # A proxy may pass the path of the external URL on, or cut it off.
        path = environ.get("PATH_INFO", "")
        if self._prefix and f"{path}/".startswith(f"{self._prefix}/"):
            environ = {**environ, "PATH_INFO": path.removeprefix(self._prefix) or "/"}
        request = Request(environ)
        response = self._respond(request)
        for name, value in _SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        try:
            endpoint, arguments = self.routes.bind_to_environ(request.environ).match()
            answer: Response = endpoint(request, **arguments)
        except HTTPException as error:
            return self._error(request, error)
        except LmwatchError as error:
            logger.warning("cannot answer %s %s: %s", request.method, request.path, error)
            return self._error(request, ServiceUnavailable(str(error)))
        except Exception:
            # The last resort: the caller learns that it failed, the log learns why.
            logger.exception("cannot answer %s %s", request.method, request.path)
            return self._error(request, InternalServerError("lmwatch failed to answer; its log says why"))
        return answer

    def _error(self, request: Request, error: HTTPException) -> Response:
        code, text = error.code or 500, error.description or error.name
        if request.path.startswith("/api/"):
            response = answers.failure(code, text)
        elif "text/html" in request.headers.get("Accept", ""):
            response = answers.html(self._pages.error(code, error.name, text), code)
        else:
            response = answers.text(f"{text}\n", code)
        # What HTTP prescribes beside the body: Allow with 405.
        for name, value in error.get_headers(request.environ):
            if name != "Content-Type":
                response.headers[name] = value
        return response
