"""How the context of a model is divided between the question and its answer."""

import re
from dataclasses import dataclass
from typing import Literal, Self

from exporter.lmstudio.wire import Model

UNKNOWN_CONTEXT = 4096
"""Tokens assumed where a server does not tell: what LM Studio loads models with by default."""
_ANSWER_BASE = 200
_ANSWER_PER_SERIES = 110
"""A finding takes about 40 tokens of JSON and up to 65 of a sentence; the group's part about 150. The rest is for white space."""
_THINKING = 1500
_THINKING_SHARE = 3
"""Thinking is given at most a third of the context."""
_OVERHEAD = 128
"""For the chat template, and for the note of a second question."""
_REASONING_MODEL = re.compile(
    r"gpt-oss|deepseek-r1|qwq|magistral|thinking|reasoning|qwen3(?!.*(instruct|coder))", re.IGNORECASE
)
_TAKES_EFFORT = re.compile(r"gpt-oss", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Room:
    """What may be used of one model's context."""

    tokens: int
    """For question and answer together."""
    prefix: int
    """The instructions."""
    thinking: int
    """What a reasoning model may think before it answers; 0 for others."""
    effort: Literal["low"] | None
    """The reasoning effort to ask for, of models that are known to take it."""
    image: int = 0
    """A chart; 0 where none is sent."""

    @classmethod
    def of(cls, model: Model, prefix: int, share: float, image: int = 0) -> Self:
        """The room in this model.

        Args:
            model: the instance to ask.
            prefix: tokens of the instructions.
            share: the part of the context that one question and its answer may take; what is left covers errors of the
                estimate. 0..1.
            image: tokens of a chart; 0 where none is sent.
        """
        tokens = int((model.context_length or UNKNOWN_CONTEXT) * share)
        name = f"{model.key} {model.id}"
        thinking = min(_THINKING, tokens // _THINKING_SHARE) if _REASONING_MODEL.search(name) else 0
        return cls(tokens, prefix, thinking, "low" if _TAKES_EFFORT.search(name) else None, image)

    def answer(self, series: int) -> int:
        """Tokens that an answer about this many series may take."""
        return _ANSWER_BASE + _ANSWER_PER_SERIES * series + self.thinking

    def question(self, series: int) -> int:
        """Tokens left for a snapshot of this many series; negative where there is none."""
        return self._free - self.answer(series)

    def longer_answer(self, series: int, snapshot: int) -> int:
        """Tokens for an answer that did not fit the first time: twice as many, as far as the context has them."""
        return max(self.answer(series), min(2 * self.answer(series), self._free - snapshot))

    @property
    def _free(self) -> int:
        """For the snapshot and the answer."""
        return self.tokens - self.prefix - self.image - _OVERHEAD
