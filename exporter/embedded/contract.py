"""The contract of an engine: what answers a chat in process, and what it says while it does."""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from exporter.errors import RefusedError

Message = Mapping[str, str]
"""One message of a chat: `role` (system, user, assistant) and `content`."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model whether it is loaded or not. What nobody told is empty or 0."""

    key: str
    display_name: str = ""
    architecture: str = ""
    quantization: str = ""
    """Such as `Q4_K_M` or `4bit`."""
    size_bytes: int = 0
    params_string: str = ""
    """Such as `135M`."""
    max_context_length: int = 4096
    publisher: str = "local"

    @property
    def bits_per_weight(self) -> int | None:
        """The number in the name of the quantization."""
        digits = re.search(r"\d+", self.quantization)
        return int(digits.group()) if digits else None


@dataclass(frozen=True, slots=True)
class Ending:
    """The figures of a completed answer."""

    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    output_tokens: int
    """All tokens that were made, those of reasoning included."""
    reasoning_tokens: int
    cached_prompt_tokens: int
    """The part of `prompt_tokens` that was reused from an earlier call."""
    prefill_seconds: float
    decode_seconds: float
    """From the first token to the last."""

    @property
    def tokens_per_second(self) -> float | None:
        """(n - 1) / decode time, as llama.cpp counts; None for an answer too short to tell."""
        if self.output_tokens < 2 or self.decode_seconds <= 0:
            return None
        return (self.output_tokens - 1) / self.decode_seconds


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of an answer: some text, some reasoning, how far the prompt was read, or the end."""

    text: str = ""
    reasoning: str = ""
    progress: float | None = None
    """How much of the prompt has been read, 0 to 1."""
    ending: Ending | None = None


class ContextOverflowError(RefusedError):
    """The prompt is longer than the context."""

    def __init__(self, prompt_tokens: int, context_length: int) -> None:
        super().__init__(
            f"request ({prompt_tokens} tokens) exceeds the available context size ({context_length} tokens)"
        )
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length


class Engine(Protocol):
    """A loaded model that answers. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """What kind of engine this is, for people."""
        ...

    @property
    def version(self) -> str:
        """Of the engine, not of the model."""
        ...

    @property
    def facts(self) -> ModelFacts:
        """The model behind it."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may have together."""
        ...

    @property
    def parallel(self) -> int:
        """Answers that it makes at the same time; more than that wait."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Generator[Piece, None, None]:
        """Answer a chat piece by piece; the last piece carries the ending. Closing the generator stops the work.

        Args:
            messages: the chat so far, oldest first.
            max_tokens: the longest answer; None means as long as the context allows.
            temperature: 0 takes the most likely token each time.
            seed: of the draw of tokens, where the temperature is not 0.
            schema: a JSON schema that the answer must satisfy.

        Raises:
            ContextOverflowError: the prompt is longer than the context.
            RefusedError: the engine cannot work with the schema or the messages.
            TransientError: the engine failed, or was closed meanwhile.
        """
        ...

    def resized(self, context_length: int) -> "Engine":
        """The same model loaded once more with another context; works after `close` too."""
        ...

    def close(self) -> None:
        """Stop what runs and give the memory back. May be called twice."""
        ...
