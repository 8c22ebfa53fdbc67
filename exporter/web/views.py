"""What the pages show, worked out from the board and the windows. Templates only place it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.board import Board, ScoreTable, WatchPicture
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD, ScreenedGroup, ScreenedSeries
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels, Series
from exporter.sources.collected import Collected

GroupsOf = Callable[[str], Sequence[ScreenedGroup]]


@dataclass(frozen=True, eq=False)
class SeriesView:
    """One scored series, with its history where the screen found it worth showing."""

    series: Series
    score: float | None
    screen: float | None
    llm: float | None
    confidence: float | None
    kind: str
    history: ScreenedSeries | None


@dataclass(frozen=True, eq=False)
class WatchView:
    """One watch: how it stands, and its series from the highest score down."""

    picture: WatchPicture
    top: float | None
    total: int
    suspicious: int
    rows: tuple[SeriesView, ...]
    """The first so many; `total` counts all."""


@dataclass(frozen=True, eq=False)
class GroupView:
    """One group of a watch: the charts of its most anomalous series, and its verdict."""

    key: Labels
    total: int
    suspicious: int
    series: tuple[ScreenedSeries, ...]
    verdict: Verdict | None


@dataclass(frozen=True, eq=False)
class ServerView:
    """One server, its models with the loaded ones first."""

    health: ServerHealth
    models: tuple[Model, ...]
    unloaded: int


class Windows:
    """The groups of watches with their histories, worked out once for each picture: the pages ask often."""

    def __init__(self, groups_of: GroupsOf) -> None:
        self._groups_of = groups_of
        self._kept: dict[str, tuple[WatchPicture, Sequence[ScreenedGroup]]] = {}

    def groups(self, picture: WatchPicture) -> Sequence[ScreenedGroup]:
        """The watch's groups as they are with this picture."""
        kept = self._kept.get(picture.name)
        if kept is not None and kept[0] is picture:
            return kept[1]
        groups = self._groups_of(picture.name)
        self._kept[picture.name] = (picture, groups)
        return groups

    def keep_only(self, watches: Iterable[str]) -> None:
        """Free what is kept for watches that are gone."""
        for name in set(self._kept) - set(watches):
            self._kept.pop(name, None)


def server_views(board: Board) -> list[ServerView]:
    """All servers; of their models those that are, or may be, loaded."""
    views = []
    for health in board.servers.values():
        shown = tuple(model for model in health.models if model.loaded is not False) if health.up else ()
        views.append(ServerView(health, shown, len(health.models) - len(shown) if health.up else 0))
    return views


def troubled_sources(board: Board) -> list[Collected]:
    """Targets that could not be collected from."""
    return [state for state in board.sources.values() if not state.up]


def watch_views(board: Board, windows: Windows, rows: int) -> list[WatchView]:
    """All watches of the user, the one with the highest score first."""
    windows.keep_only(board.watches)
    pictures = [picture for name, picture in board.watches.items() if name != HEARTBEAT_WATCH]
    views = [watch_view(picture, rows, windows, least=THRESHOLD) for picture in pictures]
    return sorted(views, key=lambda view: (-(view.top if view.top is not None else -1.0), view.picture.name))


def watch_view(picture: WatchPicture, rows: int, windows: Windows | None = None, least: float = 0.0) -> WatchView:
    """One watch with its highest scored series.

    Args:
        picture: the watch on the board.
        rows: how many series at most.
        windows: where histories come from; None for none.
        least: series with a lower score are left out, except the very first three.
    """
    scores = _joined(picture.tables, "anomaly")
    ranked = [index for index in np.argsort(-scores, kind="stable")[:rows].tolist() if not np.isnan(scores[index])]
    chosen = [index for place, index in enumerate(ranked) if place < 3 or scores[index] > least]
    histories = _histories(windows.groups(picture)) if chosen and windows else {}
    return WatchView(
        picture=picture,
        top=float(scores[ranked[0]]) if ranked else None,
        total=len(scores),
        suspicious=int(np.count_nonzero(scores > THRESHOLD)),
        rows=tuple(_series_view(picture.tables, index, histories) for index in chosen),
    )


def group_views(picture: WatchPicture, windows: Windows, groups: int, series: int) -> list[GroupView]:
    """A watch's groups, the most anomalous first; only so many groups, and so many series of each."""
    views = [
        GroupView(group.key, group.total, group.suspicious, group.series[:series], picture.verdicts.get(group.key))
        for group in windows.groups(picture)
    ]
    return sorted(views, key=_group_rank, reverse=True)[:groups]


def _group_rank(view: GroupView) -> tuple[float, float]:
    judged = view.verdict.group_score if view.verdict is not None else None
    screened = view.series[0].score if view.series else float("nan")
    return (-1.0 if np.isnan(screened) else screened, judged or 0.0)


def _joined(tables: tuple[ScoreTable, ...], column: str) -> FloatArray:
    return np.concatenate([getattr(table, column) for table in tables]) if tables else np.empty(0)


def _histories(groups: Sequence[ScreenedGroup]) -> dict[tuple[str, Labels], ScreenedSeries]:
    return {(one.series.name, one.series.labels): one for group in groups for one in group.series}


def _series_view(
    tables: tuple[ScoreTable, ...],
    index: int,
    histories: dict[tuple[str, Labels], ScreenedSeries],
) -> SeriesView:
    for table in tables:
        if index < len(table.series):
            break
        index -= len(table.series)
    series = table.series[index]
    return SeriesView(
        series=series,
        score=_known(table.anomaly[index]),
        screen=_known(table.screen[index]),
        llm=_known(table.llm[index]),
        confidence=_known(table.confidence[index]),
        kind=table.kind[index],
        history=histories.get((series.name, series.labels)),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
