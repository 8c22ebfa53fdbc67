"""What happens to servers and their models: loads, restarts, probes, the state of everything that watches them."""

import threading
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from exporter.lmstudio.breaker import State
from exporter.lmstudio.events import UNLOAD_REASONS
from exporter.lmstudio.probe import PROBE_OUTCOMES
from exporter.metrics.making import counter, gauge

CIRCUIT: Mapping[State, int] = MappingProxyType({"closed": 0, "half_open": 1, "open": 2})
_CODES = frozenset(str(status.value) for status in HTTPStatus)


class Lifecycle:
    """The counters and gauges of servers and of models coming and going."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.loads = counter(registry, "lmstudio_model_loads_total")
        self.unloads = counter(registry, "lmstudio_model_unloads_total")
        self.context_changes = counter(registry, "lmstudio_model_context_changes_total")
        self.estimate_ratio = gauge(registry, "lmstudio_prompt_estimate_ratio")
        self.proxy_responses = counter(registry, "lmstudio_proxy_responses_total")
        self.restarts = counter(registry, "lmstudio_server_restarts_total")
        self.version_changes = counter(registry, "lmstudio_server_version_changes_total")
        self.probes = counter(registry, "lmstudio_probes_total")
        self.circuit = gauge(registry, "lmstudio_circuit_state")
        self.proxy_connections = gauge(registry, "lmstudio_proxy_connections")
        self.proxy_uncounted = counter(registry, "lmstudio_proxy_uncounted_total")
        self._uncounted: dict[str, int] = {}
        self._lock = threading.Lock()
        self.log_stream = gauge(registry, "lmstudio_log_stream_up")
        self.by_model: tuple[MetricWrapperBase, ...] = (
            self.loads,
            self.unloads,
            self.context_changes,
            self.estimate_ratio,
            self.proxy_responses,
        )
        self.all: tuple[MetricWrapperBase, ...] = (
            *self.by_model,
            self.restarts,
            self.version_changes,
            self.probes,
            self.circuit,
            self.proxy_connections,
            self.proxy_uncounted,
            self.log_stream,
        )

    def declare_server(self, server: str) -> None:
        """Show a server's counters at 0 before anything happens."""
        self.restarts.labels(server)
        self.version_changes.labels(server)
        for outcome in PROBE_OUTCOMES:
            self.probes.labels(server, outcome)

    def declare_models(self, server: str, *, listed: Iterable[str], loaded: Iterable[str]) -> None:
        """Show the counters of models at 0 before they come, and of loaded ones before they go."""
        for model in listed:
            self.loads.labels(server, model)
        for model in loaded:
            self.context_changes.labels(server, model)
            for reason in UNLOAD_REASONS:
                self.unloads.labels(server, model, reason)

    def count_up_to(self, server: str, uncounted: int) -> None:
        """Bring the counter of what passed uncounted to where the proxy's own is; that one starts anew with the proxy."""
        with self._lock:
            before = self._uncounted.get(server, 0)
            self._uncounted[server] = uncounted
        self.proxy_uncounted.labels(server).inc(uncounted - before if uncounted >= before else uncounted)

    def forget_server(self, server: str) -> None:
        """Remove everything that carries the server's name."""
        with self._lock:
            self._uncounted.pop(server, None)
        for metric in self.all:
            metric.remove_by_labels({"server": server})


def code_label(code: int) -> str:
    """The label of an HTTP status: itself where HTTP knows it, else `other`."""
    return str(code) if str(code) in _CODES else "other"
