"""The charts and timelines of the pages: what is drawn, and what a screen reader says of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from exporter.drawing import timelines, wording
from exporter.drawing.timelines import Mark, Shape
from exporter.drawing.windows import Drawn, Stretch, window_chart
from exporter.screening.result import THRESHOLD, Alarm, ScreenedSeries
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels, Series
from exporter.web.charts import severity
from exporter.web.kept import Brief
from exporter.web.servers import ServerDetail, StateLane
from exporter.web.text import marked
from exporter.web.verdicts import PictureView

_TITLE_LIMIT = 300
_VALUE_LIMIT = 24
_MOST_LANES = 10
_BINARY_SIZES = tuple(1024.0**power for power in range(1, 5))
_SHAPES: dict[str, Shape] = {"calm": "dot", "raised": "diamond", "high": "triangle", "none": "cross"}


def series_chart(one: ScreenedSeries) -> Markup:
    """The window of a series, with what was expected and when the screen called it anomalous."""
    edges = (one.expected_lower, one.expected_upper)
    return window_chart(_drawn(one.series, one.times, one.values, edges, one.alarms), _spell(one.series))


def picture_chart(view: PictureView) -> Markup:
    """A series as it was judged, with the values that were cited."""
    drawn = _drawn(view.series, view.times, view.values, (view.lower, view.upper), view.alarms)
    return window_chart(replace(drawn, pins=view.pins), _spell(view.series))


def verdict_lanes(briefs: Sequence[Brief], base: str, begin: float, end: float) -> tuple[list[tuple[str, Markup]], int]:
    """The verdicts of a watch over time: lanes of the groups with the newest verdicts, and how many groups have none.

    Args:
        briefs: the newest first.
        base: path in front of every link.
        begin: Unix seconds at the left.
        end: at the right.

    Returns:
        Name and drawing of each lane, the one with the newest verdict first; the number of groups that are left out.
    """
    by_group: dict[Labels, list[Brief]] = {}
    for brief in briefs:
        by_group.setdefault(brief.group, []).append(brief)
    lanes = []
    for group, found in list(by_group.items())[:_MOST_LANES]:
        name = wording.label_text(group)
        happened = [_verdict_mark(brief, base) for brief in reversed(found)]
        drawing = timelines.marks(f"Verdicts on {_short(name)}", begin, end, happened, boundary=THRESHOLD)
        lanes.append((name, drawing))
    return lanes, len(by_group) - len(lanes)


def state_lane(lane: StateLane, detail: ServerDetail, now: float) -> Markup:
    """The states of a server or a model over the shown time."""
    return timelines.spans(f"States of {_short(lane.name)}", detail.begin, now, lane.spans)


def _verdict_mark(brief: Brief, base: str) -> Mark:
    level = severity(brief.score)
    words = [wording.utc(brief.at), brief.outcome.replace("_", " ")]
    if brief.score is not None:
        words.insert(1, f"score {brief.score:.2f}")
    if brief.kind:
        words.append(brief.kind.replace("_", " "))
    shape: Shape = "ring" if brief.outcome == "ungrounded" and level == "calm" else _SHAPES[level]
    link = f"{base}/verdicts/{quote(brief.id, safe='')}"
    return Mark(brief.at, brief.score, shape, level, marked(", ".join(words)), link)


def _drawn(
    series: Series, times: FloatArray, values: FloatArray, edges: tuple[float, float], alarms: Sequence[Alarm]
) -> Drawn:
    last = float(times[-1]) if times.size else 0.0
    stretches = tuple(
        Stretch(alarm.began, last if alarm.ended is None else alarm.ended, _alarm_name(alarm)) for alarm in alarms
    )
    title = f"History of {_short(str(series))}"
    described = _description(series, times, values, edges, stretches)
    return Drawn(title, described, times, values, *edges, stretches=stretches, measure=_measure(series.unit, values))


def _measure(unit: str, values: FloatArray) -> float:
    """The size of the unit that the largest value is written in."""
    sizes = _BINARY_SIZES if unit in wording.BINARY_UNITS else ()
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max()) if finite.size else 0.0
    return max((size for size in sizes if size <= largest), default=1.0)


def _alarm_name(alarm: Alarm) -> str:
    return (alarm.kind or "anomalous").replace("_", " ")


def _description(
    series: Series,
    times: FloatArray,
    values: FloatArray,
    edges: tuple[float, float],
    stretches: Sequence[Stretch],
) -> str:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "No values."
    spell = _spell(series)
    told = [
        (
            f"From {wording.utc(float(times[0]))} to {wording.utc(float(times[-1]))} between {spell(float(finite.min()))} "
            f"and {spell(float(finite.max()))}, newest {spell(float(finite[-1]))}."
        )
    ]
    if not np.isnan(edges).any():
        told.append(f"Expected {spell(edges[0])} to {spell(edges[1])}.")
    told += [
        f"Anomalous from {wording.utc(one.begin)} to {wording.utc(one.end)}: {one.label}."
        for one in stretches
        if one.end >= times[0]
    ]
    return " ".join(told)


def _spell(series: Series) -> Callable[[float], str]:
    unit = series.unit
    return lambda value: _short(wording.number(value, unit), _VALUE_LIMIT)


def _short(text: str, limit: int = _TITLE_LIMIT) -> str:
    return marked(text if len(text) <= limit else f"{text[: limit - 1]}…")
