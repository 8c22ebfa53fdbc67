"""Counters, histograms and last-value gauges that events update. All names come from the catalogue.

Label values from closed lists are initialised to 0, so that the first event already counts as an increase. What belongs to a
server or a watch that left the configuration is removed, so that it does not stay for ever. Models come and go:

- last values end when the model is no longer loaded, or its server no longer up;
- counters stay while the server lists the model, loaded or not, and for an hour after;
- a server has at most 200 models of its own in the label `model`; the rest are counted together as `other`.
"""

from collections.abc import Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, disable_created_metrics

from exporter.clock import Clock, SystemClock
from exporter.lmstudio.breaker import State
from exporter.lmstudio.events import UNLOAD_REASONS, HealthEvent
from exporter.lmstudio.failures import REASONS
from exporter.lmstudio.probe import ProbeOutcome
from exporter.lmstudio.wire import Prediction, ServerHealth
from exporter.metrics.lifecycle import CIRCUIT, Lifecycle, code_label
from exporter.metrics.making import counter, gauge, histogram, show
from exporter.metrics.names import OTHER, ModelNames
from exporter.metrics.traffic import Traffic
from exporter.reasoning.verdict import Outcome, Verdict

OUTCOMES: tuple[str, ...] = (*get_args(Outcome), "skipped_calm", "skipped_cooldown", "skipped_busy")
"""How the analysis of a group can end, the ways of not starting it included."""


class Instruments:
    """Everything that is counted while lmwatch runs. Safe to use from any thread.

    Args:
        registry: where the metrics appear; each registry can hold one set of instruments.
        reasons: the closed list of reasons for failed requests and polls.
        clock: tells when a request failed.
    """

    def __init__(
        self, registry: CollectorRegistry, reasons: Sequence[str] = REASONS, clock: Clock | None = None
    ) -> None:
        # The library adds a _created series to every counter and histogram unless it is told not to, process-wide.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library does not annotate it
        self._reasons = tuple(reasons)
        self._clock = clock or SystemClock()
        self._names = ModelNames()
        self._traffic = Traffic(registry, self._reasons)
        self._life = Lifecycle(registry)
        self._poll_duration = gauge(registry, "lmstudio_poll_duration_seconds")
        self._poll_failures = counter(registry, "lmstudio_poll_failures_total")
        self._analyses = counter(registry, "lmwatch_analyses_total")
        self._analysis_duration = histogram(registry, "lmwatch_analysis_duration_seconds")
        self._dropped = counter(registry, "lmwatch_prompt_series_dropped_total")
        self._discovery_errors = gauge(registry, "lmwatch_source_discovery_errors")
        self._jobs_missed = counter(registry, "lmwatch_jobs_missed_total")

    # -- what the configuration names

    def declare_server(self, name: str) -> None:
        """Show a server's counters at 0 before anything happens."""
        for reason in self._reasons:
            self._poll_failures.labels(name, reason)
        self._life.declare_server(name)

    def declare_watch(self, name: str) -> None:
        """Show a watch's counters at 0 before anything happens."""
        for outcome in OUTCOMES:
            self._analyses.labels(name, outcome)
        self._analysis_duration.labels(name)
        self._dropped.labels(name)

    def declare_pool(self, name: str) -> None:
        """Show the counter of a pool of threads at 0 before anything happens."""
        self._jobs_missed.labels(name)

    def forget_server(self, name: str) -> None:
        """Remove everything that carries the server's name."""
        for metric in (self._poll_failures, self._poll_duration, *self._traffic.all):
            metric.remove_by_labels({"server": name})
        self._life.forget_server(name)
        self._names.forget(name)

    def forget_watch(self, name: str) -> None:
        """Remove everything that carries the watch's name."""
        for metric in (self._analyses, self._analysis_duration, self._dropped):
            metric.remove_by_labels({"watch": name})

    def forget_source(self, name: str) -> None:
        """Remove everything that carries the source's name."""
        self._discovery_errors.remove_by_labels({"source": name})

    # -- requests to models

    def prediction(self, origin: str, prediction: Prediction, context_length: int | None) -> None:
        """Count a completed prediction.

        Args:
            origin: analysis, probe or traffic.
            prediction: what came back; figures that are None leave no trace.
            context_length: tokens of context that the model is loaded with; None where it is not known.
        """
        model = self._names.label(prediction.server, prediction.model)
        self._traffic.completed((prediction.server, model, origin), prediction, context_length)

    def request_failed(self, server: str, model: str, origin: str, reason: str) -> None:
        """Count a request that brought no usable answer."""
        self._traffic.failed((server, self._names.label(server, model), origin), reason, self._clock.now())

    def estimate(self, server: str, model: str, ratio: float) -> None:
        """Show the last prompt's estimated tokens over the tokens that the server counted."""
        label = self._names.label(server, model)
        if label != OTHER:
            self._life.estimate_ratio.labels(server, label).set(ratio)

    def probe(self, server: str, outcome: ProbeOutcome) -> None:
        """Count a probe, or why there was none."""
        self._life.probes.labels(server, outcome).inc()

    def proxy_response(self, server: str, model: str, code: int) -> None:
        """Count an answer that passed through the proxy, by its HTTP status; the model is empty where none answered."""
        self._life.proxy_responses.labels(server, self._names.label(server, model), code_label(code)).inc()

    def proxy(self, server: str, *, connections: int | None, uncounted: int) -> None:
        """Show the state of the metering proxy in front of a server.

        Args:
            server: the server behind it.
            connections: how many clients are connected; None once it has stopped.
            uncounted: what passed without being counted since the proxy was started.
        """
        show(self._life.proxy_connections, (server,), connections)
        self._life.count_up_to(server, uncounted)

    # -- servers and what is loaded on them

    def poll(self, server: str, seconds: float, failure: str | None) -> None:
        """Note how long a poll of a server took and, if it failed, why."""
        self._poll_duration.labels(server).set(seconds)
        if failure is not None:
            self._poll_failures.labels(server, failure).inc()

    def models(self, health: ServerHealth) -> None:
        """Take in what a poll found: series of models that are no longer loaded, or no longer there, end."""
        seen = self._names.seen(health)
        for label in seen.unloaded:
            self.forget_model(health.server, label)
        for label in seen.gone:
            for metric in (*self._traffic.all, *self._life.by_model):
                metric.remove_by_labels({"server": health.server, "model": label})
        self._life.declare_models(health.server, listed=seen.listed, loaded=seen.loaded)

    def forget_model(self, server: str, model: str) -> None:
        """Remove what was last seen of a model that is no longer loaded. Its counters stay."""
        for metric in (*self._traffic.last_values, self._life.estimate_ratio):
            metric.remove_by_labels({"server": server, "model": model})

    def event(self, event: HealthEvent) -> None:
        """Count what happened to a server or one of its models."""
        match event.kind:
            case "loaded":
                self.loaded(event.server, event.model)
            case "unloaded":
                self.unloaded(event.server, event.model, event.reason or "unknown")
            case "context_changed":
                self.context_changed(event.server, event.model)
            case "server_restarted":
                self.restarted(event.server)
            case "version_changed":
                self.version_changed(event.server)
            case "server_up" | "server_down":
                pass  # lmstudio_up shows it

    def loaded(self, server: str, model: str) -> None:
        """Count that a model became loaded."""
        self._life.loads.labels(server, self._names.label(server, model)).inc()

    def unloaded(self, server: str, model: str, reason: str) -> None:
        """Count that a model became unloaded.

        Raises:
            ValueError: the reason is not in the closed list.
        """
        if reason not in UNLOAD_REASONS:
            raise ValueError(f"unknown reason {reason!r}; it must be one of {', '.join(UNLOAD_REASONS)}")
        self._life.unloads.labels(server, self._names.label(server, model), reason).inc()

    def context_changed(self, server: str, model: str) -> None:
        """Count that a model was loaded with another context than before."""
        self._life.context_changes.labels(server, self._names.label(server, model)).inc()

    def restarted(self, server: str) -> None:
        """Count that a server was restarted."""
        self._life.restarts.labels(server).inc()

    def version_changed(self, server: str) -> None:
        """Count that a server has another version than before."""
        self._life.version_changes.labels(server).inc()

    def circuit(self, server: str, state: State) -> None:
        """Show the state of a server's circuit breaker."""
        self._life.circuit.labels(server).set(CIRCUIT[state])

    def log_stream(self, server: str, up: bool | None) -> None:
        """Show whether the log stream runs; None where it is not asked for."""
        show(self._life.log_stream, (server,), up)

    # -- lmwatch itself

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

    def discovery(self, source: str, errors: int) -> None:
        """Show how much is wrong with the discovery of a source's targets."""
        self._discovery_errors.labels(source).set(errors)

    def job_missed(self, pool: str) -> None:
        """Count a scheduled job of this pool that could not start when it was due."""
        self._jobs_missed.labels(pool).inc()


def estimate_ratio(verdict: Verdict) -> float | None:
    """Tokens that a verdict's prompt was estimated at over those that the server counted; None where either is missing.

    Of two calls for one verdict the first counts: the second prompt holds more than was estimated.
    """
    reported = verdict.predictions[0].prompt_tokens if verdict.predictions else None
    return verdict.prompt_tokens_estimated / reported if reported and verdict.prompt_tokens_estimated else None
