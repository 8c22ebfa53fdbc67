"""The figures of one prediction as LM Studio's log stream gives them, brought to one meaning.

An event says `totalTimeSec` and `tokensPerSecond`, but engines disagree on what they are. Recorded events:

    engine                    n     TTFT      total     rate       what fits
    MLX                       107   13.94     6.755     15.841     total = decoding only;  rate = n / total
    llama.cpp 2.41 (0.4.24)   3     0.057613  0.092553  57.24098   total = prompt and decoding;  rate = (n - 1) / (total - TTFT)
    llama.cpp, older          10    15.076    4.903     2.039457   as MLX

Neither the engine nor its version is in the event, so the numbers themselves decide, see `duration`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from exporter.lmstudio.answer import FASTEST, FEW_TOKENS
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.fields import count, mapping, number, text
from exporter.lmstudio.wire import Prediction

LONGEST_MODEL_NAME = 256
"""Characters; it becomes a label value."""
FASTEST_FEW = 1000.0
"""Tokens per second above which a rate over fewer than `FEW_TOKENS` tokens comes from the clock's grain."""
LONGEST_SECONDS = 1e6
"""Times above it, 11 days, are no times."""
_FIT = math.log(1.25)
"""How far, as the logarithm of their ratio, a formula may be from the reported rate to be believed."""

_FINISHED: Mapping[str, str] = MappingProxyType(
    {
        "eosFound": "stop",
        "stopStringFound": "stop",
        "toolCalls": "tool_calls",
        "maxPredictedTokensReached": "length",
        "contextLengthReached": "context_length",
    }
)
"""LM Studio's stop reason in the words of the OpenAI API, as in every other prediction; it has none for a full context."""
_BROKEN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "failed": ("server_error", "the log stream says that the prediction failed"),
        "modelUnloaded": ("no_model_loaded", "the model was unloaded during the prediction"),
        "userStopped": ("cancelled", "stopped by whoever asked"),
    }
)
STOP_REASONS: tuple[str, ...] = (*_FINISHED, *_BROKEN, "unknown")


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """One prediction that LM Studio made for anybody. It holds figures and names, never text."""

    model: str
    """The instance identifier."""
    at: float | None
    """Unix seconds of its end by LM Studio's clock; None if the event does not tell."""
    stop_reason: str
    """One of `STOP_REASONS`."""
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    time_to_first_token_seconds: float | None = None
    """By the engine's clock: time in LM Studio's queue is probably not in it."""
    duration_seconds: float | None = None
    """From the start of the prompt to the last token."""
    tokens_per_second: float | None = None


def read_prediction(document: Any) -> LoggedPrediction | None:
    """The prediction in a log event; None if the event is another one, or names no model.

    Args:
        document: the JSON of one line.
    """
    data = mapping(document, "data")
    model = text(data, "modelIdentifier")
    if data.get("type") != "llm.prediction.output" or not 0 < len(model) <= LONGEST_MODEL_NAME:
        return None
    stats = mapping(data, "stats")
    stop_reason = text(stats, "stopReason")
    milliseconds = number(document, "timestamp")
    output = count(stats, "predictedTokensCount")
    first, total = (_seconds(number(stats, key)) for key in ("timeToFirstTokenSec", "totalTimeSec"))
    rate = number(stats, "tokensPerSecond")
    rate = rate if rate is not None and rate > 0 else None
    return LoggedPrediction(
        model=model,
        at=milliseconds / 1000 if milliseconds is not None and milliseconds > 0 else None,
        stop_reason=stop_reason if stop_reason in STOP_REASONS else "unknown",
        prompt_tokens=count(stats, "promptTokensCount"),
        output_tokens=output,
        time_to_first_token_seconds=first,
        duration_seconds=_seconds(duration(output, first, total, rate)),
        tokens_per_second=plausible(rate, output),
    )


def duration(output: int | None, first: float | None, total: float | None, rate: float | None) -> float | None:
    """Seconds from the start of the prompt to the last token.

    A total below the time to the first token cannot contain it, so it is decoding only. Else the total is what makes the
    reported rate come true: `output / total` if it is decoding only, `(output - 1) / (total - first)` if it is everything.
    Where neither does, within 25 %, decoding took `output / rate`. Without a rate the total is taken for everything.

    Args:
        output: tokens that were generated.
        first: seconds to the first token.
        total: the event's `totalTimeSec`.
        rate: the event's `tokensPerSecond`.
    """
    if first is None:
        return total
    decoding = output / rate if output and rate else None
    if total is None:
        decoding = 0.0 if output == 0 else decoding
        return first + decoding if decoding is not None else None
    if total < first:
        return first + total
    if output is None or rate is None or decoding is None:
        return total
    alone = _distance(output, total, rate)
    everything = _distance(output - 1, total - first, rate)
    if min(alone, everything) > _FIT:
        return first + decoding
    return total if everything <= alone else first + total


def plausible(rate: float | None, output: int | None) -> float | None:
    """The rate, unless it cannot be true: for a few tokens engines report thousands a second, or 0."""
    fastest = FASTEST if output is not None and output >= FEW_TOKENS else FASTEST_FEW
    return rate if rate is not None and 0 < rate < fastest else None


def outcome(logged: LoggedPrediction, server: str) -> Prediction | ModelFailure:
    """What a logged prediction is to the rest of the program.

    One that ended by itself or at a limit is a Prediction, without text; its `duration_seconds` is NaN where the event has
    no times, as for models that run on another machine over LM Link. One that failed, was stopped by whoever asked, or lost
    its model is a failure: `server_error`, `cancelled`, `no_model_loaded`.

    Args:
        logged: the prediction.
        server: the server's name in the configuration.
    """
    if logged.stop_reason in _BROKEN:
        return ModelFailure(*_BROKEN[logged.stop_reason])
    return Prediction(
        server=server,
        model=logged.model,
        asked_model=logged.model,
        text="",
        reasoning="",
        finish_reason=_FINISHED.get(logged.stop_reason, "unknown"),
        prompt_tokens=logged.prompt_tokens,
        output_tokens=logged.output_tokens,
        reasoning_tokens=None,
        cached_prompt_tokens=None,
        time_to_first_token_seconds=logged.time_to_first_token_seconds,
        duration_seconds=logged.duration_seconds if logged.duration_seconds is not None else math.nan,
        tokens_per_second=logged.tokens_per_second,
        timed_by="server",
    )


def _seconds(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= LONGEST_SECONDS else None


def _distance(tokens: int, seconds: float, rate: float) -> float:
    """How far tokens in so many seconds are from the rate; infinite where there is nothing to compare."""
    if tokens <= 0 or seconds <= 0:
        return math.inf
    return abs(math.log(tokens) - math.log(seconds) - math.log(rate))
