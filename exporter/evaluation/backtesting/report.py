"""The report of a backtest: one HTML file that needs no script and asks nobody for anything."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup

from exporter.config.durations import format_duration
from exporter.evaluation.backtesting.pushes import Push
from exporter.evaluation.backtesting.results import Backtest, WatchResult
from exporter.evaluation.backtesting.words import sensitivity_words, states_words, subject_words
from exporter.evaluation.document import write_whole
from exporter.evaluation.page import environment
from exporter.evaluation.picture import case_picture, series_picture, view_of
from exporter.evaluation.report import worth_reading
from exporter.reasoning.verdict import Verdict
from exporter.series.labels import Labels

_PICTURES: Final = 12
"""Of a watch: the series with the most alerts, then those with the highest scores."""
_CALM_PICTURES: Final = 2
"""Where nothing alerted, so many show what the watch looked at."""
_ALERTS: Final = 300
_VERDICTS: Final = 30
_VERDICTS_UNFOLDED: Final = 2


@dataclass(frozen=True, eq=False)
class Member:
    """One series with its picture."""

    name: str
    alerts: int
    picture: Markup


@dataclass(frozen=True, eq=False)
class Section:
    """What the report shows of one watch."""

    number: int
    result: WatchResult
    picture: Markup | None
    """None where no value came."""
    members: tuple[Member, ...]
    pushes: tuple[Push, ...]
    more_pushes: int
    verdicts: tuple[Verdict, ...]
    more_verdicts: int


def write_report(backtest: Backtest, path: Path) -> None:
    """Write the report to a file, whole or not at all.

    Raises:
        LmwatchError: it cannot be written; says where and why.
    """
    write_whole(path, render_report(backtest))


def render_report(backtest: Backtest) -> str:
    """The report as an HTML document. Everything from outside is escaped and stripped of what cannot be seen."""
    sections = [_section(place, result) for place, result in enumerate(backtest.watches, 1)]
    return (
        environment(_FILTERS)
        .get_template("backtest.html")
        .render(
            backtest=backtest,
            version=backtest.version,
            sections=sections,
            alerts=sum(len(result.pushes) for result in backtest.watches),
            verdicts_unfolded=_VERDICTS_UNFOLDED,
        )
    )


def _section(place: int, result: WatchResult) -> Section:
    view = view_of(result.drawn) if result.samples else None
    verdicts = worth_reading(result.verdicts, result.drawn.episodes, _VERDICTS)
    counts = Counter((push.subject.metric, push.subject.labels) for push in result.pushes)
    members: list[Member] = []
    if view is not None:
        series = result.drawn.run.case.series
        members = [
            Member(str(series[row]), counts[series[row].name, series[row].labels], series_picture(view, row))
            for row in _pictured(result, counts)
        ]
    return Section(
        number=place,
        result=result,
        picture=None if view is None else case_picture(view, result.watch.threshold, verdicts),
        members=tuple(members),
        pushes=result.pushes[:_ALERTS],
        more_pushes=max(0, len(result.pushes) - _ALERTS),
        verdicts=verdicts,
        more_verdicts=len(result.verdicts) - len(verdicts),
    )


def _pictured(result: WatchResult, counts: Mapping[tuple[str, Labels], int]) -> list[int]:
    """The rows of the series that get a picture; none where the picture of the watch has the only one."""
    run = result.drawn.run
    if len(run.case.series) == 1:
        return []
    alerts = np.array([counts.get((one.name, one.labels), 0) for one in run.case.series])
    highest = np.nan_to_num(np.fmax.reduce(run.combined, axis=1, initial=-1.0), nan=-1.0)
    ranked = np.lexsort((-highest, -alerts))
    return [int(row) for row in ranked[: max(_CALM_PICTURES, min(_PICTURES, int((alerts > 0).sum())))]]


_FILTERS: Mapping[str, Callable[..., object]] = {
    "prometheus_duration": format_duration,
    "sensitivity": sensitivity_words,
    "states": states_words,
    "subject": subject_words,
}
