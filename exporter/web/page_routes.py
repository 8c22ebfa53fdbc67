"""The endpoints for people: which page is shown for which address."""

from urllib.parse import quote

from werkzeug.exceptions import BadRequest
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from exporter.errors import LmwatchError
from exporter.web import answers
from exporter.web.deps import WebDeps
from exporter.web.kept import newest_for
from exporter.web.pages import JOURNAL_ROWS, Pages
from exporter.web.query import VerdictQuery
from exporter.web.reading import Reading
from exporter.web.watchviews import SeriesQuery

_LANDING_VERDICTS = 8
_LANDING_EVENTS = 5
_WATCH_VERDICTS = 20
_SEARCHED = 200
"""Newest verdicts of a watch that are searched for one on a group that is no longer on the board."""


class PageRoutes:
    """Answers people.

    Args:
        deps: what is answered from.
        pages: renders.
        prefix: path in front of every link.
    """

    def __init__(self, deps: WebDeps, pages: Pages, prefix: str) -> None:
        self._deps = deps
        self._pages = pages
        self._prefix = prefix
        self._reading = Reading(deps)

    def rules(self) -> list[Rule]:
        """Which address is answered by what."""
        gets = {
            "/": self._landing,
            "/watches/<name>": self._watch,
            "/servers/<name>": self._server,
            "/verdicts": self._journal,
            "/verdicts/latest": self._latest_verdict,
            "/verdicts/<id>": self._verdict,
            "/config": self._config,
            "/docs/metrics": self._metrics_explained,
            "/docs/runbooks": self._runbooks,
        }
        return [Rule(path, endpoint=endpoint, methods=["GET"]) for path, endpoint in gets.items()]

    def _landing(self, _request: Request) -> Response:
        seen = self._reading.seen()
        verdicts = self._reading.latest(_LANDING_VERDICTS)
        events = self._deps.journal.events(limit=_LANDING_EVENTS) if verdicts is not None else ()
        came_in = self._deps.notifications(_LANDING_EVENTS) if verdicts is not None else ()
        board, alerts = self._deps.board(), self._deps.alerts()
        return answers.html(self._pages.landing(seen, board, verdicts, events, came_in=came_in, alerts=alerts))

    def _watch(self, request: Request, name: str) -> Response:
        seen, picture = self._reading.seen(), self._reading.picture(name)
        query = SeriesQuery.of(request)
        verdicts = self._reading.latest(_WATCH_VERDICTS, name)
        return answers.html(self._pages.watch(seen, picture, query, verdicts, self._reading.briefs(name)))

    def _server(self, _request: Request, name: str) -> Response:
        return answers.html(self._pages.server(self._reading.seen(), self._reading.server(name)))

    def _journal(self, request: Request) -> Response:
        query = VerdictQuery.of(request, self._deps.clock.now(), JOURNAL_ROWS)
        seen = self._reading.seen()
        try:
            # One more than is shown tells whether there is another page.
            found = self._deps.journal.list(**{**query.search(), "limit": query.limit + 1})
        except LmwatchError:
            found = None
        return answers.html(self._pages.journal(seen, self._deps.board(), query, request.args, found))

    def _verdict(self, request: Request, id: str) -> Response:  # noqa: A002 - the word in the address
        kept = self._reading.kept(id)
        health = self._deps.board().servers.get(kept.document.get("server", ""))
        own = self._deps.external_url.rstrip("/") or request.host_url.rstrip("/") + self._prefix
        return answers.html(self._pages.verdict(kept, own_url=own, server_url=health.url if health else ""))

    def _latest_verdict(self, request: Request) -> Response:
        """Where the link of an alert leads: it knows the watch and the labels of a series or a group, not the verdict."""
        watch = request.args.get("watch", "")
        if not watch:
            raise BadRequest("name the watch, and the labels of the group: /verdicts/latest?watch=NAME&instance=…")
        picture = self._deps.board().watches.get(watch)
        present = picture.verdicts.values() if picture is not None else ()
        name = newest_for(request.args, present)
        name = name or newest_for(request.args, self._reading.latest(_SEARCHED, watch) or ())
        page = f"/verdicts/{quote(name, safe='')}" if name else f"/watches/{quote(watch, safe='')}"
        return Response(status=302, headers={"Location": f"{self._prefix}{page}"})

    def _config(self, request: Request) -> Response:
        text = self._deps.config_text()
        readable = "text/html" in request.headers.get("Accept", "")
        response = answers.html(self._pages.config(text)) if readable else answers.text(text)
        response.headers["Vary"] = "Accept"
        return response

    def _metrics_explained(self, _request: Request) -> Response:
        return answers.html(self._pages.metrics_explained())

    def _runbooks(self, _request: Request) -> Response:
        return answers.html(self._pages.runbooks())
