"""The WSGI application: which address answers with what, and how errors look."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError, NotFound, ServiceUnavailable
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from exporter.alerting.alert import Alert
from exporter.alerting.document import shown
from exporter.board import Board
from exporter.clock import Clock, SystemClock
from exporter.errors import LmwatchError
from exporter.metrics.exposition import Exposition
from exporter.screening.result import ScreenedGroup
from exporter.web import api
from exporter.web.access import WEBHOOK_PATH, may_change, may_hand_in
from exporter.web.pages import Pages
from exporter.web.verdicts import Happened, Kept, newest_for
from exporter.web.views import Windows

logger = logging.getLogger(__name__)

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STATIC_TYPES = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
_LANDING_VERDICTS = 8
_LANDING_EVENTS = 5
_WATCH_VERDICTS = 20
_SEARCHED = 200
"""Newest verdicts of a watch that are searched for one on a group that is no longer on the board."""
_LONGEST_NOTIFICATION = 4 * 1024**2
"""Bytes: about 4,000 alerts. Alertmanager's max_alerts keeps a notification short."""


class VerdictStore(Protocol):
    """The part of the journal that is read here."""

    def get(self, name: str, /) -> Kept | None:
        """The verdict of this id, or None."""
        ...

    def list(
        self,
        *,
        watch: str | None = None,
        since: float | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> Sequence[Kept]:
        """Verdicts, the newest first; `before` is the id of the last one of the page before."""
        ...

    def events(self, *, server: str | None = None, since: float | None = None, limit: int = 100) -> Sequence[Happened]:
        """What happened to servers, the newest first."""
        ...


def _no_groups(_watch: str) -> Sequence[ScreenedGroup]:
    return ()


def _no_webhook(_body: bytes) -> tuple[int, str]:
    return 404, "there is no webhook"


@dataclass(frozen=True)
class WebDeps:
    """What the application needs of the rest."""

    board: Callable[[], Board]
    exposition: Exposition
    journal: VerdictStore
    reload: Callable[[], None]
    """Reads the configuration again; raises LmwatchError when it cannot be used."""
    config_text: Callable[[], str]
    """The running configuration as YAML, without secrets."""
    groups: Callable[[str], Sequence[ScreenedGroup]] = _no_groups
    """The groups of a watch with the histories of their most anomalous series."""
    alerts: Callable[[], Sequence[Alert]] = tuple
    """The alerts that are pending or firing."""
    webhook: Callable[[bytes], tuple[int, str]] = _no_webhook
    """Takes the body of a notification; gives the status of the answer and its text."""
    webhook_token: Callable[[], Path | None] = lambda: None
    """The file with the bearer token of the webhook."""
    notifications: Callable[[int], Sequence[Mapping[str, Any]]] = lambda _: ()
    """What came in by webhook, the newest first, at most so many."""
    external_url: str = ""
    """Under which address people reach lmwatch; its path goes in front of every link."""
    clock: Clock = field(default_factory=SystemClock)


def create_app(deps: WebDeps) -> WSGIApplication:
    """The WSGI application over these parts."""
    return _Application(deps)


class _Application:
    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._windows = Windows(deps.groups)
        self._prefix = urlsplit(deps.external_url).path.rstrip("/")
        self._pages = Pages(self._windows, deps.clock, self._prefix)
        self._static = {
            name: resources.files(__package__).joinpath("static", name).read_bytes() for name in _STATIC_TYPES
        }
        self._routes = Map(
            [
                Rule("/", endpoint=self._landing, methods=["GET"]),
                Rule("/watches/<name>", endpoint=self._watch, methods=["GET"]),
                Rule("/verdicts/latest", endpoint=self._latest_verdict, methods=["GET"]),
                Rule("/verdicts/<id>", endpoint=self._verdict, methods=["GET"]),
                Rule("/config", endpoint=self._config, methods=["GET"]),
                Rule("/docs/metrics", endpoint=self._metrics_explained, methods=["GET"]),
                Rule("/docs/runbooks", endpoint=self._runbooks, methods=["GET"]),
                Rule("/static/<name>", endpoint=self._static_file, methods=["GET"]),
                Rule("/metrics", endpoint=self._metrics, methods=["GET"]),
                Rule("/-/healthy", endpoint=self._healthy, methods=["GET"]),
                Rule("/-/ready", endpoint=self._ready, methods=["GET"]),
                Rule("/-/reload", endpoint=self._reload, methods=["POST", "PUT"]),
                Rule("/api/v1/status", endpoint=self._api_status, methods=["GET"]),
                Rule("/api/v1/verdicts", endpoint=self._api_verdicts, methods=["GET"]),
                Rule("/api/v1/verdicts/<id>", endpoint=self._api_verdict, methods=["GET"]),
                Rule("/api/v1/events", endpoint=self._api_events, methods=["GET"]),
                Rule("/api/v1/alerts", endpoint=self._api_alerts, methods=["GET"]),
                Rule("/api/v1/notifications", endpoint=self._api_notifications, methods=["GET"]),
                Rule("/api/v2/alerts", endpoint=self._no_alertmanager, methods=["POST"]),
                Rule(WEBHOOK_PATH, endpoint=self._webhook, methods=["POST"]),
            ],
            merge_slashes=False,
        )

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
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
            endpoint, arguments = self._routes.bind_to_environ(request.environ).match()
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
            response = api.failure(code, text)
        elif "text/html" in request.headers.get("Accept", ""):
            response = _html(self._pages.error(code, error.name, text), code)
        else:
            response = _text(f"{text}\n", code)
        # What HTTP prescribes beside the body: Allow with 405.
        for name, value in error.get_headers(request.environ):
            if name != "Content-Type":
                response.headers[name] = value
        return response

    def _landing(self, _request: Request) -> Response:
        verdicts = self._latest(limit=_LANDING_VERDICTS)
        events = self._deps.journal.events(limit=_LANDING_EVENTS) if verdicts is not None else ()
        came_in = self._deps.notifications(_LANDING_EVENTS) if verdicts is not None else ()
        return _html(self._pages.landing(self._deps.board(), verdicts, events, came_in))

    def _watch(self, _request: Request, name: str) -> Response:
        picture = self._deps.board().watches.get(name)
        if picture is None:
            raise NotFound(f"there is no watch named {name!r}, or it was not screened yet")
        return _html(self._pages.watch(picture, self._latest(watch=name, limit=_WATCH_VERDICTS)))

    def _latest(self, limit: int, watch: str | None = None) -> Sequence[Kept] | None:
        try:
            return self._deps.journal.list(watch=watch, limit=limit)
        except LmwatchError as error:
            # The rest of the page is worth showing without them.
            logger.warning("cannot read verdicts: %s", error)
            return None

    def _verdict(self, _request: Request, id: str) -> Response:  # noqa: A002 - the word in the address
        return _html(self._pages.verdict(self._kept(id)))

    def _latest_verdict(self, request: Request) -> Response:
        """Where the link of an alert leads: it knows the watch and the labels of a series or a group, not the verdict."""
        watch = request.args.get("watch", "")
        if not watch:
            raise BadRequest("name the watch, and the labels of the group: /verdicts/latest?watch=NAME&instance=…")
        picture = self._deps.board().watches.get(watch)
        present = picture.verdicts.values() if picture is not None else ()
        name = newest_for(request.args, present) or newest_for(request.args, self._latest(_SEARCHED, watch) or ())
        page = f"/verdicts/{quote(name, safe='')}" if name else f"/watches/{quote(watch, safe='')}"
        return Response(status=302, headers={"Location": f"{self._prefix}{page}"})

    def _kept(self, name: str) -> Kept:
        kept = self._deps.journal.get(name)
        if kept is None:
            raise NotFound(f"there is no verdict {name!r}; the journal keeps them for its retention time only")
        return kept

    def _config(self, _request: Request) -> Response:
        return _text(self._deps.config_text())

    def _metrics_explained(self, _request: Request) -> Response:
        return _html(self._pages.metrics_explained())

    def _runbooks(self, _request: Request) -> Response:
        return _html(self._pages.runbooks())

    def _static_file(self, _request: Request, name: str) -> Response:
        if name not in self._static:
            raise NotFound
        response = Response(self._static[name], content_type=_STATIC_TYPES[name])
        response.headers["Cache-Control"] = "max-age=3600"
        return response

    def _metrics(self, request: Request) -> Response:
        accept, encoding = request.headers.get("Accept", ""), request.headers.get("Accept-Encoding", "")
        status, headers, body = self._deps.exposition.respond(accept, encoding, request.args.getlist("name[]"))
        return Response(body, status=status, headers=headers)

    def _healthy(self, _request: Request) -> Response:
        return _text("lmwatch is healthy.\n")

    def _ready(self, _request: Request) -> Response:
        board = self._deps.board()
        if board.ready:
            return _text("lmwatch is ready.\n")
        polled, collected = len(board.servers), len(board.sources)
        return _text(
            f"lmwatch is not ready: waiting for the first polls; {polled} servers and {collected} targets have been tried so far.\n",
            503,
        )

    def _reload(self, request: Request) -> Response:
        if not may_change(request):
            return _text(
                "Refused: reloading needs authentication (--web.config.file with basic_auth_users), or a caller on this machine.\n",
                403,
            )
        try:
            self._deps.reload()
        except LmwatchError as error:
            return _text(f"The configuration was not reloaded: {error}\n", 500)
        return _text("The configuration was reloaded.\n")

    def _api_status(self, _request: Request) -> Response:
        return api.success(api.status(self._deps.board()))

    def _api_verdicts(self, request: Request) -> Response:
        found = self._deps.journal.list(**api.verdict_query(request))
        return api.success([kept.document for kept in found])

    def _api_verdict(self, _request: Request, id: str) -> Response:  # noqa: A002 - the word in the address
        return api.success(self._kept(id).document)

    def _api_events(self, request: Request) -> Response:
        found = self._deps.journal.events(**api.event_query(request))
        return api.success([api.event(happened) for happened in found])

    def _api_alerts(self, _request: Request) -> Response:
        return api.success({"alerts": [shown(alert) for alert in self._deps.alerts()]})

    def _api_notifications(self, request: Request) -> Response:
        return api.success(self._deps.notifications(api.limit_of(request)))

    def _no_alertmanager(self, _request: Request) -> Response:
        return api.failure(
            404,
            f"lmwatch is no Alertmanager: let Prometheus send to one, and a webhook_configs receiver of that to {WEBHOOK_PATH}",
        )

    def _webhook(self, request: Request) -> Response:
        request.max_content_length = _LONGEST_NOTIFICATION
        match may_hand_in(request, self._deps.webhook_token()):
            case "unauthorized":
                refusal = api.failure(401, "show the token of alerting.webhook.token_file, as Authorization: Bearer")
                refusal.headers["WWW-Authenticate"] = 'Bearer realm="lmwatch"'
                return refusal
            case "forbidden":
                return api.failure(
                    403,
                    "the webhook needs alerting.webhook.token_file, or users in the web configuration file, or a caller on this machine",
                )
        status, text = self._deps.webhook(request.get_data(cache=False))
        return api.success(text) if status == 200 else api.failure(status, text)


def _html(page: str, code: int = 200) -> Response:
    return Response(page, status=code, content_type="text/html; charset=utf-8")


def _text(text: str, code: int = 200) -> Response:
    return Response(text, status=code, content_type="text/plain; charset=utf-8")
