"""Words: numbers as people read them at night, and the sentences of the detectors.

All numbers of a text are written by `format_number`, so that a text that quotes them can be checked against it.
"""

import math
import re
from dataclasses import dataclass

from exporter.screening.baseline import LARGEST, Baseline

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w|\.\d)")
_DIGITS = 4
_PLAIN_BELOW, _PLAIN_FROM = 6, -4
"""Exponents between which numbers are written without one: 0.0001 to 999900."""
_LARGEST = 1.797e308
"""The largest number of 4 digits that reads back as a finite one."""
_SHORT_UNITS = {"seconds": "s", "bytes": "B", "ratio": "", "": ""}
_BINARY = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_SPANS = ((2 * 86400.0, 86400.0, "d"), (2 * 3600.0, 3600.0, "h"), (120.0, 60.0, "min"))


def format_number(value: float) -> str:
    """At most 4 significant digits, plain where that is short, else like `1.288e9`; `NaN`, `+Inf`, `-Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "0"
    mantissa, exponent = f"{min(max(value, -_LARGEST), _LARGEST):.{_DIGITS - 1}e}".split("e")
    power = int(exponent)
    if _PLAIN_FROM <= power < _PLAIN_BELOW:
        text = f"{float(f'{mantissa}e{power}'):.{max(_DIGITS - 1 - power, 0)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{mantissa.rstrip('0').rstrip('.')}e{power}"


def format_value(value: float, unit: str) -> str:
    """A number with its unit, and beside it the same for people where it is a large size or a long time."""
    text = f"{format_number(value)} {short_unit(unit)}".rstrip()
    if unit.removesuffix("/s") == "bytes":
        for size, name in _BINARY:
            if size <= abs(value) < math.inf:
                return f"{text} ({format_number(round(value / size, 1))} {name}{'/s' if unit.endswith('/s') else ''})"
    if unit == "seconds" and 120 <= abs(value) < math.inf:
        sign = "-" if value < 0 else ""
        return f"{text} ({sign}{format_span(abs(value))})"
    return text


def short_unit(unit: str) -> str:
    """`s` for seconds, `B/s` for bytes/s, nothing for a ratio; others as they are."""
    base = unit.removesuffix("/s")
    return _SHORT_UNITS.get(base, base) + unit[len(base) :]


def format_span(seconds: float) -> str:
    """A length of time in the unit that suits it: `45 s`, `3.5 min`, `2 h`, `14 d`."""
    for from_, size, name in _SPANS:
        if seconds >= from_:
            return f"{format_number(round(seconds / size, 1))} {name}"
    return f"{format_number(round(seconds, 1) if seconds >= 1 else seconds)} s"


def numbers_in(text: str) -> tuple[float, ...]:
    """All numbers of a text, in order; digits inside words (`p90`) are not numbers."""
    return tuple(float(match) for match in _NUMBER.findall(text))


def rank_text(baseline: Baseline, row: int, at: int, unit: str) -> str:
    """Where a judged value lies against the history; `at` counts the judged instants from the oldest."""
    lowest, highest = float(baseline.past.minimum[row]), float(baseline.past.maximum[row])
    value = _value(baseline, row, len(baseline.times) - baseline.judged + at)
    text = f"{_when(baseline, row, at, unit)}, {_usual(baseline, row, unit)}"
    width = float(baseline.past.upper[row] - baseline.past.lower[row])
    distance, edge, place = (
        (value - highest, highest, "above the highest value seen")
        if value > highest
        else (lowest - value, lowest, "below the lowest value seen")
    )
    if distance <= 0 or lowest == highest:
        return text
    far = f"{_roughly(distance / width)} times that range" if width > 0 else format_value(distance, unit)
    return f"{text}; {far} {place} ({format_number(edge)})"


def mean_text(baseline: Baseline, mean: float, usual: tuple[float, float], unit: str) -> str:
    """How the mean of the judged values compares with earlier means of as many."""
    low, high = (format_number(end) for end in usual)
    between = f"always {low}" if low == high else f"between {low} and {high}"
    return (
        f"the mean of the newest {baseline.judged} values is {format_value(mean, unit)}; "
        f"in the {_history_span(baseline)} before, such means were {between}"
    )


@dataclass(frozen=True, slots=True)
class Deviation:
    """A robust deviation in numbers, of one of the judged values."""

    instant: int
    spread: float
    times: float
    as_far: int


def robust_text(baseline: Baseline, row: int, deviation: Deviation, unit: str) -> str:
    """How many spreads a value lies from the median."""
    seen = (
        f"; {deviation.as_far} earlier {_plural('value', deviation.as_far)} lay as far out" if deviation.as_far else ""
    )
    median = float(baseline.past.median[row])
    value = _value(baseline, row, deviation.instant)
    side = "above" if value > median else "below"
    return (
        f"{format_value(value, unit)} lies {_roughly(deviation.times)} times the usual spread "
        f"({format_number(deviation.spread)}) {side} the median {format_number(median)}{seen}"
    )


def jump_text(baseline: Baseline, row: int, instant: int, largest: float, unit: str) -> str:
    """A change from one instant to the next, against the largest one of that direction before."""
    start, end = _value(baseline, row, instant - 1), _value(baseline, row, instant)
    verb, noun = ("rose", "rise") if end > start else ("fell", "fall")
    before = f"the largest {noun} in one step was {format_number(largest)}" if largest > 0 else f"it never {verb}"
    return (
        f"{verb} by {format_value(abs(end - start), unit)} within {_between(baseline, instant - 1, instant)}, "
        f"from {format_number(start)} to {format_number(end)}; before, {before}"
    )


def level_shift_text(baseline: Baseline, since: int, level: float, earlier: tuple[float, float], unit: str) -> str:
    """A new level against the levels before; `since` is the instant from which on it is certain."""
    low, high = (format_number(end) for end in earlier)
    was = low if low == high else f"{low} to {high}"
    return (
        f"for the newest {_between(baseline, since, -1)} the level is about {format_value(level, unit)}; "
        f"before, in a window of {_between(baseline, 0, -1)}, it was {was}"
    )


def flatline_text(baseline: Baseline, row: int, run: int, unit: str) -> str:
    """A series that stands still."""
    value = format_value(_value(baseline, row, -1), unit)
    return (
        f"exactly {value} for the newest {run} values ({_between(baseline, -run, -1)}), "
        f"although it normally keeps moving: {_usual(baseline, row, unit)}"
    )


def missing_text(baseline: Baseline, row: int, run: int, present: int, unit: str) -> str:
    """A series that is absent."""
    before = len(baseline.times) - run
    last = _value(baseline, row, before - 1)
    was = "" if math.isnan(last) else f", the last was {format_value(last, unit)}"
    return (
        f"no value at the newest {run} instants, while the target still gives other series; "
        f"before that {present} of {before} instants had one{was}"
    )


def limits_text(value: float, limit: float, unit: str) -> str:
    """A value outside the range that is configured as valid."""
    side, end = ("above", "highest") if value > limit else ("below", "lowest")
    return f"{format_value(value, unit)} is {side} {format_number(limit)}, the {end} value that the configuration calls valid"


def _when(baseline: Baseline, row: int, at: int, unit: str) -> str:
    """The judged value, said of its time."""
    instant = len(baseline.times) - baseline.judged + at
    text = format_value(_value(baseline, row, instant), unit)
    if at == baseline.judged - 1:
        return f"now {text}"
    newest = _value(baseline, row, -1)
    now = "no value now" if math.isnan(newest) else f"now {format_number(newest)}"
    return f"{text}, {_between(baseline, instant, -1)} ago ({now})"


def _value(baseline: Baseline, row: int, instant: int) -> float:
    """A value as its source gave it: the infinite ones are infinite again."""
    value = float(baseline.values[row, instant])
    return math.copysign(math.inf, value) if abs(value) >= LARGEST else value


def _usual(baseline: Baseline, row: int, unit: str) -> str:
    low, high = float(baseline.past.lower[row]), float(baseline.past.upper[row])
    if baseline.past.minimum[row] == baseline.past.maximum[row]:
        return f"always {format_value(low, unit)} in the {_history_span(baseline)} before"
    ends = f"{format_number(low)} to {format_number(high)} {short_unit(unit)}".rstrip()
    return f"usually {ends} (middle 99% of the {_history_span(baseline)} before)"


def _history_span(baseline: Baseline) -> str:
    return _between(baseline, 0, len(baseline.times) - baseline.guard - 1)


def _between(baseline: Baseline, first: int, last: int) -> str:
    return format_span(float(baseline.times[last] - baseline.times[first]))


def _roughly(factor: float) -> str:
    """A factor to 2 digits: more would be noise."""
    return format_number(float(f"{factor:.1e}"))


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
