"""Counters, histograms and last-value gauges that events update. All names come from the catalogue.

Label values from closed lists are initialised to 0, so that the first event already counts as an increase;
what belongs to a server or a watch that left the configuration is removed, so that it does not stay forever.
"""

from collections.abc import Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from exporter.lmstudio.failures import REASONS
from exporter.lmstudio.wire import Prediction
from exporter.metrics.catalogue import row
from exporter.reasoning.verdict import Outcome

OUTCOMES: tuple[str, ...] = (*get_args(Outcome), "skipped_calm", "skipped_cooldown", "skipped_busy")
"""How the analysis of a group can end, the ways of not starting it included."""

Labels = tuple[str, ...]


class Instruments:
    """Everything that is counted while lmwatch runs. Safe to use from any thread.

    Args:
        registry: where the metrics appear; each registry can hold one set of instruments.
        reasons: the closed list of reasons for failed requests and polls.
    """

    def __init__(self, registry: CollectorRegistry, reasons: Sequence[str] = REASONS) -> None:
        # The library adds a _created series to every counter and histogram unless it is told not to, process-wide.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library does not annotate it
        self._reasons = tuple(reasons)
        self._traffic = _Traffic(registry)
        self._request_failures = _counter(registry, "lmstudio_request_failures_total")
        self._poll_duration = _gauge(registry, "lmstudio_poll_duration_seconds")
        self._poll_failures = _counter(registry, "lmstudio_poll_failures_total")
        self._analyses = _counter(registry, "lmwatch_analyses_total")
        self._analysis_duration = _histogram(registry, "lmwatch_analysis_duration_seconds")
        self._dropped = _counter(registry, "lmwatch_prompt_series_dropped_total")
        self._jobs_missed = _counter(registry, "lmwatch_jobs_missed_total")

    def declare_server(self, name: str) -> None:
        """Show a server's counters at 0 before anything happens."""
        for reason in self._reasons:
            self._poll_failures.labels(name, reason)

    def declare_watch(self, name: str) -> None:
        """Show a watch's counters at 0 before anything happens."""
        for outcome in OUTCOMES:
            self._analyses.labels(name, outcome)
        self._analysis_duration.labels(name)
        self._dropped.labels(name)

    def declare_job(self, name: str) -> None:
        """Show a job's counter at 0 before anything happens."""
        self._jobs_missed.labels(name)

    def declare_calls(self, server: str, model: str, origin: str) -> None:
        """Show the counters of one kind of call to a model at 0 before anything happens."""
        self._traffic.declare((server, model, origin))
        for reason in self._reasons:
            self._request_failures.labels(server, model, origin, reason)

    def prediction(self, origin: str, prediction: Prediction, context_length: int | None) -> None:
        """Count a completed prediction.

        Args:
            origin: analysis, probe or traffic.
            prediction: what came back; figures that are None leave no trace.
            context_length: tokens of context that the model is loaded with; None where it is not known.
        """
        self.declare_calls(prediction.server, prediction.model, origin)
        self._traffic.count((prediction.server, prediction.model, origin), prediction, context_length)

    def request_failed(self, server: str, model: str, origin: str, reason: str) -> None:
        """Count a request that brought no usable answer."""
        self.declare_calls(server, model, origin)
        self._traffic.requests.labels(server, model, origin).inc()
        self._request_failures.labels(server, model, origin, reason).inc()

    def analysis(self, watch: str, outcome: str, duration_seconds: float | None) -> None:
        """Count the end of a group's analysis.

        Args:
            watch: the watch it belongs to.
            outcome: one of OUTCOMES.
            duration_seconds: how long it took; None where it was skipped.

        Raises:
            ValueError: the outcome is not in the closed list.
        """
        if outcome not in OUTCOMES:
            raise ValueError(f"unknown outcome {outcome!r}; it must be one of {', '.join(OUTCOMES)}")
        self._analyses.labels(watch, outcome).inc()
        if duration_seconds is not None:
            self._analysis_duration.labels(watch).observe(duration_seconds)

    def snapshot(self, watch: str, dropped: int) -> None:
        """Count the series that did not fit into a prompt."""
        self._dropped.labels(watch).inc(dropped)

    def poll(self, server: str, seconds: float, failure: str | None) -> None:
        """Note how long a poll of a server took and, if it failed, why."""
        self._poll_duration.labels(server).set(seconds)
        if failure is not None:
            self._poll_failures.labels(server, failure).inc()

    def job_missed(self, job: str) -> None:
        """Count a scheduled job that could not start when it was due."""
        self._jobs_missed.labels(job).inc()

    def forget_model(self, server: str, model: str) -> None:
        """Remove what was last seen of a model that is no longer loaded. Its counters stay."""
        for gauge in self._traffic.last_values:
            gauge.remove_by_labels({"server": server, "model": model})

    def forget_server(self, name: str) -> None:
        """Remove everything that carries the server's name."""
        for metric in (self._request_failures, self._poll_failures, self._poll_duration, *self._traffic.all):
            metric.remove_by_labels({"server": name})

    def forget_watch(self, name: str) -> None:
        """Remove everything that carries the watch's name."""
        for metric in (self._analyses, self._analysis_duration, self._dropped):
            metric.remove_by_labels({"watch": name})


class _Traffic:
    """What completed predictions leave behind, by server, model and origin."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = _counter(registry, "lmstudio_requests_total")
        self._tokens = {
            "prompt_tokens": _counter(registry, "lmstudio_prompt_tokens_total"),
            "output_tokens": _counter(registry, "lmstudio_output_tokens_total"),
            "reasoning_tokens": _counter(registry, "lmstudio_reasoning_tokens_total"),
            "cached_prompt_tokens": _counter(registry, "lmstudio_cached_prompt_tokens_total"),
        }
        self._first_token = _histogram(registry, "lmstudio_request_time_to_first_token_seconds")
        self._per_token = _histogram(registry, "lmstudio_request_time_per_output_token_seconds")
        self._duration = _histogram(registry, "lmstudio_request_duration_seconds")
        self._last_speed = _gauge(registry, "lmstudio_tokens_per_second")
        self._last_first_token = _gauge(registry, "lmstudio_time_to_first_token_seconds")
        self._last_context = _gauge(registry, "lmstudio_context_used_tokens")
        self._last_context_ratio = _gauge(registry, "lmstudio_context_used_ratio")
        self.last_values = (self._last_speed, self._last_first_token, self._last_context, self._last_context_ratio)
        self._sums = (self.requests, *self._tokens.values(), self._first_token, self._per_token, self._duration)
        self.all: tuple[MetricWrapperBase, ...] = (*self._sums, *self.last_values)

    def declare(self, call: Labels) -> None:
        for metric in self._sums:
            metric.labels(*call)

    def count(self, call: Labels, prediction: Prediction, context_length: int | None) -> None:
        self.requests.labels(*call).inc()
        for figure, counter in self._tokens.items():
            counter.labels(*call).inc(getattr(prediction, figure) or 0)
        self._duration.labels(*call).observe(prediction.duration_seconds)
        speed, first_token = prediction.tokens_per_second, prediction.time_to_first_token_seconds
        if first_token is not None:
            self._first_token.labels(*call).observe(first_token)
        if speed:
            self._per_token.labels(*call).observe(1 / speed)
        used = _context_used(prediction)
        _show(self._last_speed, call, speed)
        _show(self._last_first_token, call, first_token)
        _show(self._last_context, call, used)
        _show(self._last_context_ratio, call, used / context_length if used is not None and context_length else None)


def _context_used(prediction: Prediction) -> int | None:
    if prediction.prompt_tokens is None or prediction.output_tokens is None:
        return None
    return prediction.prompt_tokens + prediction.output_tokens


def _show(gauge: Gauge, labels: Labels, value: float | None) -> None:
    """Set the gauge, or take it away: the last prediction did not tell, and an older one is not the last."""
    if value is None:
        gauge.remove(*labels)
    else:
        gauge.labels(*labels).set(value)


def _counter(registry: CollectorRegistry, name: str) -> Counter:
    entry = row(name)
    return Counter(entry.family, entry.help, entry.labels, unit=entry.metadata_unit, registry=registry)


def _gauge(registry: CollectorRegistry, name: str) -> Gauge:
    entry = row(name)
    return Gauge(entry.family, entry.help, entry.labels, unit=entry.metadata_unit, registry=registry)


def _histogram(registry: CollectorRegistry, name: str) -> Histogram:
    entry = row(name)
    return Histogram(
        entry.family, entry.help, entry.labels, unit=entry.metadata_unit, buckets=entry.buckets, registry=registry
    )
