"""What a time series is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MetricType = Literal["counter", "gauge", "histogram", "summary", "info", "stateset", "gaugehistogram", "unknown"]

Labels = tuple[tuple[str, str], ...]
"""Label pairs sorted by name, without `__name__`: hashable, and equal when they mean the same."""


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Sorted label pairs; an empty value is the same as no label, as in Prometheus."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


@dataclass(frozen=True, slots=True)
class Series:
    """The identity of one time series and what its source says about it."""

    name: str
    labels: Labels
    type: MetricType = "unknown"
    help: str = ""
    unit: str = ""

    def __str__(self) -> str:
        """As Prometheus writes it: `name{label="value"}`."""
        if not self.labels:
            return self.name
        return f"{self.name}{{{format_labels(self.labels)}}}"


def escape_label_value(value: str) -> str:
    """Escaped as the text format asks: backslash, double quote and newline."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def format_labels(labels: Labels) -> str:
    """`a="1",b="2"`, escaped, without braces."""
    return ",".join(f'{name}="{escape_label_value(value)}"' for name, value in labels)
