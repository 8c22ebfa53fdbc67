"""Whether the numbers of a text occur in another: what a model states must stand in what it was shown.

A number counts as the same when it is a rounding of one that was shown, in any unit that either may be read
in: `97%` of 0.973, `1.2 GB` of 1234567890, `5 minutes` of 300, `1,200` of 1234. Rounding that moves a value by more
than 5 % is none, and 0 is only 0. Signs are ignored (`dropped by 40` of -40). Dates, clock times, addresses and versions
must stand there letter by letter. Digits that follow a letter (p90, E1, node_load1), ordinals (90th) and status
classes (5xx) are names, not numbers.
"""

import math
import re
from bisect import bisect_left
from dataclasses import dataclass

_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_SECOND_WORDS = {
    "millisecond": 1e-3,
    "milliseconds": 1e-3,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "day": 86400.0,
    "days": 86400.0,
    "week": 604800.0,
    "weeks": 604800.0,
}
_PERCENT = {"%": (0.01,), "percent": (0.01,)}
_MAGNITUDES = {
    "thousand": (1e3,),
    "million": (1e6,),
    "billion": (1e9,),
    "trillion": (1e12,),
    "B": (1e9,),
    "k": (1e3, 2.0**10),
    "K": (1e3, 2.0**10),
    **{
        f"{letter}{tail}": (10.0 ** (3 * power), 2.0 ** (10 * power))
        for power, letter in enumerate("MGTP", 2)
        for tail in ("", "B")
    },
    **{f"{letter}B": (1e3, 2.0**10) for letter in "kK"},
    **{f"{letter}i{tail}": (2.0 ** (10 * power),) for power, letter in enumerate("KMGTP", 1) for tail in ("", "B")},
}
_UNITS: dict[str, tuple[float, ...]] = {
    **{unit: (seconds,) for unit, seconds in {**_SECONDS, **_SECOND_WORDS}.items()},
    **_PERCENT,
    **_MAGNITUDES,
}

_NAME = re.compile(
    r"(?<![\w.])\d{4}-\d{2}-\d{2}(?!\d)"  # date
    r"|(?:(?<![\w.:])|(?<=\dT))\d{1,2}:\d{2}(?::\d{2})?(?![\d:])"  # clock time
    r"|(?<![\w.])\d+(?:\.\d+){2,}(?!\w)",  # address, version
)
_DURATION = re.compile(r"(?<![\w.])(?:\d+(?:ms|[wdhms])){2,}(?!\w)")
_DURATION_PART = re.compile(r"(\d+)(ms|[wdhms])")
_NUMBER = re.compile(
    r"(?<![\w.])(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?P<power>[eE][-+]?\d{1,3}(?!\w))?"
    r"(?P<name>(?:st|nd|rd|th|xx)(?!\w))?"
    r"(?:[ -]?(?P<unit>%|[A-Za-zµμ]+))?",
)
_SPACES_IN_NUMBERS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})

_GREATEST_ROUNDING = 0.05
_ROUND_THOUSANDS = 1000.0
_SIGNIFICANT_DIGITS = 2
_FLOAT_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Stated:
    """What a text states in digits."""

    numbers: tuple[float, ...]
    """Without sign, sorted, in every unit that each may be read in."""
    names: frozenset[str]
    """Dates, clock times, addresses and versions, as they stand."""


@dataclass(frozen=True, slots=True)
class _Reading:
    value: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class _Number:
    text: str
    readings: tuple[_Reading, ...]


def stated_in(text: str) -> Stated:
    """Everything that this text states in digits."""
    names, numbers = _scan(text)
    values = {reading.value for number in numbers for reading in number.readings if math.isfinite(reading.value)}
    return Stated(tuple(sorted(values)), frozenset(names))


def not_stated(text: str, shown: Stated) -> tuple[str, ...]:
    """The numbers and names in this text that do not occur in what was shown, as they stand, each once."""
    names, numbers = _scan(text)
    missing = [name for name in names if name not in shown.names]
    missing += [
        number.text for number in numbers if not any(_occurs(reading, shown.numbers) for reading in number.readings)
    ]
    return tuple(dict.fromkeys(missing))


def _scan(text: str) -> tuple[list[str], list[_Number]]:
    text = text.translate(_SPACES_IN_NUMBERS)
    names = _NAME.findall(text)
    text = _NAME.sub(" ", text)
    numbers = [_duration(match.group()) for match in _DURATION.finditer(text)]
    text = _DURATION.sub(" ", text)
    numbers += [_number(match) for match in _NUMBER.finditer(text) if match["name"] is None]
    return names, numbers


def _duration(text: str) -> _Number:
    seconds = sum(float(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
    return _Number(text, (_Reading(seconds, 0.0),))


def _number(match: re.Match[str]) -> _Number:
    digits = match["digits"].replace(",", "")
    value = float(digits + (match["power"] or ""))
    half_step = 0.5 * _last_place(digits) * (value / float(digits) if float(digits) else 1.0)
    unit = match["unit"] or ""
    factors = _UNITS.get(unit, ())
    readings = tuple(_reading(value, half_step, factor) for factor in (1.0, *factors))
    return _Number(match.group().strip() if factors else match["digits"] + (match["power"] or ""), readings)


def _reading(value: float, half_step: float, factor: float) -> _Reading:
    return _Reading(value * factor, min(half_step, _GREATEST_ROUNDING * value) * factor)


def _last_place(digits: str) -> float:
    """The unit of the last digit that means something; zeros that end a number of thousands may come from rounding."""
    whole, _, fraction = digits.partition(".")
    if fraction:
        return 10.0 ** -len(fraction)
    if not _ROUND_THOUSANDS <= float(whole) < math.inf:
        return 1.0
    zeros = len(whole) - len(whole.rstrip("0"))
    return 10.0 ** min(zeros, len(whole) - _SIGNIFICANT_DIGITS)


def _occurs(reading: _Reading, numbers: tuple[float, ...]) -> bool:
    if not math.isfinite(reading.value):
        return False
    reach = reading.tolerance + _FLOAT_NOISE * reading.value
    at = bisect_left(numbers, reading.value - reach)
    return at < len(numbers) and numbers[at] <= reading.value + reach
