"""The unit that a metric's name tells, where its source does not say one."""

import re

_BASE_UNITS = frozenset(
    {
        "seconds",
        "bytes",
        "ratio",
        "celsius",
        "volts",
        "amperes",
        "joules",
        "watts",
        "grams",
        "meters",
        "hertz",
        "tokens",
    }
)
"""Prometheus, "Metric and label naming", base units; with watts and hertz, which exporters use, and our own tokens."""
_KIND_SUFFIX = re.compile(r"_(total|bucket|sum)$")
_POINT_IN_TIME = re.compile(r"_(timestamp|start_time|boot_time)_seconds$")


def unit_in(name: str) -> str:
    """The base unit at the end of a metric's name; empty where there is none.

    A point in time is counted in seconds, but is no length of time: it gets no unit.
    """
    if _POINT_IN_TIME.search(name):
        return ""
    last = _KIND_SUFFIX.sub("", name).rpartition("_")[2]
    return last if last in _BASE_UNITS else ""
