import math
from dataclasses import replace

import pytest
from metrics_fakes import CALL, QWEN, make_health, make_prediction, names_with
from prometheus_client import CollectorRegistry, generate_latest

from exporter.lmstudio.failures import REASONS
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.instruments import OUTCOMES, Instruments


def test_a_prediction_counts_and_shows_its_figures(registry: CollectorRegistry, instruments: Instruments):
    instruments.prediction("analysis", make_prediction(), 4000)
    expected = {
        "lmstudio_requests_total": 1,
        "lmstudio_prompt_tokens_total": 900,
        "lmstudio_output_tokens_total": 100,
        "lmstudio_reasoning_tokens_total": 20,
        "lmstudio_cached_prompt_tokens_total": 512,
        "lmstudio_request_duration_seconds_sum": 3.2,
        "lmstudio_request_duration_seconds_count": 1,
        "lmstudio_request_time_to_first_token_seconds_sum": 0.7,
        "lmstudio_request_time_per_output_token_seconds_sum": 0.025,
        "lmstudio_tokens_per_second": 40,
        "lmstudio_time_to_first_token_seconds": 0.7,
        "lmstudio_context_used_tokens": 1000,
        "lmstudio_context_used_ratio": 0.25,
    }
    assert {name: registry.get_sample_value(name, CALL) for name in expected} == expected


def test_a_prediction_without_figures_counts_as_a_request_only(registry: CollectorRegistry, instruments: Instruments):
    bare = make_prediction(
        prompt_tokens=None,
        output_tokens=None,
        reasoning_tokens=None,
        cached_prompt_tokens=None,
        time_to_first_token_seconds=None,
        tokens_per_second=None,
    )
    instruments.prediction("traffic", bare, None)
    labels = CALL | {"origin": "traffic"}
    assert registry.get_sample_value("lmstudio_requests_total", labels) == 1
    assert registry.get_sample_value("lmstudio_prompt_tokens_total", labels) == 0
    assert registry.get_sample_value("lmstudio_request_time_to_first_token_seconds_count", labels) == 0
    assert registry.get_sample_value("lmstudio_tokens_per_second", labels) is None
    assert registry.get_sample_value("lmstudio_context_used_tokens", labels) is None


def test_an_unknown_duration_spoils_no_histogram(registry: CollectorRegistry, instruments: Instruments):
    instruments.prediction("traffic", make_prediction(duration_seconds=math.nan), None)
    instruments.prediction("traffic", make_prediction(duration_seconds=3.2), None)
    labels = CALL | {"origin": "traffic"}
    assert registry.get_sample_value("lmstudio_request_duration_seconds_sum", labels) == 3.2
    assert registry.get_sample_value("lmstudio_requests_total", labels) == 2


def test_a_figure_that_the_last_prediction_lacks_is_not_shown_from_an_older_one(
    registry: CollectorRegistry, instruments: Instruments
):
    instruments.prediction("analysis", make_prediction(), 4000)
    instruments.prediction("analysis", make_prediction(tokens_per_second=None), None)
    assert registry.get_sample_value("lmstudio_tokens_per_second", CALL) is None
    assert registry.get_sample_value("lmstudio_context_used_ratio", CALL) is None
    assert registry.get_sample_value("lmstudio_context_used_tokens", CALL) == 1000


@pytest.mark.parametrize("speed", [0.0, None])
def test_a_prediction_without_speed_has_no_time_per_token(
    registry: CollectorRegistry, instruments: Instruments, speed: float | None
):
    instruments.prediction("analysis", make_prediction(tokens_per_second=speed), 4000)
    assert registry.get_sample_value("lmstudio_request_time_per_output_token_seconds_count", CALL) == 0


def test_a_failed_request_is_a_request_too(registry: CollectorRegistry, instruments: Instruments):
    instruments.request_failed("desk", "qwen", "analysis", "timeout")
    assert registry.get_sample_value("lmstudio_requests_total", CALL) == 1
    assert registry.get_sample_value("lmstudio_request_failures_total", CALL | {"reason": "timeout"}) == 1
    assert registry.get_sample_value("lmstudio_request_failures_total", CALL | {"reason": "auth"}) == 0


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_analysis_counts_by_outcome(registry: CollectorRegistry, instruments: Instruments, outcome: str):
    instruments.analysis("nodes", outcome, 4.0)
    instruments.analysis("nodes", outcome, None)
    assert registry.get_sample_value("lmwatch_analyses_total", {"watch": "nodes", "outcome": outcome}) == 2
    assert registry.get_sample_value("lmwatch_analysis_duration_seconds_count", {"watch": "nodes"}) == 1


def test_the_outcomes_are_a_closed_list(instruments: Instruments):
    assert set(OUTCOMES) == {
        *("ok", "ungrounded", "invalid", "llm_error", "timeout"),
        *("skipped_calm", "skipped_cooldown", "skipped_busy"),
    }
    with pytest.raises(ValueError, match="unknown outcome 'fine'"):
        instruments.analysis("nodes", "fine", None)


def test_a_declared_watch_shows_its_counters_at_0(registry: CollectorRegistry, instruments: Instruments):
    instruments.declare_watch("nodes")
    for outcome in OUTCOMES:
        assert registry.get_sample_value("lmwatch_analyses_total", {"watch": "nodes", "outcome": outcome}) == 0
    assert registry.get_sample_value("lmwatch_prompt_series_dropped_total", {"watch": "nodes"}) == 0
    assert registry.get_sample_value("lmwatch_analysis_duration_seconds_count", {"watch": "nodes"}) == 0


def test_a_declared_server_shows_each_reason_at_0(registry: CollectorRegistry, instruments: Instruments):
    instruments.declare_server("desk")
    for reason in REASONS:
        assert registry.get_sample_value("lmstudio_poll_failures_total", {"server": "desk", "reason": reason}) == 0


def test_declaring_again_keeps_what_was_counted(registry: CollectorRegistry, instruments: Instruments):
    instruments.snapshot("nodes", 3)
    instruments.declare_watch("nodes")
    instruments.snapshot("nodes", 0)
    assert registry.get_sample_value("lmwatch_prompt_series_dropped_total", {"watch": "nodes"}) == 3


def test_a_poll_shows_its_duration_and_counts_its_failure(registry: CollectorRegistry, instruments: Instruments):
    instruments.poll("desk", 0.25, None)
    instruments.poll("desk", 2.0, "timeout")
    assert registry.get_sample_value("lmstudio_poll_duration_seconds", {"server": "desk"}) == 2
    assert registry.get_sample_value("lmstudio_poll_failures_total", {"server": "desk", "reason": "timeout"}) == 1


def test_missed_jobs_count(registry: CollectorRegistry, instruments: Instruments):
    instruments.declare_pool("poll")
    assert registry.get_sample_value("lmwatch_jobs_missed_total", {"pool": "poll"}) == 0
    instruments.job_missed("poll")
    assert registry.get_sample_value("lmwatch_jobs_missed_total", {"pool": "poll"}) == 1


def test_an_unloaded_model_loses_its_last_values_and_keeps_its_counters(
    registry: CollectorRegistry, instruments: Instruments
):
    instruments.prediction("analysis", make_prediction(), 4000)
    instruments.prediction("probe", make_prediction(), 4000)
    instruments.prediction("probe", make_prediction(model="gemma"), 4000)
    instruments.forget_model("desk", "qwen")
    assert registry.get_sample_value("lmstudio_tokens_per_second", CALL | {"model": "gemma", "origin": "probe"}) == 40
    gauges = {entry.name for entry in CATALOGUE if entry.type == "gauge" and "failure" not in entry.name}
    assert not names_with(registry, 'model="qwen"') & gauges
    assert registry.get_sample_value("lmstudio_requests_total", CALL) == 1


def test_a_forgotten_server_leaves_no_series(registry: CollectorRegistry, instruments: Instruments):
    for server in ("desk", "attic"):
        instruments.declare_server(server)
        instruments.poll(server, 0.1, "auth")
        instruments.models(replace(make_health(QWEN), server=server))
        instruments.circuit(server, "open")
        instruments.log_stream(server, True)
        instruments.proxy_response(server, "qwen", 200)
        instruments.prediction("analysis", make_prediction(server=server), 4000)
        instruments.request_failed(server, "qwen", "probe", "timeout")
    kept = names_with(registry, 'server="attic"')
    assert names_with(registry, 'server="desk"') == kept
    instruments.forget_server("desk")
    assert names_with(registry, 'server="desk"') == set()
    assert names_with(registry, 'server="attic"') == kept


def test_a_forgotten_watch_leaves_no_series(registry: CollectorRegistry, instruments: Instruments):
    instruments.declare_watch("nodes")
    instruments.declare_watch("shop")
    instruments.forget_watch("nodes")
    assert names_with(registry, 'watch="nodes"') == set()
    assert names_with(registry, 'watch="shop"')


def test_counters_bring_no_created_series(registry: CollectorRegistry, instruments: Instruments):
    instruments.prediction("analysis", make_prediction(), 4000)
    assert "_created" not in generate_latest(registry).decode()


def test_a_failed_request_shows_when_it_was(registry: CollectorRegistry, instruments: Instruments):
    instruments.request_failed("desk", "qwen", "analysis", "timeout")
    name = "lmstudio_request_last_failure_timestamp_seconds"
    assert registry.get_sample_value(name, CALL | {"reason": "timeout"}) == 1000
    assert registry.get_sample_value(name, CALL | {"reason": "auth"}) is None, "never is no time"


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("eosFound", "stop"),
        ("maxPredictedTokensReached", "length"),
        ("contextLengthReached", "context_length"),
        ("max_tokens", "length"),
        ("completed", "stop"),
        ("incomplete", "length"),
        ("userStopped", "user_stopped"),
        ("something new", "other"),
    ],
)
def test_answers_count_by_what_ended_them(
    registry: CollectorRegistry, instruments: Instruments, told: str, counted: str
):
    instruments.prediction("analysis", make_prediction(finish_reason=told), None)
    found = registry.get_sample_value("lmstudio_request_finishes_total", CALL | {"finish_reason": counted})
    assert found == 1


def test_the_sizes_of_requests_are_seen_one_by_one(registry: CollectorRegistry, instruments: Instruments):
    instruments.prediction("analysis", make_prediction(prompt_tokens=900, output_tokens=None), None)
    bucket = "lmstudio_request_prompt_tokens_bucket"
    assert registry.get_sample_value(bucket, CALL | {"le": "256.0"}) == 0
    assert registry.get_sample_value(bucket, CALL | {"le": "1024.0"}) == 1
    assert registry.get_sample_value("lmstudio_request_output_tokens_count", CALL) == 0
