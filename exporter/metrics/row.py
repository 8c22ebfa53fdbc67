"""One row of the metric catalogue, and how rows are written down."""

from dataclasses import dataclass
from typing import Literal

MetricKind = Literal["gauge", "counter", "histogram", "info"]
OpenLabels = Literal["", "series", "group"]


@dataclass(frozen=True, slots=True)
class Row:
    """What is fixed about one metric."""

    name: str
    """As it stands in the text format: counters end in `_total`, info metrics in `_info`."""
    type: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    """Base unit; the name ends with it wherever the metric has one."""
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without the infinite one."""
    more_labels: OpenLabels = ""
    """Whose own labels stand beside `labels`: those of the scored series, or those of the group."""
    planned: bool = False
    """The name is decided, nothing exposes it yet."""

    @property
    def family(self) -> str:
        """The name of the family in OpenMetrics, where the suffixes of counters and info metrics belong to the samples."""
        return self.name.removesuffix({"counter": "_total", "info": "_info"}.get(self.type, ""))

    @property
    def metadata_unit(self) -> str:
        """The unit for OpenMetrics' UNIT line, which is allowed only where the family's name ends with it."""
        return self.unit if self.unit and self.family.endswith(f"_{self.unit}") else ""


def gauge(
    name: str,
    text: str,
    labels: tuple[str, ...] = (),
    unit: str = "",
    *,
    more: OpenLabels = "",
    planned: bool = False,
) -> Row:
    """A row for a gauge."""
    return Row(name=name, type="gauge", help=text, labels=labels, unit=unit, more_labels=more, planned=planned)


def counter(name: str, text: str, labels: tuple[str, ...], unit: str = "", *, planned: bool = False) -> Row:
    """A row for a counter."""
    return Row(name=name, type="counter", help=text, labels=labels, unit=unit, planned=planned)


def histogram(
    name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...], unit: str, *, planned: bool = False
) -> Row:
    """A row for a histogram."""
    return Row(name=name, type="histogram", help=text, labels=labels, unit=unit, buckets=buckets, planned=planned)


def info(name: str, text: str, labels: tuple[str, ...]) -> Row:
    """A row for a metric that is always 1."""
    return Row(name=name, type="info", help=text, labels=labels)
