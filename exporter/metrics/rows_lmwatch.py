"""The metrics about verdicts, about lmwatch itself and about its process."""

from exporter.metrics.row import Row, counter, gauge, histogram, info
from exporter.metrics.rows_lmstudio import CALL_BUCKETS

_SERIES = ("watch", "metric")
_SCORE = "from 0 to 1; 0.5 is the boundary, from there on it is anomalous; no series where there is no verdict: absent is not 0"


def _score(name: str, text: str) -> Row:
    return gauge(name, f"{text}, {_SCORE}.", _SERIES, more="series")


SCORES: tuple[Row, ...] = (
    _score("lmwatch_anomaly_score", "Anomaly score of a series, screen and model combined: what to alert on"),
    _score("lmwatch_screen_anomaly_score", "Anomaly score of a series by statistics alone, also when no model answers"),
    _score("lmwatch_llm_anomaly_score", "Anomaly score of a series by the model alone, for the series it was shown"),
    gauge(
        "lmwatch_llm_confidence_ratio",
        "The model's own confidence in its score of the series, from 0 to 1; absent where it gave none.",
        _SERIES,
        "ratio",
        more="series",
    ),
    gauge(
        "lmwatch_series_value",
        "Newest value of the series in its own unit, for suspicious series and those marked band: true.",
        _SERIES,
        more="series",
    ),
    gauge(
        "lmwatch_series_expected_lower",
        "Lower edge of the band that the newest value was expected in, in the series' own unit.",
        _SERIES,
        more="series",
    ),
    gauge(
        "lmwatch_series_expected_upper",
        "Upper edge of the band that the newest value was expected in, in the series' own unit.",
        _SERIES,
        more="series",
    ),
    gauge(
        "lmwatch_anomaly_kind",
        "1 while a finding is active: kind is spike, drop, level_shift, drift, flatline, missing, oscillation or seasonal_break.",
        ("watch", "metric", "kind"),
        more="series",
    ),
    gauge(
        "lmwatch_duplicate_series",
        "Series of the watch that are not exposed because an earlier one has the same labels.",
        ("watch",),
    ),
    gauge(
        "lmwatch_screen_group_anomaly_score",
        f"The statistical screen's score of the group as a whole, {_SCORE}.",
        ("watch",),
        more="group",
    ),
    gauge(
        "lmwatch_group_anomaly_score", f"The model's score of the group as a whole, {_SCORE}.", ("watch",), more="group"
    ),
    gauge(
        "lmwatch_verdict_timestamp_seconds",
        "Unix time in seconds when the group's latest verdict was reached.",
        ("watch",),
        "seconds",
        more="group",
    ),
)

SELF: tuple[Row, ...] = (
    gauge(
        "lmwatch_watch_state",
        "1 for the watch's present state, 0 for the others: warming, ok, degraded (screen only), stale, failed.",
        ("watch", "state"),
    ),
    gauge(
        "lmwatch_watch_threshold",
        "Score from which on a series of the watch is anomalous, from 0 to 1: its `threshold` in the configuration.",
        ("watch",),
    ),
    counter(
        "lmwatch_analyses_total",
        "Groups that were due, by outcome: ok, ungrounded, invalid, llm_error, timeout, skipped_calm, skipped_cooldown, skipped_busy.",
        ("watch", "outcome"),
    ),
    histogram(
        "lmwatch_analysis_duration_seconds",
        "Seconds that analyses took, calls to the model included.",
        ("watch",),
        CALL_BUCKETS,
        "seconds",
    ),
    gauge(
        "lmwatch_prompt_tokens",
        "Tokens of the watch's last prompt, by the server's count where it gave one.",
        ("watch",),
        "tokens",
    ),
    counter("lmwatch_prompt_series_dropped_total", "Series that did not fit into a prompt.", ("watch",)),
    gauge("lmwatch_source_up", "1 if the last collection from the target succeeded, else 0.", ("source", "target")),
    gauge(
        "lmwatch_source_scrape_duration_seconds",
        "Seconds that the last collection from the target took.",
        ("source", "target"),
        "seconds",
    ),
    gauge(
        "lmwatch_source_discovery_errors",
        "What is wrong with the discovery of the source's targets at present: files that cannot be used, URLs that bring no list, "
        "targets that are there twice. The last good targets stay in use; the log has the words.",
        ("source",),
    ),
    gauge("lmwatch_source_samples", "Samples that the last collection from the target brought.", ("source", "target")),
    info("lmwatch_build_info", "What is running; always 1.", ("version", "python_version")),
    info(
        "lmwatch_web_info",
        "Where people reach the pages of lmwatch; always 1, absent without `web.external_url`. Links in alerts are made of it.",
        ("external_url",),
    ),
    gauge(
        "lmwatch_config_last_reload_successful", "1 if the last attempt to load the configuration succeeded, else 0."
    ),
    gauge(
        "lmwatch_config_last_reload_success_timestamp_seconds",
        "Unix time in seconds when the configuration was last loaded.",
        unit="seconds",
    ),
    gauge(
        "lmwatch_heartbeat_interval_seconds",
        "Seconds from one anomaly that lmwatch plants for itself to the next; absent where the heartbeat is off.",
        unit="seconds",
    ),
    gauge(
        "lmwatch_heartbeat_success_timestamp_seconds",
        "Unix time in seconds when a model's verdict on the planted anomaly was last right; before the first, when one could be "
        "expected first. Absent while no model is asked because that would keep it loaded.",
        unit="seconds",
    ),
    gauge(
        "lmwatch_heartbeat_screen_success_timestamp_seconds",
        "Unix time in seconds when the statistical screen last found the planted anomaly and only that; before the first time, "
        "when the heartbeat began.",
        unit="seconds",
    ),
    counter(
        "lmwatch_jobs_missed_total",
        "Times that a scheduled job could not start when it was due, by the pool of threads that such jobs have.",
        ("pool",),
    ),
    gauge("lmwatch_collector_success", "1 if this part of the exposition could be collected, else 0.", ("collector",)),
    counter(
        "lmwatch_collector_failures_total",
        "Times that this part of the exposition could not be collected.",
        ("collector",),
    ),
)

PROCESS: tuple[Row, ...] = (
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", unit="bytes"),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", unit="bytes"),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", unit="seconds"),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", (), "seconds"),
    gauge("process_open_fds", "Number of open file descriptors."),
    gauge("process_max_fds", "Maximum number of open file descriptors."),
    gauge("python_info", "Python platform information.", ("version", "implementation", "major", "minor", "patchlevel")),
    counter("python_gc_objects_collected_total", "Objects collected during gc.", ("generation",)),
    counter("python_gc_objects_uncollectable_total", "Uncollectable objects found during GC.", ("generation",)),
    counter("python_gc_collections_total", "Number of times this generation was collected.", ("generation",)),
)
