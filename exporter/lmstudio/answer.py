"""Putting an answer together: from the chunks of a stream, or from one JSON body, to text and figures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exporter.lmstudio.fields import count, mapping, number, rows, well_formed

FEW_TOKENS = 8
"""A server's rate over fewer tokens than this is noise: values above 1000/s are seen for two or three."""
FASTEST = 10_000.0
"""Tokens per second that no model reaches; a higher rate comes from a buffered answer or a broken clock."""
_THINK, _THOUGHT = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a server says about one of its answers; None for what it does not say."""

    prompt_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_prompt_tokens: int | None = None
    time_to_first_token_seconds: float | None = None
    tokens_per_second: float | None = None


class AnswerBuilder:
    """One answer in the making. `take` is given each JSON object of it, in order."""

    def __init__(self) -> None:
        self.model = ""
        """As the server names it; empty while it has not."""
        self.finish_reason = ""
        self.chunks = 0
        """Objects taken."""
        self.has_stats = False
        """Whether LM Studio's own `stats` came along."""
        self.first_token_at: float | None = None
        self.last_token_at: float | None = None
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls_tools = False
        self._usage: Mapping[str, Any] = {}
        self._stats: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}

    def take(self, document: Mapping[str, Any], at: float | None) -> None:
        """Add one object.

        Args:
            document: a chunk of a stream, or a whole answer.
            at: when it arrived, on a monotonic clock; None for a whole answer, which tells nothing about single tokens.
        """
        self.chunks += 1
        model = document.get("model")
        if isinstance(model, str) and model:
            self.model = well_formed(model)
        self._usage = mapping(document, "usage") or self._usage
        self._timings = mapping(document, "timings") or self._timings
        stats = mapping(document, "stats")
        if stats:
            self._stats = stats
            self.has_stats = number(stats, "tokens_per_second") is not None
        choice = next((row for row in rows(document, "choices") if row.get("index", 0) == 0), None)
        if choice is not None:
            self._take_choice(choice, at)

    @property
    def is_empty(self) -> bool:
        """Whether no token of any kind has come."""
        return not (self._content or self._reasoning or self._calls_tools)

    def texts(self, *, json_wanted: bool) -> tuple[str, str]:
        """The answer and the thinking.

        Thinking that stands in front of the answer between `<think>` tags is taken out of it. Where JSON was
        wanted and the answer proper is empty, the thinking is the answer: some servers put it there.
        """
        content = well_formed("".join(self._content))
        reasoning = well_formed("".join(self._reasoning))
        head = content.lstrip()
        if head.startswith(_THINK) and _THOUGHT in head:
            thought, _, content = head.removeprefix(_THINK).partition(_THOUGHT)
            reasoning = reasoning + thought
            content = content.lstrip()
        if json_wanted and not content.strip():
            return reasoning, ""
        return content, reasoning

    def figures(self) -> Figures:
        """What the server said, from `usage`, LM Studio's `stats` and llama.cpp's `timings`, whichever came."""
        usage, stats, timings = self._usage, self._stats, self._timings
        prompt_ms = number(timings, "prompt_ms")
        first = number(stats, "time_to_first_token_seconds")
        if first is None:
            first = number(stats, "time_to_first_token")
        if first is None and prompt_ms is not None:
            first = prompt_ms / 1000
        rate = number(stats, "tokens_per_second")
        return Figures(
            prompt_tokens=_first(
                count(usage, "prompt_tokens", "input_tokens"), count(stats, "input_tokens"), _prompt_of(timings)
            ),
            output_tokens=_first(
                count(usage, "completion_tokens", "output_tokens"),
                count(stats, "total_output_tokens"),
                count(timings, "predicted_n"),
            ),
            reasoning_tokens=_first(
                count(mapping(usage, "completion_tokens_details"), "reasoning_tokens"),
                count(stats, "reasoning_output_tokens"),
            ),
            cached_prompt_tokens=_first(
                count(mapping(usage, "prompt_tokens_details"), "cached_tokens"), count(timings, "cache_n")
            ),
            time_to_first_token_seconds=first if first is not None and first >= 0 else None,
            tokens_per_second=rate if rate is not None else number(timings, "predicted_per_second"),
        )

    def _take_choice(self, choice: Mapping[str, Any], at: float | None) -> None:
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            self.finish_reason = well_formed(finish)
        part = mapping(choice, "delta") or mapping(choice, "message")
        content = _string(part, "content")
        reasoning = _string(part, "reasoning_content") or _string(part, "reasoning")
        calls_tools = bool(part.get("tool_calls"))
        if not (content or reasoning or calls_tools):
            return
        self._content += [content] if content else []
        self._reasoning += [reasoning] if reasoning else []
        self._calls_tools = self._calls_tools or calls_tools
        self.first_token_at = at if self.first_token_at is None else self.first_token_at
        self.last_token_at = at


def speed(figures: Figures, decode_seconds: float | None) -> tuple[float | None, Literal["server", "clock"]]:
    """Output tokens per second of decode time, and whose number it is.

    The server's own rate where it gives one over at least `FEW_TOKENS` tokens; else (n - 1) tokens over the time from the first
    token to the last, as the first one's time belongs to the prompt. A rate that cannot be true is dropped.

    Args:
        figures: what the server says.
        decode_seconds: from the first token to the last by our clock; None where the answer came in one piece.
    """
    tokens = figures.output_tokens
    reported = _plausible(figures.tokens_per_second)
    if reported is not None and (decode_seconds is None or (tokens is not None and tokens >= FEW_TOKENS)):
        return reported, "server"
    if tokens is None or tokens < 2 or not decode_seconds:
        return None, "clock"
    return _plausible((tokens - 1) / decode_seconds), "clock"


def _plausible(rate: float | None) -> float | None:
    return rate if rate is not None and math.isfinite(rate) and 0 < rate < FASTEST else None


def _prompt_of(timings: Mapping[str, Any]) -> int | None:
    """llama.cpp counts the prompt tokens it took from its cache apart."""
    processed = count(timings, "prompt_n")
    return None if processed is None else processed + (count(timings, "cache_n") or 0)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _string(parent: Mapping[str, Any], key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""
