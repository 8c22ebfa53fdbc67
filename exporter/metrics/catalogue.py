"""Every metric that lmwatch exposes, in one table: collectors, dashboards, rules and documentation take names from here.

Source of the conventions: Prometheus' "Writing exporters" and "Metric and label naming".
`python -m exporter.metrics.catalogue` prints the reference page `docs/metrics.md`.
"""

import sys
from types import MappingProxyType

from exporter.metrics.row import OpenLabels, Row, markdown

_CALL_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
_FIRST_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
_PER_TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 40.0, 160.0, 640.0)

_SERVER = ("server",)
_MODEL = ("server", "model")
_CALL = ("server", "model", "origin")
_SERIES = ("watch", "metric")
_SCORE = "from 0 to 1; 0.5 is the boundary, above it is anomalous; no series where there is no verdict: absent is not 0"


def _gauge(
    name: str,
    text: str,
    labels: tuple[str, ...] = (),
    unit: str = "",
    *,
    more: OpenLabels = "",
    planned: bool = False,
) -> Row:
    return Row(name=name, type="gauge", help=text, labels=labels, unit=unit, more_labels=more, planned=planned)


def _counter(name: str, text: str, labels: tuple[str, ...], unit: str = "", *, planned: bool = False) -> Row:
    return Row(name=name, type="counter", help=text, labels=labels, unit=unit, planned=planned)


def _seconds(
    name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...], *, planned: bool = False
) -> Row:
    return Row(name=name, type="histogram", help=text, labels=labels, unit="seconds", buckets=buckets, planned=planned)


def _info(name: str, text: str, labels: tuple[str, ...]) -> Row:
    return Row(name=name, type="info", help=text, labels=labels)


def _score(name: str, text: str) -> Row:
    return _gauge(name, f"{text}, {_SCORE}.", _SERIES, more="series")


_LMSTUDIO = (
    _gauge(
        "lmstudio_up",
        "1 if the last poll brought a well-formed model list, else 0. HTTP 200 alone proves nothing.",
        _SERVER,
    ),
    _info(
        "lmstudio_server_info",
        "What answers at the server's URL; always 1. api is v1, v0 or openai, the richest API it speaks.",
        ("server", "api", "version", "url"),
    ),
    _gauge("lmstudio_model_loaded", "1 if the model is loaded, 0 if it is only downloaded.", _MODEL),
    _info(
        "lmstudio_model_info",
        "What a model is; always 1. Join it by server and model.",
        ("server", "model", "key", "kind", "publisher", "architecture", "quantization", "format"),
    ),
    _gauge("lmstudio_model_size_bytes", "Size of the model's weights in bytes.", _MODEL, "bytes"),
    _gauge(
        "lmstudio_model_context_length_tokens", "Context that the model is loaded with, in tokens.", _MODEL, "tokens"
    ),
    _gauge(
        "lmstudio_model_max_context_length_tokens",
        "Longest context that the model supports, in tokens.",
        _MODEL,
        "tokens",
    ),
    _gauge("lmstudio_model_parallel_slots", "Requests that the loaded model works on at the same time.", _MODEL),
    _gauge(
        "lmstudio_model_ttl_remaining_seconds",
        "Seconds until LM Studio unloads the idle model; absent where it stays.",
        _MODEL,
        "seconds",
    ),
    _gauge(
        "lmstudio_model_status",
        "1 for what the model is doing at present, 0 for the other states.",
        ("server", "model", "status"),
    ),
    _gauge("lmstudio_model_queued_requests", "Requests that wait for the model.", _MODEL),
    _counter("lmstudio_model_loads_total", "Times that a model was seen to become loaded.", _MODEL, planned=True),
    _counter(
        "lmstudio_model_unloads_total",
        "Times that a model was seen to become unloaded. reason is ttl, evicted or unexpected.",
        ("server", "model", "reason"),
        planned=True,
    ),
    _gauge(
        "lmstudio_tokens_per_second",
        "Output tokens per second of decode time in the last completed prediction. origin is analysis, probe or traffic.",
        _CALL,
        "tokens_per_second",
    ),
    _gauge(
        "lmstudio_time_to_first_token_seconds",
        "Seconds from sending the request to the first token in the last completed prediction.",
        _CALL,
        "seconds",
    ),
    _gauge(
        "lmstudio_context_used_tokens", "Prompt and output tokens of the last completed prediction.", _CALL, "tokens"
    ),
    _gauge(
        "lmstudio_context_used_ratio",
        "Prompt and output tokens of the last completed prediction as a share of the loaded context, from 0 to 1.",
        _CALL,
        "ratio",
    ),
    _seconds(
        "lmstudio_request_time_to_first_token_seconds",
        "Seconds from sending a request to its first token of any kind.",
        _CALL,
        _FIRST_TOKEN_BUCKETS,
    ),
    _seconds(
        "lmstudio_request_time_per_output_token_seconds", "Decode seconds per output token.", _CALL, _PER_TOKEN_BUCKETS
    ),
    _seconds("lmstudio_request_duration_seconds", "Seconds that whole completed requests took.", _CALL, _CALL_BUCKETS),
    _counter("lmstudio_requests_total", "Requests put to the model, the failed ones included.", _CALL),
    _counter(
        "lmstudio_request_failures_total",
        "Requests that brought no usable answer, by reason from a closed list.",
        ("server", "model", "origin", "reason"),
    ),
    _counter("lmstudio_prompt_tokens_total", "Prompt tokens processed, by the server's count.", _CALL, "tokens"),
    _counter(
        "lmstudio_output_tokens_total",
        "Tokens generated, by the server's count; reasoning tokens are part of them.",
        _CALL,
        "tokens",
    ),
    _counter("lmstudio_reasoning_tokens_total", "Tokens generated as reasoning before the answer.", _CALL, "tokens"),
    _counter(
        "lmstudio_cached_prompt_tokens_total", "Prompt tokens taken from the server's prompt cache.", _CALL, "tokens"
    ),
    _seconds(
        "lmstudio_model_load_duration_seconds",
        "Seconds that loading the model took.",
        _MODEL,
        _CALL_BUCKETS,
        planned=True,
    ),
    _gauge(
        "lmstudio_poll_duration_seconds",
        "Seconds that the last poll of the server took, failed or not.",
        _SERVER,
        "seconds",
    ),
    _counter("lmstudio_poll_failures_total", "Polls that failed, by reason from a closed list.", ("server", "reason")),
    _gauge(
        "lmstudio_log_stream_up",
        "1 while statistics of all predictions come in from the log stream.",
        _SERVER,
        planned=True,
    ),
    _gauge(
        "lmstudio_circuit_state", "State of the circuit breaker: 0 closed, 1 half open, 2 open.", _SERVER, planned=True
    ),
)

_SCORES = (
    _score("lmwatch_anomaly_score", "Anomaly score of a series, screen and model combined: what to alert on"),
    _score("lmwatch_screen_anomaly_score", "Anomaly score of a series by statistics alone, also when no model answers"),
    _score("lmwatch_llm_anomaly_score", "Anomaly score of a series by the model alone, for the series it was shown"),
    _gauge(
        "lmwatch_llm_confidence_ratio",
        "The model's own confidence in its score of the series, from 0 to 1; absent where it gave none.",
        _SERIES,
        "ratio",
        more="series",
    ),
    _gauge(
        "lmwatch_series_value",
        "Newest value of the series in its own unit, for suspicious series and those marked band: true.",
        _SERIES,
        more="series",
    ),
    _gauge(
        "lmwatch_series_expected_lower",
        "Lower edge of the band that the newest value was expected in, in the series' own unit.",
        _SERIES,
        more="series",
    ),
    _gauge(
        "lmwatch_series_expected_upper",
        "Upper edge of the band that the newest value was expected in, in the series' own unit.",
        _SERIES,
        more="series",
    ),
    _gauge(
        "lmwatch_anomaly_kind",
        "1 while a finding is active: kind is spike, drop, level_shift, drift, flatline, missing, oscillation or seasonal_break.",
        ("watch", "metric", "kind"),
        more="series",
    ),
    _gauge(
        "lmwatch_duplicate_series",
        "Series of the watch that are not exposed because an earlier one has the same labels.",
        ("watch",),
    ),
    _gauge(
        "lmwatch_group_anomaly_score", f"The model's score of the group as a whole, {_SCORE}.", ("watch",), more="group"
    ),
    _gauge(
        "lmwatch_verdict_timestamp_seconds",
        "Unix time in seconds when the group's latest verdict was reached.",
        ("watch",),
        "seconds",
        more="group",
    ),
)

_SELF = (
    _gauge(
        "lmwatch_watch_state",
        "1 for the watch's present state, 0 for the others: warming, ok, degraded (screen only), stale, failed.",
        ("watch", "state"),
    ),
    _counter(
        "lmwatch_analyses_total",
        "Groups that were due, by outcome: ok, ungrounded, invalid, llm_error, timeout, skipped_calm, skipped_cooldown, skipped_busy.",
        ("watch", "outcome"),
    ),
    _seconds(
        "lmwatch_analysis_duration_seconds",
        "Seconds that analyses took, calls to the model included.",
        ("watch",),
        _CALL_BUCKETS,
    ),
    _gauge(
        "lmwatch_prompt_tokens",
        "Tokens of the watch's last prompt, by the server's count where it gave one.",
        ("watch",),
        "tokens",
    ),
    _counter("lmwatch_prompt_series_dropped_total", "Series that did not fit into a prompt.", ("watch",)),
    _gauge("lmwatch_source_up", "1 if the last collection from the target succeeded, else 0.", ("source", "target")),
    _gauge(
        "lmwatch_source_scrape_duration_seconds",
        "Seconds that the last collection from the target took.",
        ("source", "target"),
        "seconds",
    ),
    _gauge("lmwatch_source_samples", "Samples that the last collection from the target brought.", ("source", "target")),
    _counter("lmwatch_alerts_sent_total", "Alerts that the Alertmanager accepted.", ("alertmanager",), planned=True),
    _counter(
        "lmwatch_alert_failures_total",
        "Alerts that could not be delivered, by reason from a closed list.",
        ("alertmanager", "reason"),
        planned=True,
    ),
    _gauge("lmwatch_alerts_firing", "Alerts that are firing at present.", planned=True),
    _counter("lmwatch_webhook_alerts_total", "Alerts that came in by webhook.", ("status", "outcome"), planned=True),
    _info("lmwatch_build_info", "What is running; always 1.", ("version", "python_version")),
    _gauge(
        "lmwatch_config_last_reload_successful", "1 if the last attempt to load the configuration succeeded, else 0."
    ),
    _gauge(
        "lmwatch_config_last_reload_success_timestamp_seconds",
        "Unix time in seconds when the configuration was last loaded.",
        unit="seconds",
    ),
    _counter("lmwatch_jobs_missed_total", "Times that a scheduled job could not start when it was due.", ("job",)),
    _gauge("lmwatch_collector_success", "1 if this part of the exposition could be collected, else 0.", ("collector",)),
    _counter(
        "lmwatch_collector_failures_total",
        "Times that this part of the exposition could not be collected.",
        ("collector",),
    ),
)

_PROCESS = (
    _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", unit="bytes"),
    _gauge("process_resident_memory_bytes", "Resident memory size in bytes.", unit="bytes"),
    _gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", unit="seconds"),
    _counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", (), "seconds"),
    _gauge("process_open_fds", "Number of open file descriptors."),
    _gauge("process_max_fds", "Maximum number of open file descriptors."),
    _gauge(
        "python_info", "Python platform information.", ("version", "implementation", "major", "minor", "patchlevel")
    ),
    _counter("python_gc_objects_collected_total", "Objects collected during gc.", ("generation",)),
    _counter("python_gc_objects_uncollectable_total", "Uncollectable objects found during GC.", ("generation",)),
    _counter("python_gc_collections_total", "Number of times this generation was collected.", ("generation",)),
)

CATALOGUE: tuple[Row, ...] = _LMSTUDIO + _SCORES + _SELF + _PROCESS
_BY_NAME = MappingProxyType({row.name: row for row in CATALOGUE})


def row(name: str) -> Row:
    """The row of the metric with this name.

    Raises:
        KeyError: no metric is called so.
    """
    return _BY_NAME[name]


if __name__ == "__main__":
    sys.stdout.write(markdown(CATALOGUE))
