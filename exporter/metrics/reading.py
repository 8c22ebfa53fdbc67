"""The figures of a running lmwatch, read from what it exposes: for `lmwatch status`, which keeps no counts of its own."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from exporter.series.exposition import ExpositionReader, Limits

_MOST_SAMPLES = 100_000
_LAST_FAILURE = "lmstudio_request_last_failure_timestamp_seconds"
_STATUS = "lmstudio_model_status"
_CIRCUIT = "lmstudio_circuit_state"
_ORIGINS = ("traffic", "analysis", "probe")
"""Whose last prediction is shown where there are several: what users asked says more than what lmwatch did."""
_BY_ORIGIN: Mapping[str, str] = {
    "lmstudio_tokens_per_second": "tokens_per_second",
    "lmstudio_time_to_first_token_seconds": "time_to_first_token_seconds",
    "lmstudio_context_used_tokens": "context_used_tokens",
    "lmstudio_context_used_ratio": "context_used_ratio",
}
_PLAIN: Mapping[str, str] = {
    "lmstudio_model_queued_requests": "queued_requests",
    "lmstudio_model_ttl_remaining_seconds": "ttl_remaining_seconds",
}
FIGURE_METRICS: tuple[str, ...] = (*_BY_ORIGIN, *_PLAIN, _STATUS, _LAST_FAILURE, _CIRCUIT)
"""What to ask for: values of the parameter `name[]`."""
_CIRCUITS: Mapping[float, str] = {0.0: "closed", 1.0: "half_open", 2.0: "open"}


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What a running lmwatch knows of one model; None where it does not."""

    origin: str | None = None
    """Who asked for the last prediction: traffic, analysis or probe."""
    tokens_per_second: float | None = None
    time_to_first_token_seconds: float | None = None
    context_used_tokens: float | None = None
    context_used_ratio: float | None = None
    status: str | None = None
    queued_requests: float | None = None
    ttl_remaining_seconds: float | None = None
    last_failure: str | None = None
    """Its reason."""
    last_failure_at: float | None = None
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """What a running lmwatch knows of one server."""

    circuit: str | None
    """closed, half_open or open."""
    models: Mapping[str, ModelFigures]


def read_figures(body: bytes, content_type: str) -> dict[str, ServerFigures]:
    """The figures in an exposition, by server.

    Raises:
        BadDataError: it is no exposition.
    """
    reader = ExpositionReader((), honor_labels=True, limits=Limits(sample_limit=_MOST_SAMPLES))
    reading = reader.read(body, content_type)
    circuits: dict[str, str] = {}
    models: dict[str, dict[str, _Gathered]] = defaultdict(lambda: defaultdict(_Gathered))
    for row, value in zip(reading.rows.tolist(), reading.values.tolist(), strict=True):
        series = reader.series(row)
        labels = dict(series.labels)
        if series.name == _CIRCUIT:
            circuits[labels.get("server", "")] = _CIRCUITS.get(value, "")
        elif series.name in FIGURE_METRICS:
            models[labels.get("server", "")][labels.get("model", "")].take(series.name, labels, value)
    return {
        server: ServerFigures(
            circuit=circuits.get(server) or None,
            models={model: gathered.figures() for model, gathered in models.get(server, {}).items()},
        )
        for server in circuits.keys() | models.keys()
    }


class _Gathered:
    """The samples of one model."""

    def __init__(self) -> None:
        self._plain: dict[str, Any] = {}
        self._by_origin: dict[str, dict[str, Any]] = defaultdict(dict)

    def take(self, name: str, labels: Mapping[str, str], value: float) -> None:
        if name in _PLAIN:
            self._plain[_PLAIN[name]] = value
        elif name in _BY_ORIGIN:
            self._by_origin[labels.get("origin", "")][_BY_ORIGIN[name]] = value
        elif name == _STATUS and value == 1:
            self._plain["status"] = labels.get("status")
        elif name == _LAST_FAILURE and value > self._plain.get("last_failure_at", -inf):
            self._plain |= {"last_failure": labels.get("reason"), "last_failure_at": value}

    def figures(self) -> ModelFigures:
        """Those of one origin alone: figures of different predictions do not belong together."""
        origin = next((origin for origin in _ORIGINS if origin in self._by_origin), None)
        return ModelFigures(origin=origin, **self._plain, **self._by_origin.get(origin or "", {}))
