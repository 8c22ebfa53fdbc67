"""What is counted of annotations in Grafana. All names come from the catalogue."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from exporter.metrics.making import counter, gauge

OUTCOMES = ("created", "updated", "dropped")


class AnnotationInstruments:
    """Counters and gauges of annotations. Safe to use from any thread.

    Args:
        registry: where the metrics appear; each registry can hold one set of instruments.
        reasons: the closed list of reasons for failed attempts.
    """

    def __init__(self, registry: CollectorRegistry, reasons: Sequence[str]) -> None:
        self._written = counter(registry, "lmwatch_grafana_annotations_total")
        self._failures = counter(registry, "lmwatch_grafana_annotation_failures_total")
        self._queue = gauge(registry, "lmwatch_grafana_annotation_queue_length")
        self._reasons = tuple(reasons)

    def declare(self) -> None:
        """Show all counters at 0 before anything happens."""
        for outcome in OUTCOMES:
            self._written.labels(outcome)
        for reason in self._reasons:
            self._failures.labels(reason)

    def written(self, *, created: bool) -> None:
        """Count an annotation that Grafana took."""
        self._written.labels("created" if created else "updated").inc()

    def dropped(self, count: int = 1) -> None:
        """Count annotations that were given up."""
        self._written.labels("dropped").inc(count)

    def failed(self, reason: str) -> None:
        """Count an attempt that failed.

        Raises:
            ValueError: the reason is not in the closed list.
        """
        if reason not in self._reasons:
            raise ValueError(f"unknown reason {reason!r}; it must be one of {', '.join(self._reasons)}")
        self._failures.labels(reason).inc()

    def queue_length(self, length: int) -> None:
        """Show how many annotations wait."""
        self._queue.set(length)
