"""An engine that says what it was told to say: for tests, which must know the answer beforehand. It computes nothing."""

import re
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from exporter.embedded.contract import ContextOverflowError, Ending, Message, ModelFacts, Piece
from exporter.errors import TransientError

_PREFILL_TOKENS_PER_SECOND = 1000.0
SCRIPTED_MODEL = ModelFacts(
    key="scripted-1b", display_name="Scripted 1B", architecture="scripted", params_string="1B", max_context_length=32768
)
_TOKEN = re.compile(r"\s*\S{1,6}|\s+")


def split_tokens(text: str) -> list[str]:
    """Cut a text into pieces of at most six letters with the blanks before them; joined they are the text again."""
    return _TOKEN.findall(text)


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer. `error` is raised once `text` has been said."""

    text: str
    reasoning: str = ""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it reached the engine."""

    messages: tuple[Message, ...]
    max_tokens: int | None
    temperature: float
    seed: int | None
    schema: Mapping[str, Any] | None

    @property
    def prompt_tokens(self) -> int:
        """Four tokens of template a message, and those of the texts."""
        return sum(4 + len(split_tokens(message["content"])) for message in self.messages)


Script = Callable[[Asked], str | Reply] | Sequence[str | Reply]


@dataclass(slots=True)
class _Record:
    """What all sizes of one scripted engine share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: list[Asked] = field(default_factory=list)
    abandoned: int = 0
    closed: int = 0


class ScriptedEngine:
    """Answers from a script, with figures computed from token counts and no time passing.

    Args:
        answers: called with each request, or the answers in order; a request after the last one fails.
        tokens_per_second: what the figures claim, and what `pause` is asked to wait for.
        pause: called with the seconds before each token; None goes on at once. Tests pass a gate here.
        context_length: prompts longer than this overflow.
        parallel: what the engine claims to do at the same time.
        facts: the model that it pretends to be.
    """

    name = "scripted"
    version = "1"

    def __init__(
        self,
        answers: Script,
        *,
        tokens_per_second: float = 50.0,
        pause: Callable[[float], object] | None = None,
        context_length: int = 4096,
        parallel: int = 4,
        facts: ModelFacts = SCRIPTED_MODEL,
    ) -> None:
        self.context_length = context_length
        self.parallel = parallel
        self.facts = facts
        self._answers = answers
        self._seconds_per_token = 1 / tokens_per_second
        self._pause = pause
        self._record = _Record()

    @property
    def asked(self) -> tuple[Asked, ...]:
        """All requests so far, oldest first."""
        with self._record.lock:
            return tuple(self._record.asked)

    @property
    def abandoned(self) -> int:
        """Answers that nobody waited for until their end."""
        with self._record.lock:
            return self._record.abandoned

    @property
    def closed(self) -> int:
        """How often it was closed."""
        with self._record.lock:
            return self._record.closed

    def resized(self, context_length: int) -> "ScriptedEngine":
        """The same script and the same record with another context: what a studio does when it loads the model."""
        other = ScriptedEngine(
            self._answers,
            tokens_per_second=1 / self._seconds_per_token,
            pause=self._pause,
            context_length=context_length,
            parallel=self.parallel,
            facts=self.facts,
        )
        other._record = self._record
        return other

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Generator[Piece, None, None]:
        """Answer from the script; see Engine.stream. `schema` is recorded, the script must keep to it."""
        asked = Asked(tuple(dict(message) for message in messages), max_tokens, temperature, seed, schema)
        if asked.prompt_tokens > self.context_length:
            raise ContextOverflowError(asked.prompt_tokens, self.context_length)
        reply = self._next_reply(asked)
        complete = False
        try:
            yield Piece(progress=1.0)
            yield from self._said(reply, asked)
            complete = True
        finally:
            if not complete:
                with self._record.lock:
                    self._record.abandoned += 1

    def _next_reply(self, asked: Asked) -> Reply:
        with self._record.lock:
            self._record.asked.append(asked)
            number = len(self._record.asked)
        if callable(self._answers):
            answer = self._answers(asked)
        elif number <= len(self._answers):
            answer = self._answers[number - 1]
        else:
            raise TransientError(f"the script has {len(self._answers)} answers, this is request {number}")
        return Reply(answer) if isinstance(answer, str) else answer

    def _said(self, reply: Reply, asked: Asked) -> Generator[Piece, None, None]:
        reasoning = split_tokens(reply.reasoning)
        pieces = [Piece(reasoning=token) for token in reasoning] + [Piece(text=t) for t in split_tokens(reply.text)]
        limit = asked.max_tokens if asked.max_tokens is not None else self.context_length - asked.prompt_tokens
        finish_reason: Literal["stop", "length"] = "length" if len(pieces) > limit else "stop"
        pieces = pieces[:limit]
        for piece in pieces:
            if self._pause is not None:
                self._pause(self._seconds_per_token)
            yield piece
        if reply.error is not None:
            raise reply.error
        yield Piece(
            ending=Ending(
                finish_reason=finish_reason,
                prompt_tokens=asked.prompt_tokens,
                output_tokens=len(pieces),
                reasoning_tokens=min(limit, len(reasoning)),
                cached_prompt_tokens=0,
                prefill_seconds=asked.prompt_tokens / _PREFILL_TOKENS_PER_SECOND,
                decode_seconds=max(0, len(pieces) - 1) * self._seconds_per_token,
            )
        )

    def close(self) -> None:
        """Count that it was closed; a script needs no memory back."""
        with self._record.lock:
            self._record.closed += 1
