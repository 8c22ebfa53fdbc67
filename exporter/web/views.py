"""What the overview shows, worked out from the board and the windows. Templates only place it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from exporter.board import Board, ScoreTable, WatchPicture
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.reasoning.verdict import Verdict
from exporter.screening.groups import group_key
from exporter.screening.result import THRESHOLD, ScreenedSeries
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels, Series
from exporter.sources.collected import Collected
from exporter.web.windows import Windows


@dataclass(frozen=True, eq=False)
class SeriesView:
    """One scored series, with its history where the screen found it worth showing."""

    series: Series
    score: float | None
    screen: float | None
    llm: float | None
    confidence: float | None
    kind: str
    history: ScreenedSeries | None = None


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
class ServerView:
    """One server, its models with the loaded ones first."""

    health: ServerHealth
    models: tuple[Model, ...]
    unloaded: int


def server_views(board: Board) -> list[ServerView]:
    """All servers, those that are down first; of their models those that are, or may be, loaded."""
    views = []
    for health in sorted(board.servers.values(), key=lambda health: health.up):
        shown = tuple(model for model in health.models if model.loaded is not False) if health.up else ()
        views.append(ServerView(health, shown, len(health.models) - len(shown) if health.up else 0))
    return views


def troubled_sources(board: Board) -> list[Collected]:
    """Targets that could not be collected from."""
    return [state for state in board.sources.values() if not state.up]


def shown_watches(board: Board) -> list[WatchPicture]:
    """The watches of the user: all but the heartbeat's."""
    return [picture for name, picture in board.watches.items() if name != HEARTBEAT_WATCH]


def watch_views(board: Board, windows: Windows, rows: int) -> list[WatchView]:
    """All watches of the user, the one with the highest score first."""
    windows.keep_only(board.watches)
    views = [watch_view(picture, rows, windows, least=THRESHOLD) for picture in shown_watches(board)]
    return sorted(views, key=lambda view: (-(view.top if view.top is not None else -1.0), view.picture.name))


def watch_view(picture: WatchPicture, rows: int, windows: Windows | None = None, least: float = 0.0) -> WatchView:
    """One watch with its highest scored series.

    Args:
        picture: the watch on the board.
        rows: how many series at most.
        windows: where histories come from; None for none.
        least: series with a lower score are left out, except the very first three.
    """
    scores = joined(picture.tables, "anomaly")
    ranked = [index for index in np.argsort(-scores, kind="stable")[:rows].tolist() if not np.isnan(scores[index])]
    chosen = [index for place, index in enumerate(ranked) if place < 3 or scores[index] >= least]
    views = [series_view(picture.tables, index) for index in chosen]
    return WatchView(
        picture=picture,
        top=float(scores[ranked[0]]) if ranked else None,
        total=len(scores),
        suspicious=int(np.count_nonzero(scores >= THRESHOLD)),
        rows=tuple(_with_histories(picture, views, windows) if windows else views),
    )


def joined(tables: tuple[ScoreTable, ...], column: str) -> FloatArray:
    """[series] over all tables: one column of them."""
    return np.concatenate([getattr(table, column) for table in tables]) if tables else np.empty(0)


def series_view(tables: tuple[ScoreTable, ...], index: int) -> SeriesView:
    """One series of the tables, counted over all of them, without its history."""
    for table in tables:
        if index < len(table.series):
            break
        index -= len(table.series)
    return SeriesView(
        series=table.series[index],
        score=_known(table.anomaly[index]),
        screen=_known(table.screen[index]),
        llm=_known(table.llm[index]),
        confidence=_known(table.confidence[index]),
        kind=table.kind[index],
    )


def worst_verdict(picture: WatchPicture) -> Verdict | None:
    """What the model said about the group it finds most anomalous, if it finds any so."""
    anomalous = [
        (verdict.group_score, verdict.id, verdict)
        for verdict in picture.verdicts.values()
        if verdict.group_score is not None and verdict.group_score > THRESHOLD and verdict.summary
    ]
    return max(anomalous)[2] if anomalous else None


def _with_histories(picture: WatchPicture, views: Sequence[SeriesView], windows: Windows) -> list[SeriesView]:
    keys = {group_key(view.series.labels, picture.group_by) for view in views}
    histories: dict[tuple[str, Labels], ScreenedSeries] = {
        (one.series.name, one.series.labels): one
        for group in windows.groups(picture, keys).values()
        for one in group.series
    }
    return [replace(view, history=histories.get((view.series.name, view.series.labels))) for view in views]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
