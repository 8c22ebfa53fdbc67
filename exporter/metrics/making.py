"""Counters, gauges and histograms of prometheus_client, named and described by the catalogue."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from exporter.metrics.catalogue import row

Labels = tuple[str, ...]


def counter(registry: CollectorRegistry, name: str) -> Counter:
    """The counter of this name."""
    entry = row(name)
    return Counter(entry.family, entry.help, entry.labels, unit=entry.metadata_unit, registry=registry)


def gauge(registry: CollectorRegistry, name: str) -> Gauge:
    """The gauge of this name."""
    entry = row(name)
    return Gauge(entry.family, entry.help, entry.labels, unit=entry.metadata_unit, registry=registry)


def histogram(registry: CollectorRegistry, name: str) -> Histogram:
    """The histogram of this name, with the catalogue's buckets."""
    entry = row(name)
    return Histogram(
        entry.family, entry.help, entry.labels, unit=entry.metadata_unit, buckets=entry.buckets, registry=registry
    )


def show(instrument: Gauge, labels: Labels, value: float | None) -> None:
    """Set a gauge, or take its series away where there is nothing to show: an older value is not the present one."""
    if value is None:
        instrument.remove(*labels)
    else:
        instrument.labels(*labels).set(value)
