"""Durations as Prometheus writes them: `30s`, `1h30m`, `0`."""

import re

_MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PATTERN = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,18}}){unit})?" for unit in _MILLISECONDS))
_LONGEST = (2**63 - 1) // 1_000_000
"""Milliseconds in the longest duration that Prometheus can hold: 2^63 - 1 nanoseconds, about 292 years."""


def parse_duration(text: str) -> float:
    """Seconds in a Prometheus duration, exact to the millisecond.

    Source: the `<duration>` grammar of Prometheus' configuration documentation: units from large to small,
    each at most once, whole numbers; a bare `0` is allowed.

    Raises:
        ValueError: the text is no such duration; says what one looks like.
    """
    if text == "0":
        return 0.0
    match = _PATTERN.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is no duration; write it like 30s, 5m or 1h30m")
    milliseconds = sum(int(count) * _MILLISECONDS[unit] for unit, count in match.groupdict().items() if count)
    if milliseconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than the 292 years that a duration can be")
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """A duration text that `parse_duration` reads back as the same number of milliseconds.

    Days are the largest unit: `7d`, not `1w`, because that is how retention times are written.
    """
    left = round(seconds * 1000)
    if left == 0:
        return "0"
    text = ""
    for unit, size in _MILLISECONDS.items():
        if unit in ("y", "w"):
            continue
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return text
