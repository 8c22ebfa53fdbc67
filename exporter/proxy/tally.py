"""What an answer has told so far, gathered from its JSON objects: figures, times and signs, no text."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from exporter.lmstudio.answer import AnswerBuilder, Figures, speed
from exporter.lmstudio.failures import failure_in
from exporter.proxy.routes import Facts


@dataclass(slots=True)
class Tally:
    """One answer in the counting."""

    model: str = ""
    """As the server names it; empty while it has not."""
    finish_reason: str = ""
    complete: bool = False
    """Whether its end mark or a finish reason has come."""
    has_token: bool = False
    has_thought: bool = False
    objects: int = 0
    failed: str | None = None
    """The reason, of `failures.REASONS`, of the first error that it reported."""
    first_token_at: float | None = None
    last_token_at: float | None = None
    _usage: dict[str, Any] = field(default_factory=dict)
    _blocks: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def take(self, facts: Facts, at: float | None) -> None:
        """Add what one object told.

        Args:
            facts: from the object.
            at: when it arrived, on a monotonic clock; None for an answer in one piece.
        """
        self.objects += 1
        self.model = facts.model or self.model
        self.finish_reason = facts.finish_reason or self.finish_reason
        self.complete = self.complete or facts.complete
        self.has_token = self.has_token or facts.token
        self.has_thought = self.has_thought or facts.thought
        for name, block in facts.figures.items():
            if name == "usage":
                self._usage.update(block)
            else:
                self._blocks[name] = block
        if facts.error and self.failed is None:
            failure = failure_in({"error": facts.error})
            self.failed = failure.reason if failure is not None else None
        if facts.token and at is not None and not facts.repeats:
            self.first_token_at = at if self.first_token_at is None else self.first_token_at
            self.last_token_at = at

    @property
    def is_empty(self) -> bool:
        """Whether a complete answer brought nothing, though no limit of tokens stopped it."""
        return not self.has_token and self.finish_reason not in ("length", "max_tokens", "incomplete")

    def figures(self) -> Figures:
        """What the server said about its answer."""
        builder = AnswerBuilder()
        builder.take({"usage": self._usage, **self._blocks}, at=None)
        return builder.figures()

    def speed(self, figures: Figures) -> tuple[float | None, Literal["server", "clock"]]:
        """Output tokens per second of decode time, and whose number it is; see `answer.speed`.

        Thinking that was counted but not sent lies before the first token that came, and is left out for our clock.
        """
        first, last = self.first_token_at, self.last_token_at
        decode_seconds = last - first if first is not None and last is not None else None
        told = speed(figures, decode_seconds)
        hidden = 0 if self.has_thought else figures.reasoning_tokens or 0
        if told[1] == "server" or not hidden or figures.output_tokens is None:
            return told
        return speed(replace(figures, output_tokens=max(0, figures.output_tokens - hidden)), decode_seconds)
