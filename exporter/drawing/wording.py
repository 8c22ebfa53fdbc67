"""Numbers, times and labels in words for people."""

import math
from datetime import UTC, datetime

from exporter.series.labels import Labels

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((1024.0**4, "TiB"), (1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"))

BINARY_UNITS = ("bytes", "bytes/s")
"""Those whose values are written in KiB, MiB and so on."""


def number(value: float | None, unit: str = "") -> str:
    """A value for people: three or four digits, a prefix for size, the unit behind; – where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if unit in BINARY_UNITS:
        return _scaled(value, _BINARY, " B", " ") + unit.removeprefix("bytes")
    if unit == "seconds":
        return duration(value)
    if unit == "ratio":
        return f"{_digits(value * 100)} %"
    return _scaled(value, _SI, "", " ") + (f" {unit}" if unit else "")


def edge(value: float, unit: str = "") -> str:
    """The edge of a band beside a value: the unit only where it scales."""
    return number(value, unit if unit in (*BINARY_UNITS, "seconds", "ratio") else "")


def duration(seconds: float | None) -> str:
    """A span of time in its largest fitting unit, two where that says more."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    size = abs(seconds)
    if size < 1:
        return f"{_digits(seconds * 1000)} ms"
    if size < 120:
        return f"{_digits(seconds)} s"
    if size < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    if size < 2 * 86400:
        return f"{seconds / 3600:.1f} h".replace(".0 h", " h")
    return f"{seconds / 86400:.0f} days"


def ago(at: float, now: float) -> str:
    """How long before `now` something was, in words."""
    if at <= 0:
        return "never"
    past = now - at
    return "just now" if past < 1 else f"{duration(max(round(past), 1))} ago"


def utc(at: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def label_text(labels: Labels) -> str:
    """`name=value` pairs for reading; "all series" for the group without labels."""
    return ", ".join(f"{name}={value}" for name, value in labels) or "all series"


def _scaled(value: float, steps: tuple[tuple[float, str], ...], plain: str, gap: str) -> str:
    for step, prefix in steps:
        if abs(value) >= step:
            return f"{_digits(value / step)}{gap}{prefix}"
    return f"{_digits(value)}{plain}"


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.1e}"
    places = max(0, 3 - len(str(int(abs(value))))) if abs(value) >= 1 else 3
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
