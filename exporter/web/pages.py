"""The pages: what is on the board, as HTML that needs no script. Everything from outside is escaped by the templates."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from exporter import __version__
from exporter.board import Board, WatchPicture
from exporter.clock import Clock
from exporter.drawing import wording
from exporter.metrics.catalogue import CATALOGUE
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD, ScreenedSeries
from exporter.series.frame import FloatArray
from exporter.shipped import runbooks
from exporter.web import charts
from exporter.web.markdown import to_html
from exporter.web.verdicts import Happened, Kept, VerdictView
from exporter.web.views import Windows, group_views, server_views, troubled_sources, watch_view, watch_views

_LANDING_SERIES = 5
_WATCH_SERIES = 200
_WATCH_GROUPS = 12
_GROUP_CHARTS = 6


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
        self._templates = _environment()
        self._templates.globals.update(base=base, version=__version__)

    def landing(
        self,
        board: Board,
        verdicts: Sequence[Kept] | None,
        events: Sequence[Happened],
        came_in: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Servers, watches, the last events, verdicts and notifications at a glance; None where verdicts cannot be read."""
        servers = server_views(board)
        watches = watch_views(board, self._windows, _LANDING_SERIES)
        troubled = troubled_sources(board)
        return self._render(
            "landing.html",
            board=board,
            servers=servers,
            servers_up=sum(view.health.up for view in servers),
            loaded=sum(model.loaded is True for view in servers for model in view.models),
            watches=watches,
            suspicious=sum(view.suspicious for view in watches),
            total=sum(view.total for view in watches),
            troubled=troubled,
            targets=len(board.sources),
            verdicts=_views(verdicts),
            events=events,
            came_in=came_in,
        )

    def watch(self, picture: WatchPicture, verdicts: Sequence[Kept] | None) -> str:
        """One watch: charts of its groups, all scores, its verdicts; None where those cannot be read."""
        groups = group_views(picture, self._windows, _WATCH_GROUPS, _GROUP_CHARTS)
        return self._render(
            "watch.html",
            view=watch_view(picture, _WATCH_SERIES),
            groups=groups,
            hidden_groups=len(self._windows.groups(picture)) - len(groups),
            verdicts=_views(verdicts),
        )

    def verdict(self, kept: Kept) -> str:
        """One verdict with its evidence, prompt and answer."""
        return self._render("verdict.html", view=VerdictView.of(kept.document))

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


def _views(verdicts: Sequence[Kept] | None) -> list[VerdictView] | None:
    return None if verdicts is None else [VerdictView.of(kept.document) for kept in verdicts]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("exporter.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment


def _sparkline(one: ScreenedSeries) -> Markup:
    return charts.curve(f"history of {one.series}", one.values, _band(one), charts.SPARKLINE)


def _chart(one: ScreenedSeries) -> Markup:
    unit = one.series.unit
    return charts.curve(
        f"history of {one.series}",
        one.values,
        _band(one),
        charts.CHART,
        lambda value: wording.number(value, unit),
    )


def _band(one: ScreenedSeries) -> tuple[float, float]:
    return one.expected_lower, one.expected_upper


def _newest(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known[-1]) if known.size else None


def _clock_time(times: FloatArray, place: int) -> str:
    return datetime.fromtimestamp(times[place], UTC).strftime("%H:%M UTC") if times.size else ""


def _worst_verdict(picture: WatchPicture) -> Verdict | None:
    """What the model said about the group it finds most anomalous, if it finds any so."""
    anomalous = [
        (verdict.group_score, verdict.id, verdict)
        for verdict in picture.verdicts.values()
        if verdict.group_score is not None and verdict.group_score > THRESHOLD and verdict.summary
    ]
    return max(anomalous)[2] if anomalous else None


_FILTERS: Mapping[str, Callable[..., object]] = {
    "ago": wording.ago,
    "chart": _chart,
    "duration": wording.duration,
    "edge": wording.edge,
    "first_time": lambda times: _clock_time(times, 0),
    "known": lambda value: None if np.isnan(value) else float(value),
    "labels": wording.label_text,
    "last_time": lambda times: _clock_time(times, -1),
    "meter": charts.meter,
    "newest": _newest,
    "number": wording.number,
    "severity": charts.severity,
    "sparkline": _sparkline,
    "utc": wording.utc,
    "worst_verdict": _worst_verdict,
}
