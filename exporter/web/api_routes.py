"""The endpoints of the JSON API."""

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from exporter.alerting.document import shown
from exporter.errors import TransientError
from exporter.lmstudio.client import request_body
from exporter.reasoning.document import request_of
from exporter.web import answers, api
from exporter.web.access import WEBHOOK_PATH, may_hand_in
from exporter.web.deps import WebDeps
from exporter.web.openapi import description
from exporter.web.query import VerdictQuery, instant, limit_of
from exporter.web.reading import Reading
from exporter.web.revision import revision
from exporter.web.watchviews import SeriesQuery, watch_detail
from exporter.web.windows import Windows

_LONGEST_NOTIFICATION = 4 * 1024**2
"""Bytes: about 4,000 alerts. Alertmanager's max_alerts keeps a notification short."""
_NOT_STREAMED = frozenset({"stream", "stream_options"})


class ApiRoutes:
    """Answers programs.

    Args:
        deps: what is answered from.
        windows: where histories come from.
    """

    def __init__(self, deps: WebDeps, windows: Windows) -> None:
        self._deps = deps
        self._windows = windows
        self._reading = Reading(deps)

    def rules(self) -> list[Rule]:
        """Which address is answered by what."""
        gets = {
            "/api/v1/status": self._status,
            "/api/v1/status/config": self._config,
            "/api/v1/watches/<name>": self._watch,
            "/api/v1/servers/<name>": self._server,
            "/api/v1/verdicts": self._verdicts,
            "/api/v1/verdicts/<id>": self._verdict,
            "/api/v1/verdicts/<id>/request": self._request,
            "/api/v1/events": self._events,
            "/api/v1/alerts": self._alerts,
            "/api/v1/notifications": self._notifications,
            "/api/v1/openapi.json": self._openapi,
        }
        posts = {"/api/v2/alerts": self._no_alertmanager, WEBHOOK_PATH: self._webhook}
        return [
            *(Rule(path, endpoint=endpoint, methods=["GET"]) for path, endpoint in gets.items()),
            *(Rule(path, endpoint=endpoint, methods=["POST"]) for path, endpoint in posts.items()),
        ]

    def _status(self, request: Request) -> Response:
        board = self._deps.board()
        newest = next(iter(self._reading.latest(1) or ()), None)
        tag = revision(board, newest.id if newest else "", self._deps.alerts())
        if request.if_none_match.contains_weak(tag):
            answer = Response(status=304)
        else:
            answer = answers.success(api.status(board, newest.document if newest else None))
        answer.set_etag(tag, weak=True)
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    def _config(self, _request: Request) -> Response:
        return answers.success({"yaml": self._deps.config_text()})

    def _watch(self, request: Request, name: str) -> Response:
        detail = watch_detail(self._reading.picture(name), self._windows, SeriesQuery.of(request))
        return answers.success(api.watch_detail(detail))

    def _server(self, _request: Request, name: str) -> Response:
        detail = self._reading.server(name)
        if not detail.journal_read:
            raise TransientError("the journal cannot be read; the log says why")
        return answers.success(api.server_detail(detail))

    def _verdicts(self, request: Request) -> Response:
        found = self._deps.journal.list(**VerdictQuery.of(request, self._deps.clock.now()).search())
        return answers.success([api.listed(kept.document) for kept in found])

    def _verdict(self, _request: Request, id: str) -> Response:  # noqa: A002 - the word in the address
        return answers.success(self._reading.kept(id).document)

    def _request(self, _request: Request, id: str) -> Response:  # noqa: A002 - the word in the address
        """The body of the question as it was put, so that `curl` can put it again: not wrapped."""
        asked = request_of(self._reading.kept(id).document)
        if asked is None:
            return answers.failure(
                404, f"verdict {id!r} keeps no question: nobody was asked, or it is of an older version"
            )
        return answers.document(request_body(asked, without=_NOT_STREAMED))

    def _events(self, request: Request) -> Response:
        found = self._deps.journal.events(
            server=request.args.get("server"),
            since=instant(request, "since", self._deps.clock.now()),
            limit=limit_of(request),
        )
        return answers.success([api.event(happened) for happened in found])

    def _alerts(self, _request: Request) -> Response:
        return answers.success({"alerts": [shown(alert) for alert in self._deps.alerts()]})

    def _notifications(self, request: Request) -> Response:
        return answers.success(self._deps.notifications(limit_of(request)))

    def _openapi(self, _request: Request) -> Response:
        return answers.document(description())

    def _no_alertmanager(self, _request: Request) -> Response:
        return answers.failure(
            404,
            f"lmwatch is no Alertmanager: let Prometheus send to one, and a webhook_configs receiver of that to {WEBHOOK_PATH}",
        )

    def _webhook(self, request: Request) -> Response:
        request.max_content_length = _LONGEST_NOTIFICATION
        match may_hand_in(request, self._deps.webhook_token()):
            case "unauthorized":
                refusal = answers.failure(
                    401, "show the token of alerting.webhook.token_file, as Authorization: Bearer"
                )
                refusal.headers["WWW-Authenticate"] = 'Bearer realm="lmwatch"'
                return refusal
            case "forbidden":
                return answers.failure(
                    403,
                    "the webhook needs alerting.webhook.token_file, or users in the web configuration file, or a caller on this machine",
                )
        status, text = self._deps.webhook(request.get_data(cache=False))
        return answers.success(text) if status == 200 else answers.failure(status, text)
