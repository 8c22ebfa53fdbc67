"""Where the marks of an axis stand: round values, and times of the clock."""

import math

_STEPS = (1.0, 2.0, 5.0, 10.0)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_TIME_STEPS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(_MINUTE * step for step in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * step for step in (1, 2, 3, 6, 12)),
    *(_DAY * step for step in (1, 2, 7, 14, 28, 91, 364)),
)


def value_ticks(smallest: float, largest: float, most: int = 3) -> list[float]:
    """Round values within a range, at most so many; none where the range is empty or beyond what floats can divide."""
    span = largest - smallest
    if not math.isfinite(span) or span <= 0 or most < 1:
        return []
    magnitude = 10.0 ** math.floor(math.log10(span / most)) if span / most > 0 else 0.0
    for step in (magnitude * factor for factor in _STEPS):
        if step <= 0 or not math.isfinite(smallest / step) or abs(smallest / step) > 1e12:
            continue
        first, last = math.ceil(smallest / step), math.floor(largest / step)
        if last - first < most:
            return [place * step for place in range(first, last + 1)]
    return []


def time_ticks(begin: float, end: float, most: int = 5) -> list[float]:
    """Round times of the UTC clock within a span, at most so many, in Unix seconds."""
    if not math.isfinite(end - begin) or end <= begin:
        return []
    for step in _TIME_STEPS:
        first, last = math.ceil(begin / step), math.floor(end / step)
        if last - first < most:
            return [tick for tick in (place * step for place in range(first, last + 1)) if begin <= tick <= end]
    return []
