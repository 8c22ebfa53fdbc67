import json
import math

import pytest
from fake_lms import event
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.failures import REASONS, ModelFailure
from exporter.lmstudio.logfigures import (
    LONGEST_SECONDS,
    STOP_REASONS,
    LoggedPrediction,
    duration,
    outcome,
    plausible,
    read_prediction,
)
from exporter.lmstudio.wire import Prediction

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
STATS = (
    "stopReason",
    "tokensPerSecond",
    "timeToFirstTokenSec",
    "totalTimeSec",
    "promptTokensCount",
    "predictedTokensCount",
)


@pytest.mark.parametrize(
    ("output", "first", "total", "rate", "expected"),
    [
        pytest.param(107, 13.94, 6.755, 15.841, 20.695, id="MLX: the total is below the first token"),
        pytest.param(107, 13.94, 6.755, None, 20.695, id="MLX without a rate"),
        pytest.param(107, 13.94, 6.755, 99.0, 20.695, id="MLX with a rate that fits nothing"),
        pytest.param(99, 0.33, 0.995, 96.48, 1.325, id="MLX: the total is above it, but n / total is the rate"),
        pytest.param(3, 0.057613, 0.092553, 57.24098, 0.092553, id="llama.cpp: (n - 1) / (total - first) is the rate"),
        pytest.param(10, 15.076, 4.903, 2.039457, 19.979, id="older llama.cpp"),
        pytest.param(298, 1.324, 10.5, 13.0527, 1.324 + 298 / 13.0527, id="neither formula: decoding by the rate"),
        pytest.param(1, 0.2, 0.2, None, 0.2, id="one token has no rate"),
        pytest.param(50, 0.2, 1.2, None, 1.2, id="no rate: the total is everything"),
        pytest.param(50, 0.2, 1.2, 0.0, 1.2, id="a rate of 0 is none"),
        pytest.param(None, 0.2, 1.2, 40.0, 1.2, id="no count"),
        pytest.param(50, None, 1.2, 40.0, 1.2, id="no first token"),
        pytest.param(50, 0.2, None, 40.0, 1.45, id="no total: decoding by the rate"),
        pytest.param(0, 0.2, None, None, 0.2, id="nothing decoded"),
        pytest.param(50, 0.2, None, None, None, id="only the first token"),
        pytest.param(50, None, None, 40.0, None, id="only a rate"),
        pytest.param(None, None, None, None, None, id="nothing"),
    ],
)
def test_duration(output, first, total, rate, expected):
    assert duration(output, first, total, rate) == (None if expected is None else pytest.approx(expected))


@given(
    output=st.integers(8, 5000),
    first=st.floats(0.01, 100),
    rate=st.floats(0.5, 500),
    decoding_only=st.booleans(),
)
def test_both_meanings_give_the_same_duration(output, first, rate, decoding_only):
    """An engine that follows either convention exactly is timed right, to a rounding of one token's time."""
    if decoding_only:
        total, true = output / rate, first + output / rate
    else:
        total = true = first + (output - 1) / rate
    found = duration(output, first, total, rate)
    # Where the prompt takes less than about a token's time the two formulas cannot be told apart, nor need they be.
    assert found == pytest.approx(true, abs=2 / rate)


@pytest.mark.parametrize(
    ("rate", "output", "kept"),
    [
        (57.24, 3, True),
        (131.1, 2, True),
        (1200.0, 2, False),
        (1200.0, 500, True),
        (48_211.7, 500, False),
        (0.0, 500, False),
        (math.nan, 500, False),
        (1500.0, None, False),
        (None, 500, False),
    ],
)
def test_rates_that_cannot_be_true_are_dropped(rate, output, kept):
    assert plausible(rate, output) == (rate if kept else None)


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("eosFound", "stop"),
        ("stopStringFound", "stop"),
        ("toolCalls", "tool_calls"),
        ("maxPredictedTokensReached", "length"),
        ("contextLengthReached", "context_length"),
        ("unknown", "unknown"),
    ],
)
def test_what_ended_by_itself_or_at_a_limit_is_a_prediction_without_text(stop_reason, finish_reason):
    logged = LoggedPrediction("qwen:2", 5.0, stop_reason, 20, 101, 0.5, 2.5, 50.0)
    assert outcome(logged, "desk") == Prediction(
        server="desk",
        model="qwen:2",
        asked_model="qwen:2",
        text="",
        reasoning="",
        finish_reason=finish_reason,
        prompt_tokens=20,
        output_tokens=101,
        reasoning_tokens=None,
        cached_prompt_tokens=None,
        time_to_first_token_seconds=0.5,
        duration_seconds=2.5,
        tokens_per_second=50.0,
        timed_by="server",
    )


@pytest.mark.parametrize(
    ("stop_reason", "reason"),
    [("failed", "server_error"), ("userStopped", "cancelled"), ("modelUnloaded", "no_model_loaded")],
)
def test_what_ended_badly_is_a_failure_of_the_closed_list(stop_reason, reason):
    failure = outcome(LoggedPrediction("qwen", None, stop_reason), "desk")
    assert isinstance(failure, ModelFailure)
    assert failure.reason == reason
    assert failure.reason in REASONS


def test_a_duration_that_nobody_told_is_not_a_number():
    assert math.isnan(outcome(LoggedPrediction("qwen", None, "eosFound"), "desk").duration_seconds)


@pytest.mark.parametrize("stop_reason", [*STOP_REASONS, "brandNewReason"])
def test_every_stop_reason_is_read(stop_reason):
    logged = read_prediction(json.loads(event(stopReason=stop_reason)))
    assert logged.stop_reason == (stop_reason if stop_reason in STOP_REASONS else "unknown")


@given(
    document=JSON
    | st.fixed_dictionaries(
        {
            "timestamp": JSON,
            "data": st.fixed_dictionaries(
                {
                    "type": st.just("llm.prediction.output"),
                    "modelIdentifier": st.just("qwen") | JSON,
                    "stats": JSON | st.dictionaries(st.sampled_from(STATS), JSON | st.floats(0, 1e308)),
                }
            ),
        }
    )
)
def test_any_json_gives_sound_figures_or_none(document):
    logged = read_prediction(document)
    if logged is None:
        return
    assert logged.model
    assert logged.stop_reason in STOP_REASONS
    for seconds in (logged.time_to_first_token_seconds, logged.duration_seconds):
        assert seconds is None or 0 <= seconds <= LONGEST_SECONDS
    for tokens in (logged.prompt_tokens, logged.output_tokens):
        assert tokens is None or tokens >= 0
    assert logged.tokens_per_second is None or 0 < logged.tokens_per_second < 10_000
    assert logged.at is None or math.isfinite(logged.at)
