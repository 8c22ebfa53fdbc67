"""The pages: what is on the board and in the journal, as HTML that needs no script."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from exporter import __version__
from exporter.alerting.alert import Alert
from exporter.board import Board, WatchPicture
from exporter.clock import Clock
from exporter.drawing import timelines
from exporter.metrics.catalogue import CATALOGUE
from exporter.shipped import runbooks
from exporter.web import graphs
from exporter.web.kept import Brief, Happened, Kept
from exporter.web.markdown import to_html
from exporter.web.query import OUTCOMES, VerdictQuery
from exporter.web.reading import TIMELINE_SECONDS
from exporter.web.rendering import environment
from exporter.web.revision import Seen
from exporter.web.servers import ServerDetail
from exporter.web.verdicts import VerdictLine, VerdictView
from exporter.web.views import server_views, shown_watches, troubled_sources, watch_views
from exporter.web.watchviews import SeriesQuery, watch_detail
from exporter.web.windows import Windows

JOURNAL_ROWS = 50
_LANDING_SERIES = 5
_SHOWN_ALERTS = 6
_SHOWN_TROUBLED = 10
_SHORTEST_TIMELINE = 3600.0


class Pages:
    """Renders every page.

    Args:
        windows: where the histories for charts come from.
        clock: tells how long ago things were.
        base: path that goes in front of every link, without a slash at its end.
    """

    def __init__(self, windows: Windows, clock: Clock, base: str = "") -> None:
        self._windows = windows
        self._clock = clock
        self._base = base
        self._templates = environment()
        self._templates.globals.update(base=base, version=__version__)

    def landing(
        self,
        seen: Seen,
        board: Board,
        verdicts: Sequence[Kept] | None,
        events: Sequence[Happened],
        *,
        came_in: Sequence[Mapping[str, Any]],
        alerts: Sequence[Alert],
    ) -> str:
        """Servers, watches, alerts, the last events, verdicts and notifications at a glance; None where verdicts cannot be read."""
        servers = server_views(board)
        watches = watch_views(board, self._windows, _LANDING_SERIES)
        ranked = sorted(alerts, key=lambda alert: -alert.score)
        return self._render(
            "landing.html",
            seen=seen,
            board=board,
            servers=servers,
            servers_up=sum(view.health.up for view in servers),
            loaded=sum(model.loaded is True for view in servers for model in view.models),
            watches=watches,
            suspicious=sum(view.suspicious for view in watches),
            total=sum(view.total for view in watches),
            troubled=troubled_sources(board),
            targets=len(board.sources),
            verdicts=_lines(verdicts),
            events=events,
            came_in=came_in,
            firing=[alert for alert in ranked if alert.state == "firing"],
            pending=[alert for alert in ranked if alert.state == "pending"],
            shown_alerts=_SHOWN_ALERTS,
            shown_troubled=_SHOWN_TROUBLED,
        )

    def watch(
        self,
        seen: Seen,
        picture: WatchPicture,
        query: SeriesQuery,
        verdicts: Sequence[Kept] | None,
        briefs: Sequence[Brief],
    ) -> str:
        """One watch: charts of what is odd, its verdicts over time, its series in pages; None where verdicts cannot be read."""
        now = self._clock.now()
        oldest = briefs[-1].at if briefs else now
        begin = min(max(oldest, now - TIMELINE_SECONDS), now - _SHORTEST_TIMELINE)
        lanes, more_lanes = graphs.verdict_lanes(briefs, self._base, begin, now)
        return self._render(
            "watch.html",
            seen=seen,
            view=watch_detail(picture, self._windows, query),
            lanes=lanes,
            more_lanes=more_lanes,
            lane_axis=timelines.axis(begin, now),
            arguments={"q": query.text, "group": query.group, "odd": query.odd},
            verdicts=_lines(verdicts),
        )

    def server(self, seen: Seen, detail: ServerDetail) -> str:
        """One server: its models and figures, its states over time, what happened and what failed."""
        now = self._clock.now()
        return self._render(
            "server.html",
            seen=seen,
            view=detail,
            lanes=[(lane.name, graphs.state_lane(lane, detail, now)) for lane in detail.lanes],
            lane_axis=timelines.axis(detail.begin, now),
        )

    def journal(
        self,
        seen: Seen,
        board: Board,
        query: VerdictQuery,
        arguments: Mapping[str, str],
        found: Sequence[Kept] | None,
    ) -> str:
        """Verdicts as they are searched for; None where the journal cannot be read.

        Args:
            seen: before anything was looked up.
            board: the present.
            query: what is searched for.
            arguments: of the request, for the form and the links.
            found: one more than is shown where there is another page.
        """
        shown = (found or ())[: query.limit]
        names = ("watch", "outcome", "since", "anomalous")
        return self._render(
            "journal.html",
            seen=seen,
            query=query,
            arguments={name: arguments.get(name, "") for name in names},
            watches=[picture.name for picture in shown_watches(board)],
            outcomes=OUTCOMES,
            verdicts=None if found is None else _lines(shown),
            next_before=shown[-1].id if found is not None and len(found) > query.limit else "",
        )

    def verdict(self, kept: Kept, *, own_url: str, server_url: str) -> str:
        """One verdict with its evidence, prompt and answer.

        Args:
            kept: the verdict.
            own_url: under which address this lmwatch is asked.
            server_url: of the server that answered; empty where it is not known any more.
        """
        view = VerdictView.of(kept.document)
        return self._render("verdict.html", view=view, replay=_replay(view, own_url, server_url))

    def config(self, text: str) -> str:
        """The configuration that runs, without secrets."""
        return self._render("config.html", text=text)

    def metrics_explained(self) -> str:
        """The catalogue of what is exposed."""
        return self._render("metrics.html", rows=[row for row in CATALOGUE if not row.planned])

    def runbooks(self) -> str:
        """What to do about each alert that the shipped rules raise."""
        return self._render("document.html", title="Runbooks", text=to_html(runbooks()))

    def error(self, code: int, name: str, text: str) -> str:
        """A page that says what went wrong."""
        return self._render("error.html", code=code, name=name, text=text)

    def _render(self, template: str, **values: object) -> str:
        return self._templates.get_template(template).render(now=self._clock.now(), **values)


def _lines(verdicts: Sequence[Kept] | None) -> list[VerdictLine] | None:
    return None if verdicts is None else [VerdictLine.of(kept.document) for kept in verdicts]


def _replay(view: VerdictView, own_url: str, server_url: str) -> str:
    """The command that puts the same question again; empty where the verdict keeps none. It holds no secret."""
    if not view.replayable:
        return ""
    asked = shlex.quote(f"{own_url}/api/v1/verdicts/{quote(view.id, safe='')}/request")
    target = shlex.quote(f"{_without_user(server_url) or 'http://SERVER:1234'}/v1/chat/completions")
    return f"curl -sS {asked} |\n  curl -sS {target} -H 'Content-Type: application/json' --data-binary @-"


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
