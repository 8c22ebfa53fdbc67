"""What the page of one watch shows: its groups with the charts of what is odd, and all series in pages."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from werkzeug.wrappers import Request

from exporter.board import WatchPicture
from exporter.drawing.wording import label_text
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD, Grouping, ScreenedSeries
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Labels, Series, format_labels
from exporter.web.query import flag, whole
from exporter.web.views import SeriesView, joined, series_view
from exporter.web.windows import Windows

ROWS = 50
"""Series on one page of the table."""
_CHARTED_GROUPS = 8
_CHARTS = 6
"""Of each group at most, where several are shown: of what is odd, and the first two in any case."""
_MOST_PAGES = 100_000


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """Which series are asked for."""

    text: str = ""
    """What their name or labels must contain."""
    group: str = ""
    """The group they must belong to, as `label_text` writes it; empty for any."""
    odd: bool = False
    """Only those at or above the boundary, 0.5."""
    page: int = 1

    @classmethod
    def of(cls, request: Request) -> "SeriesQuery":
        """Read the arguments of a request.

        Raises:
            BadRequest: an argument is not what it should be.
        """
        return cls(
            text=request.args.get("q", "").strip(),
            group=request.args.get("group", ""),
            odd=flag(request, "odd"),
            page=whole(request, "page", 1, _MOST_PAGES),
        )


@dataclass(frozen=True, eq=False)
class GroupView:
    """One group of a watch: how it stands, and its verdict."""

    key: Labels
    total: int
    suspicious: int
    top: float | None
    verdict: Verdict | None
    series: tuple[ScreenedSeries, ...] = ()
    """Those whose charts are shown."""


@dataclass(frozen=True, eq=False)
class SeriesPage:
    """A part of a watch's series, the highest score first."""

    rows: tuple[SeriesView, ...]
    found: int
    """How many there are on all pages."""
    page: int
    pages: int


@dataclass(frozen=True, eq=False)
class WatchDetail:
    """One watch, whole."""

    picture: WatchPicture
    top: float | None
    total: int
    suspicious: int
    query: SeriesQuery
    groups: tuple[GroupView, ...]
    """The most anomalous first."""
    charted: tuple[GroupView, ...]
    """The first of them, with charts."""
    series: SeriesPage = field(repr=False)


def watch_detail(picture: WatchPicture, windows: Windows, query: SeriesQuery) -> WatchDetail:
    """One watch as it is asked for.

    Args:
        picture: the watch on the board.
        windows: where histories come from.
        query: which series.
    """
    scores = joined(picture.tables, "anomaly")
    groupings = windows.groupings(picture)
    groups = group_views(picture, groupings)
    wanted = [group for group in groups if query.group in ("", label_text(group.key))]
    known = scores[~np.isnan(scores)]
    return WatchDetail(
        picture=picture,
        top=float(known.max()) if known.size else None,
        total=len(scores),
        suspicious=int(np.count_nonzero(scores >= THRESHOLD)),
        query=query,
        groups=tuple(groups),
        charted=with_charts(picture, windows, wanted, _CHARTS if len(wanted) > 1 else None),
        series=_page(picture, groupings, scores, query),
    )


def group_views(picture: WatchPicture, groupings: Sequence[Grouping]) -> list[GroupView]:
    """All groups of a watch, the one with the most anomalous series first, without charts."""
    keys = list(dict.fromkeys(key for grouping in groupings for key in grouping.keys))
    number = {key: place for place, key in enumerate(keys)}
    group = _numbers(groupings, number)
    scores = joined(picture.tables, "anomaly")
    top = np.full(len(keys), np.nan)
    np.fmax.at(top, group, scores)
    total = np.bincount(group, minlength=len(keys))
    suspicious = np.bincount(group[scores >= THRESHOLD], minlength=len(keys))
    views = [
        GroupView(key, series, odd, None if np.isnan(best) else best, picture.verdicts.get(key))
        for key, series, odd, best in zip(keys, total.tolist(), suspicious.tolist(), top.tolist(), strict=True)
    ]
    return sorted(views, key=_rank, reverse=True)


def with_charts(
    picture: WatchPicture, windows: Windows, groups: Sequence[GroupView], most: int | None
) -> tuple[GroupView, ...]:
    """The first groups with the histories of their most anomalous series, at most so many of each; None for all held."""
    first = groups[:_CHARTED_GROUPS]
    held = windows.groups(picture, [group.key for group in first])
    return tuple(
        replace(group, series=_charted(held[group.key].series, most)) if group.key in held else group for group in first
    )


def _charted(series: Sequence[ScreenedSeries], most: int | None) -> tuple[ScreenedSeries, ...]:
    if most is None:
        return tuple(series)
    return tuple(one for place, one in enumerate(series[:most]) if place < 2 or one.score >= THRESHOLD)


def _rank(view: GroupView) -> tuple[float, float]:
    judged = view.verdict.group_score if view.verdict is not None else None
    return (-1.0 if view.top is None else view.top, judged or 0.0)


def _numbers(groupings: Sequence[Grouping], number: dict[Labels, int]) -> IntArray:
    """[series] over all tables: the number of the group each belongs to."""
    translated = [
        np.array([number[key] for key in grouping.keys], dtype=np.intp)[grouping.group] for grouping in groupings
    ]
    return np.concatenate([*translated, np.empty(0, dtype=np.intp)])


def _page(picture: WatchPicture, groupings: Sequence[Grouping], scores: FloatArray, query: SeriesQuery) -> SeriesPage:
    kept = ~np.isnan(scores)
    if query.odd:
        kept &= scores >= THRESHOLD
    if query.group:
        of = [
            np.array([label_text(key) == query.group for key in one.keys], dtype=np.bool_)[one.group]
            for one in groupings
        ]
        kept &= np.concatenate([*of, np.empty(0, dtype=np.bool_)])
    if query.text:
        text = query.text.lower()
        everything = (series for table in picture.tables for series in table.series)
        kept &= np.fromiter((text in _spelled(series) for series in everything), np.bool_, len(scores))
    order = np.argsort(-scores, kind="stable")
    found = order[kept[order]]
    pages = max(1, -(-found.size // ROWS))
    page = min(query.page, pages)
    rows = found[(page - 1) * ROWS : page * ROWS].tolist()
    return SeriesPage(tuple(series_view(picture.tables, index) for index in rows), found.size, page, pages)


def _spelled(series: Series) -> str:
    return f"{series.name}{{{format_labels(series.labels)}}}".lower()
