"""The Prometheus text format 0.0.4, written by hand: what the demo target says on `/metrics`."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a suffix behind the family's name, labels, a value."""

    value: float
    labels: Mapping[str, str]
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one metric."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: tuple[Sample, ...]


def plain(name: str, kind: Literal["counter", "gauge"], help_text: str, value: float) -> Family:
    """A metric with one sample and no labels."""
    return Family(name, kind, help_text, (Sample(value, {}),))


def by_label(
    name: str, kind: Literal["counter", "gauge"], help_text: str, label: str, values: Iterable[tuple[str, float]]
) -> Family:
    """A metric with one label."""
    return Family(name, kind, help_text, tuple(Sample(value, {label: key}) for key, value in values))


def histogram(name: str, help_text: str, edges: Sequence[float], counts: Sequence[int], total: float) -> Family:
    """A histogram.

    Args:
        name: of the family.
        help_text: in words.
        edges: upper edges of the buckets, ascending, without +Inf.
        counts: how many a bucket, not cumulative, one more than edges.
        total: sum of all observations.
    """
    samples, below = [], 0
    for edge, count in zip([*edges, math.inf], counts, strict=True):
        below += count
        samples.append(Sample(below, {"le": _number(edge)}, "_bucket"))
    samples += [Sample(total, {}, "_sum"), Sample(below, {}, "_count")]
    return Family(name, "histogram", help_text, tuple(samples))


def render(families: Iterable[Family]) -> str:
    """The whole page."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_quoted(value)}"' for name, value in sample.labels.items())
        yield (
            f"{family.name}{sample.suffix}{{{labels}}} {_number(sample.value)}\n"
            if labels
            else (f"{family.name}{sample.suffix} {_number(sample.value)}\n")
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(value)
