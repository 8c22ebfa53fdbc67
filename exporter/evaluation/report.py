"""The report of an evaluation: one HTML file that needs no script and asks nobody for anything."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from exporter.drawing.wording import duration
from exporter.evaluation.document import write_whole
from exporter.evaluation.page import environment
from exporter.evaluation.picture import case_picture, series_picture, view_of
from exporter.evaluation.results import (
    FIRST_GROUPS,
    Episode,
    Evaluation,
    ModelFigures,
    Row,
    SeriesResult,
    best_rows,
)
from exporter.evaluation.words import NOTHING, moment
from exporter.reasoning.verdict import Verdict
from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray

_OPEN_ALL = 12
"""Up to so many series are all unfolded; of more, those where something was missed or invented."""
_LEADING = 4
"""Of several series that are judged together, so many have a picture."""
_VERDICTS = 30
_VERDICTS_UNFOLDED = 2
_ALERTS = 200


@dataclass(frozen=True, eq=False)
class Member:
    """One of several series of a case, with its picture."""

    name: str
    culprit_in: tuple[int, ...]
    """The labelled windows, from 1, whose labels name it."""
    picture: Markup


@dataclass(frozen=True, eq=False)
class Section:
    """What the report shows of one case."""

    number: int
    result: SeriesResult
    opened: bool
    picture: Markup | None
    """None where the case has no instant."""
    members: tuple[Member, ...]
    verdicts: tuple[Verdict, ...]
    """The ones worth reading, in order of time."""
    more_verdicts: int
    alerts: tuple[Episode, ...]
    more_alerts: int


@dataclass(frozen=True, slots=True)
class _Shown:
    """What there is to explain beside the pictures."""

    windows: bool
    alerts: bool
    faults: bool
    members: bool
    verdicts: bool


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write the report to a file, whole or not at all.

    Raises:
        LmwatchError: it cannot be written; says where and why.
    """
    write_whole(path, render_report(evaluation))


def render_report(evaluation: Evaluation) -> str:
    """The report as an HTML document. Everything from outside is escaped and stripped of what cannot be seen."""
    few = len(evaluation.series) <= _OPEN_ALL
    sections = [
        _section(place, result, evaluation.threshold, opened=few or bool(result.missed or result.false_alerts))
        for place, result in enumerate(evaluation.series, 1)
    ]
    return (
        environment(_FILTERS)
        .get_template("report.html")
        .render(
            evaluation=evaluation,
            version=evaluation.version,
            product=evaluation.product,
            best=best_rows(evaluation.rows),
            sections=sections,
            shown=_Shown(
                windows=any(section.result.windows for section in sections),
                alerts=any(section.result.windows or section.alerts for section in sections),
                faults=any(section.result.faults for section in sections),
                members=any(section.members for section in sections),
                verdicts=any(section.verdicts for section in sections),
            ),
            first_groups=FIRST_GROUPS,
            verdicts_unfolded=_VERDICTS_UNFOLDED,
        )
    )


def _section(place: int, result: SeriesResult, threshold: float, *, opened: bool) -> Section:
    view = view_of(result)
    verdicts = worth_reading(result.run.verdicts, result.episodes, _VERDICTS)
    members: tuple[Member, ...] = ()
    if view is not None and len(result.run.case.series) > 1:
        members = tuple(
            Member(
                str(result.run.case.series[row]),
                tuple(at for at, window in enumerate(result.run.case.windows, 1) if row in window.culprits),
                series_picture(view, row),
            )
            for row in leading(result, _LEADING)
        )
    return Section(
        number=place,
        result=result,
        opened=opened,
        picture=None if view is None else case_picture(view, threshold, verdicts),
        members=members,
        verdicts=verdicts,
        more_verdicts=len(result.run.verdicts) - len(verdicts),
        alerts=result.episodes[:_ALERTS],
        more_alerts=max(0, len(result.episodes) - _ALERTS),
    )


def worth_reading(verdicts: Sequence[Verdict], episodes: Sequence[Episode], most: int) -> tuple[Verdict, ...]:
    """The verdicts to show, in order of time: those reached during alerts first, then the most anomalous ones."""

    def worth(verdict: Verdict) -> tuple[bool, float]:
        during = any(episode.start <= verdict.at <= episode.end for episode in episodes)
        return during, -1.0 if verdict.group_score is None else verdict.group_score

    chosen = sorted(verdicts, key=worth, reverse=True)[:most]
    return tuple(sorted(chosen, key=lambda verdict: verdict.at))


def leading(result: SeriesResult, most: int) -> list[int]:
    """The series of a case that say most about its alerts, by index.

    They are those with the highest mean score inside of the alerts; where there is no alert, in all the time that counts.
    """
    during = _inside(result.run.case.times, result.episodes)[result.counted]
    scores = result.run.combined[:, result.counted][:, during if during.any() else slice(None)]
    known = np.isfinite(scores)
    means = np.where(known, scores, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    ranked = np.argsort(np.where(known.any(axis=1), -means, np.inf), kind="stable")
    return [int(row) for row in ranked[:most]]


def _inside(times: FloatArray, episodes: Iterable[Episode]) -> BoolArray:
    inside: BoolArray = np.zeros(times.size, dtype=np.bool_)
    for episode in episodes:
        inside |= (episode.start <= times) & (times <= episode.end)
    return inside


def _span(result: SeriesResult) -> str:
    """From when to when, how often, how much of it counts."""
    case = result.run.case
    if not case.times.size:
        return "no values"
    counted = result.counted.stop - result.counted.start
    return (
        f"{moment(float(case.times[0]))} to {moment(float(case.times[-1]))}, "
        f"every {duration(case.interval)}: {counted:,} of {case.times.size:,} instants count"
    )


def _tokens_per_call(figures: ModelFigures) -> str:
    return f"{figures.prompt_tokens / figures.calls:,.0f}" if figures.calls else NOTHING


def _windows_of(row: Row) -> int:
    return row.tp + row.fn


_FILTERS: Mapping[str, Callable[..., object]] = {
    "span": _span,
    "tokens_per_call": _tokens_per_call,
    "windows": _windows_of,
}
