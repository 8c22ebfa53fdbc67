"""Pictures of labelled series as SVG: values, labelled windows, alerts and scores on one axis of time.

Colours, strokes and hatchings come from the style sheet and the patterns of the page that they stand in. Nothing is told
by colour alone: what was found carries a tick, what was not a cross, false alerts are hatched.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup, escape

from exporter.drawing.curves import Scale, Size, opening
from exporter.drawing.plots import area, bounds, line
from exporter.drawing.wording import number
from exporter.evaluation.results import Episode, SeriesResult, WindowResult
from exporter.evaluation.words import moment, ticks
from exporter.reasoning.clean import one_line
from exporter.reasoning.verdict import Verdict
from exporter.series.frame import FloatArray

WIDTH = 960.0
_VALUES, _SMALL_VALUES, _ALERTS, _SCORE, _AXIS = 160.0, 100.0, 20.0, 64.0, 26.0
_MARGIN = 0.06
_BEFORE = 0.2
"""Of what came before the first instant that counts, at most so much is shown, as a share of what counts."""
_NARROWEST = 3.0
_SIGN = 15.0
"""Signs closer to each other than this would cover one another."""
_WORD = 56.0
"""Width below which a window has room for a mark only."""
_TICKS = 8
_NAME, _UNIT = 200, 24

_TICK = "M-4 0.5L-1.2 3.4L4.4 -3.6"
_CROSS = "M-3.4 -3.4L3.4 3.4M3.4 -3.4L-3.4 3.4"
_BANG = "M0 -4.2V1M0 3.6V4"
_SIGNS = {"found": _TICK, "false": _CROSS, "unlabelled": _BANG}


@dataclass(frozen=True, eq=False)
class View:
    """The part of a case that its pictures show."""

    result: SeriesResult
    part: slice
    """Its instants."""

    @property
    def times(self) -> FloatArray:
        """[instants of the view]: Unix seconds."""
        return self.result.run.case.times[self.part]

    def x(self, at: float) -> float:
        """Where a time stands, inside the picture in any case."""
        return min(max(self.scale(WIDTH).x(at), 0.0), WIDTH)

    def shows(self, start: float, end: float) -> bool:
        """Whether any of a span of time is inside of the picture."""
        return bool(end >= self.times[0] and start <= self.times[-1])

    def scale(self, height: float, smallest: float = 0.0, largest: float = 1.0) -> Scale:
        """Of a part of the picture; for scores, where no values are given."""
        ends = float(self.times[0]), float(self.times[-1])
        return Scale(*ends, smallest, largest, Size(WIDTH, height), 0.0, _MARGIN)


def view_of(result: SeriesResult) -> View | None:
    """What to show: all that counts, and a part of what was there to learn from; None where there is no instant."""
    counted = result.counted
    before = math.ceil(_BEFORE * max(counted.stop - counted.start, 1))
    part = slice(max(0, counted.start - before), counted.stop)
    return View(result, part) if part.start < part.stop else None


def case_picture(view: View, threshold: float, verdicts: Sequence[Verdict] = ()) -> Markup:
    """A case on one axis of time: the values where it is one series, its alerts, its score.

    Args:
        view: what is shown.
        threshold: a score that reaches it is an alert.
        verdicts: marked at the axis.
    """
    result, alone = view.result, len(view.result.run.case.series) == 1
    alerts_at = _VALUES if alone else _ALERTS
    score_at = alerts_at + _ALERTS
    size = Size(WIDTH, score_at + _SCORE + _AXIS)
    parts = [
        opening(
            f"{one_line(result.name, _NAME)}: {'values, ' if alone else ''}alerts and score",
            size,
            "picture",
            _words(result),
        ),
        *_ground(view, score_at + _SCORE),
    ]
    band, drawn = _values(view, 0, _VALUES) if alone else ([], [])
    parts += [*band, *_windows(view, score_at + _SCORE), *drawn]
    parts += [f'<g transform="translate(0,{alerts_at:g})">', *_alerts(view, alerts_at), "</g>"]
    parts += [f'<g transform="translate(0,{score_at:g})">', *_scores(view, threshold), "</g>"]
    parts += [f'<g transform="translate(0,{score_at + _SCORE:g})">', *_axis(view, verdicts), "</g></svg>"]
    return Markup("".join(parts))  # noqa: S704 - numbers, and foreign text that is escaped


def series_picture(view: View, row: int) -> Markup:
    """The values of one of several series of a case, on the axis of `case_picture`."""
    name = one_line(str(view.result.run.case.series[row]), _NAME)
    band, drawn = _values(view, row, _SMALL_VALUES)
    parts = [
        opening(f"{name}: values", Size(WIDTH, _SMALL_VALUES), "picture"),
        *_ground(view, _SMALL_VALUES),
        *band,
        *_windows(view, _SMALL_VALUES, marked=False),
        *drawn,
        *_onsets(view, _SMALL_VALUES),
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704 - numbers, and foreign text that is escaped


def _words(result: SeriesResult) -> str:
    """What the picture shows, for those who cannot see it."""
    case = result.run.case
    windows = ". ".join(f"Labelled window {at}: {_window_words(one)}" for at, one in enumerate(result.windows, 1))
    labelled = all(episode.labelled for episode in result.episodes)
    alerts = f"{len(result.episodes)} {'alert' if len(result.episodes) == 1 else 'alerts'}"
    counts = f"{alerts}{f', {result.false_alerts} of them false' if labelled else ''}."
    span = f"{moment(float(case.times[0]))} to {moment(float(case.times[-1]))}."
    return " ".join(part for part in (span, counts, windows) if part)


def _window_words(one: WindowResult) -> str:
    span = f"{moment(one.window.start)} to {moment(one.window.end)}, {one.state}"
    return span if one.delay is None else f"{span} when {one.delay:.0%} of it had passed"


def _ground(view: View, height: float) -> list[str]:
    """What lies behind everything: the frame, lines at round times, and the time that does not count."""
    parts = [f'<rect class="ground" width="{WIDTH:g}" height="{height:g}"/>']
    lines = "".join(f"M{view.x(at):.1f} 0V{height:g}" for at, _ in _ticks(view))
    parts.append(f'<path class="grid" d="{lines}"/>')
    counted = view.result.run.case.times[view.result.counted]
    counts_from = view.x(float(counted[0])) if counted.size else WIDTH
    if counts_from > 0:
        parts.append(f'<rect class="learning" width="{counts_from:.1f}" height="{height:g}"/>')
        if counts_from > 2 * _WORD:
            parts.append(f'<text x="{counts_from - 5:.1f}" y="13" text-anchor="end">learning</text>')
    return parts


def _ticks(view: View) -> list[tuple[float, str]]:
    return ticks(float(view.times[0]), float(view.times[-1]), _TICKS)


def _windows(view: View, height: float, *, marked: bool = True) -> list[str]:
    """The labelled windows, each with a tick or a cross at its top, and the faults of an experiment."""
    parts = []
    windows = view.result.windows
    signed = _apart([view.x(one.window.start) for one in windows]) if marked else []
    for at, one in enumerate(windows):
        if not view.shows(one.window.start, one.window.end):
            continue
        left, right = view.x(one.window.start), view.x(one.window.end)
        width = max(right - left, _NARROWEST)
        parts.append(
            f'<g class="window {one.state.replace(" ", "-")}">'
            f"<title>labelled window {at + 1}: {escape(_window_words(one))}</title>"
            f'<rect x="{left:.1f}" width="{width:.1f}" height="{height:g}"/>'
        )
        if at in signed:
            sign = {"found": _TICK, "missed": _CROSS}.get(one.state, "")
            parts.append(f'<path transform="translate({left + 8:.1f},9)" d="{sign}"/>')
            if width > _WORD:
                parts.append(f'<text x="{left + 16:.1f}" y="13">{one.state}</text>')
        parts.append("</g>")
    return parts + _faults(view, height)


def _faults(view: View, height: float) -> list[str]:
    """When faults were injected; with a flag where there is room for one."""
    faults = [fault for fault in view.result.faults if view.shows(fault.at, fault.at)]
    flagged = _apart([view.x(fault.at) for fault in faults])
    parts = []
    for at, fault in enumerate(faults):
        place = view.x(fault.at)
        words = escape(one_line(f"{moment(fault.at)} {fault.kind} in {fault.group}", _NAME))
        flag = f'<path class="flag" d="M{place:.1f} 0h9l-3 4l3 4h-9z"/>' if at in flagged else ""
        parts.append(f'<g class="fault"><title>{words}</title><path d="M{place:.1f} 0V{height:g}"/>{flag}</g>')
    return parts


def _values(view: View, row: int, height: float) -> tuple[list[str], list[str]]:
    """The band that one series was expected in; and its line, with the ends of the scale in words."""
    run = view.result.run
    values = _finite(run.case.values[row, view.part])
    lower, upper = run.expected_lower[row, view.part], run.expected_upper[row, view.part]
    reach = bounds(values, lower, upper)
    if reach is None:
        return [], [f'<text x="4" y="{height / 2:g}">no values</text>']
    scale = view.scale(height, *reach)
    unit = one_line(run.case.series[row].unit, _UNIT)
    return [f'<path class="band" d="{area(view.times, lower, upper, scale)}"/>'], [
        f'<path class="line" d="{line(view.times, values, scale)}"/>',
        f'<text x="4" y="14">{escape(number(reach[1], unit))}</text>',
        f'<text x="4" y="{height - 5:g}">{escape(number(reach[0], unit))}</text>',
    ]


def _alerts(view: View, above: float) -> list[str]:
    """The row of alerts: a filled bar with a tick for one that found something, a hatched one with a cross for a false one."""
    parts = [f'<rect class="rail" width="{WIDTH:g}" height="{_ALERTS:g}"/>']
    signed = _signed(view)
    for episode in view.result.episodes:
        left, right = view.x(episode.start), view.x(episode.end)
        kind = _kind(episode)
        parts.append(
            f'<g class="alert {kind}"><title>{escape(alert_words(episode))}</title>'
            f'<rect x="{left:.1f}" y="1" width="{max(right - left, _NARROWEST):.1f}" height="{_ALERTS - 2:g}"/>'
        )
        if episode in signed:
            parts.append(
                f'<path class="onset" d="M{left:.1f} {-above:g}V0"/>'
                f'<circle cx="{left:.1f}" cy="{_ALERTS / 2:g}" r="7.5"/>'
                f'<path class="sign" transform="translate({left:.1f},{_ALERTS / 2:g})" d="{_SIGNS[kind]}"/>'
            )
        parts.append("</g>")
    return parts


def _kind(episode: Episode) -> str:
    if not episode.labelled:
        return "unlabelled"
    return "false" if episode.false else "found"


def _onsets(view: View, height: float) -> list[str]:
    """Where alerts began, over the height of a picture."""
    return [
        f'<g class="alert {_kind(episode)}"><path class="onset" d="M{view.x(episode.start):.1f} 0V{height:g}"/></g>'
        for episode in sorted(_signed(view), key=lambda episode: episode.start)
    ]


def _signed(view: View) -> set[Episode]:
    """The alerts that have room for a sign; where they crowd, those that found something come first."""
    episodes = view.result.episodes
    by_worth = sorted(episodes, key=lambda episode: (episode.found_window is None, episode.start))
    return {by_worth[at] for at in _apart([view.x(episode.start) for episode in by_worth])}


def _apart(places: Sequence[float]) -> list[int]:
    """Of signs wanted at these places, in order of worth, those that keep clear of each other, by index."""
    kept: list[int] = []
    for at, place in enumerate(places):
        if all(abs(place - places[other]) >= _SIGN for other in kept):
            kept.append(at)
    return kept


def alert_words(episode: Episode) -> str:
    """An alert in words: what it found, when it was, how high it rose."""
    what = "false alert" if episode.false else "alert"
    what = what if episode.found_window is None else f"found window {episode.found_window + 1}"
    return f"{what}: {moment(episode.start)} to {moment(episode.end)}, peak {number(episode.peak)}"


def _scores(view: View, threshold: float) -> list[str]:
    """The score against its threshold; behind it the screen's alone, where a model had a say."""
    scale = view.scale(_SCORE)
    middle = min(max(scale.y(threshold), 0.0), _SCORE)
    before = view.result.screen_score
    parts = []
    if before is not None:
        parts.append(f'<path class="line before" d="{line(view.times, _score(before, view), scale)}"/>')
    return [
        *parts,
        f'<path class="threshold" d="M0 {middle:.1f}H{WIDTH:g}"/>',
        f'<path class="line score" d="{line(view.times, _score(view.result.score, view), scale)}"/>',
        f'<text x="4" y="{middle - 4:.1f}">score {escape(number(threshold))}</text>',
    ]


def _score(score: FloatArray, view: View) -> FloatArray:
    shown: FloatArray = np.clip(_finite(score[view.part]), 0.0, 1.0)
    return shown


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, np.nan)


def _axis(view: View, verdicts: Iterable[Verdict]) -> list[str]:
    parts = []
    for verdict in verdicts:
        words = escape(one_line(f"verdict of {moment(verdict.at)}: {verdict.summary or verdict.outcome}", _NAME))
        parts.append(f'<path class="verdict" d="M{view.x(verdict.at):.1f} 0l4 7h-8z"><title>{words}</title></path>')
    marks = [(view.x(at), text) for at, text in _ticks(view)]
    for (place, text), (following, _) in pairwise([*marks, (math.inf, "")]):
        if place + 7.0 * len(text) < min(WIDTH, following):
            parts.append(f'<text x="{place + 3:.1f}" y="21">{escape(text)}</text>')
    return parts
