"""What requests to models leave behind, by server, model and origin."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from exporter.lmstudio.wire import Prediction
from exporter.metrics.making import Labels, counter, gauge, histogram, show
from exporter.metrics.names import OTHER

FINISHES: tuple[str, ...] = (
    *("stop", "length", "context_length", "tool_calls", "content_filter"),
    *("user_stopped", "model_unloaded", "failed", "other"),
)
"""How an answer can end: every value of the label `finish_reason`."""
_FINISH: Mapping[str, str] = MappingProxyType(
    {
        # As LM Studio's engines put it, in the v0 `stats` and on the log stream.
        "eosFound": "stop",
        "stopStringFound": "stop",
        "maxPredictedTokensReached": "length",
        "contextLengthReached": "context_length",
        "toolCalls": "tool_calls",
        "userStopped": "user_stopped",
        "modelUnloaded": "model_unloaded",
        # As the OpenAI and Anthropic routes do.
        "function_call": "tool_calls",
        "tool_use": "tool_calls",
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        # The status of /v1/responses; LM Studio has no other reason than the limit to leave one incomplete.
        "completed": "stop",
        "incomplete": "length",
    }
)


class Traffic:
    """The counters, histograms and last-value gauges of requests."""

    def __init__(self, registry: CollectorRegistry, reasons: Sequence[str]) -> None:
        self._reasons = tuple(reasons)
        self._requests = counter(registry, "lmstudio_requests_total")
        self._failures = counter(registry, "lmstudio_request_failures_total")
        self._last_failure = gauge(registry, "lmstudio_request_last_failure_timestamp_seconds")
        self._finishes = counter(registry, "lmstudio_request_finishes_total")
        self._tokens = {
            "prompt_tokens": counter(registry, "lmstudio_prompt_tokens_total"),
            "output_tokens": counter(registry, "lmstudio_output_tokens_total"),
            "reasoning_tokens": counter(registry, "lmstudio_reasoning_tokens_total"),
            "cached_prompt_tokens": counter(registry, "lmstudio_cached_prompt_tokens_total"),
        }
        self._sizes = {
            "prompt_tokens": histogram(registry, "lmstudio_request_prompt_tokens"),
            "output_tokens": histogram(registry, "lmstudio_request_output_tokens"),
        }
        self._first_token = histogram(registry, "lmstudio_request_time_to_first_token_seconds")
        self._per_token = histogram(registry, "lmstudio_request_time_per_output_token_seconds")
        self._duration = histogram(registry, "lmstudio_request_duration_seconds")
        self._last_speed = gauge(registry, "lmstudio_tokens_per_second")
        self._last_first_token = gauge(registry, "lmstudio_time_to_first_token_seconds")
        self._last_context = gauge(registry, "lmstudio_context_used_tokens")
        self._last_context_ratio = gauge(registry, "lmstudio_context_used_ratio")
        self.last_values = (self._last_speed, self._last_first_token, self._last_context, self._last_context_ratio)
        self._sums: tuple[MetricWrapperBase, ...] = (
            self._requests,
            *self._tokens.values(),
            *self._sizes.values(),
            self._first_token,
            self._per_token,
            self._duration,
        )
        self.all: tuple[MetricWrapperBase, ...] = (
            *self._sums,
            self._failures,
            self._last_failure,
            self._finishes,
            *self.last_values,
        )

    def declare(self, call: Labels) -> None:
        """Show the sums of one kind of call at 0 before anything happens."""
        for metric in self._sums:
            metric.labels(*call)
        for reason in self._reasons:
            self._failures.labels(*call, reason)
        for finish in FINISHES:
            self._finishes.labels(*call, finish)

    def failed(self, call: Labels, reason: str, at: float) -> None:
        """Count a request without a usable answer, at this time in Unix seconds."""
        self.declare(call)
        self._requests.labels(*call).inc()
        self._failures.labels(*call, reason).inc()
        self._last_failure.labels(*call, reason).set(at)

    def completed(self, call: Labels, prediction: Prediction, context_length: int | None) -> None:
        """Count a completed prediction and show its figures as the last ones."""
        self.declare(call)
        self._requests.labels(*call).inc()
        self._finishes.labels(*call, _finish(prediction.finish_reason)).inc()
        for figure, total in self._tokens.items():
            total.labels(*call).inc(getattr(prediction, figure) or 0)
        for figure, sizes in self._sizes.items():
            if (tokens := getattr(prediction, figure)) is not None:
                sizes.labels(*call).observe(tokens)
        if math.isfinite(prediction.duration_seconds):  # an event of the log stream may carry no times
            self._duration.labels(*call).observe(prediction.duration_seconds)
        speed, first_token = prediction.tokens_per_second, prediction.time_to_first_token_seconds
        if first_token is not None:
            self._first_token.labels(*call).observe(first_token)
        if speed:
            self._per_token.labels(*call).observe(1 / speed)
        if call[1] != OTHER:  # the last value of many models in turns would mean nothing
            self._show_last(call, prediction, context_length)

    def _show_last(self, call: Labels, prediction: Prediction, context_length: int | None) -> None:
        used = _context_used(prediction)
        show(self._last_speed, call, prediction.tokens_per_second)
        show(self._last_first_token, call, prediction.time_to_first_token_seconds)
        show(self._last_context, call, used)
        show(self._last_context_ratio, call, used / context_length if used is not None and context_length else None)


def _finish(reason: str) -> str:
    known = _FINISH.get(reason, reason)
    return known if known in FINISHES else "other"


def _context_used(prediction: Prediction) -> int | None:
    if prediction.prompt_tokens is None or prediction.output_tokens is None:
        return None
    return prediction.prompt_tokens + prediction.output_tokens
