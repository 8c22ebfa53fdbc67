"""Durations as Prometheus writes them: `30s`, `1h30m`, `0`."""

import re

_UNITS = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PATTERN = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))


def parse_duration(text: str) -> float:
    """Seconds in a Prometheus duration.

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
    return sum(int(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count)


def format_duration(seconds: float) -> str:
    """The shortest duration text that `parse_duration` reads back as the same number of milliseconds."""
    left = round(seconds * 1000)
    if left == 0:
        return "0"
    text = ""
    for unit, size in _UNITS.items():
        if unit in ("y", "w"):
            continue
        count, left = divmod(left, round(size * 1000))
        if count:
            text += f"{count}{unit}"
    return text
