"""Models that say what they are told to: the ceiling of what a model can add, and the worst that one can do.

They answer as a model in LM Studio does, with JSON text in the shape of the request's schema, so that the checks, the grounding
and the combination with the screen run on their answers as on any other. Each cites facts that exist and states no
number: what they say is believed, and moves scores as far as a model may.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.lmstudio.tokens import TokenCounter
from exporter.lmstudio.wire import ChatRequest, Model, Prediction
from exporter.reasoning.replay import request_key
from exporter.reasoning.schema import NO_KIND, TOP_SCORE
from exporter.screening.result import THRESHOLD
from exporter.series.labels import Series

SERVER: Final = "scripted"
CONTEXT_LENGTH: Final = 32_768
_SURE: Final = TOP_SCORE
_KEY_DIGITS = 16
_ODD: tuple[tuple[str, str], ...] = (
    ("spike", "It jumped out of its usual range."),
    ("level_shift", "It left its usual level and stays away."),
    ("drift", "It has been moving away from what is usual."),
)
"""Kinds with a sentence for each, of which the request picks one."""
_CALM: tuple[tuple[str, str], ...] = (
    (NO_KIND, "It is as it usually is."),
    (NO_KIND, "Nothing about it is unusual."),
)
_GROUP: Mapping[bool, Mapping[str, str]] = {
    True: {
        "summary": "Something in this group is not as usual.",
        "cause": "A fault, or a change just before.",
        "next_steps": "Look at what changed when it began.",
    },
    False: {
        "summary": "The group does what it usually does.",
        "cause": "There is nothing to explain.",
        "next_steps": "Nothing needs to be done.",
    },
}


@dataclass(frozen=True, eq=False, slots=True)
class Situation:
    """What a question is about, beside its words. Only `oracle` makes use of it."""

    case: Case
    at: float
    """The present of the case, Unix seconds."""
    ranked: tuple[Series, ...]
    """The series that the question may show: `S1` is the first, and so on."""


def at_fault(case: Case, at: float) -> frozenset[Series]:
    """The series that the labels call anomalous at a time: all of the case where they name none."""
    for window in case.windows:
        if window.start <= at <= window.end:
            return frozenset(case.series[row] for row in window.culprits) if window.culprits else frozenset(case.series)
    return frozenset()


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What is said of one series, or of the group."""

    score: int
    confidence: int = _SURE

    @property
    def odd(self) -> bool:
        return self.score > THRESHOLD * TOP_SCORE


_ODD_OPINION, _CALM_OPINION = _Opinion(TOP_SCORE), _Opinion(0)
_Opinions = Callable[[list[str], Situation, np.random.Generator], list[_Opinion]]
"""What is said of the series with these ids, in their order."""


def _oracle(ids: list[str], situation: Situation, _draw: np.random.Generator) -> list[_Opinion]:
    odd = at_fault(situation.case, situation.at)
    return [_ODD_OPINION if situation.ranked[_rank(one)] in odd else _CALM_OPINION for one in ids]


def _always_yes(ids: list[str], _situation: Situation, _draw: np.random.Generator) -> list[_Opinion]:
    return [_ODD_OPINION] * len(ids)


def _always_no(ids: list[str], _situation: Situation, _draw: np.random.Generator) -> list[_Opinion]:
    return [_CALM_OPINION] * len(ids)


def _random(ids: list[str], _situation: Situation, draw: np.random.Generator) -> list[_Opinion]:
    drawn = draw.integers(0, TOP_SCORE, size=(len(ids), 2), endpoint=True)
    return [_Opinion(score, confidence) for score, confidence in drawn.tolist()]


_OPINIONS: Mapping[str, _Opinions] = {
    "oracle": _oracle,
    "always-yes": _always_yes,
    "always-no": _always_no,
    "random": _random,
}
SCRIPTED: tuple[str, ...] = tuple(_OPINIONS)
"""The names of all scripted models."""


class ScriptedModel:
    """One scripted model.

    * `oracle` knows the labels: 10 for a series that is anomalous now, 0 for any other.
    * `always-yes` gives every series 10, `always-no` 0. These three are quite sure.
    * `random` draws score and confidence. The same seed and the same question draw the same.

    Args:
        name: one of `SCRIPTED`.
        seed: of `random`, and of which words are chosen.

    Raises:
        KeyError: there is no such model.
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        self._opinions = _OPINIONS[name]
        self._seed = seed
        self._tokens = TokenCounter(load=lambda: None)
        key = f"{SERVER}-{name}"
        self.model = Model(id=key, key=key, kind="llm", loaded=True, context_length=CONTEXT_LENGTH)

    def answer(self, request: ChatRequest, situation: Situation) -> Prediction:
        """The answer, in the shape of the request's schema; its tokens are estimated and it took no time.

        Raises:
            ValueError: the request has no schema, or one with something in it that these models do not know.
        """
        if request.schema is None:
            raise ValueError(
                "a scripted model takes the shape of its answer from the request's schema, and there is none"
            )
        key = int(request_key(request)[:_KEY_DIGITS], 16)
        draw = np.random.default_rng([abs(self._seed), key])
        text = json.dumps(self._document(request.schema, situation, draw))
        prompt = "".join(message.content for message in request.messages)
        return Prediction(
            server=SERVER,
            model=self.model.id,
            asked_model=request.model,
            text=text,
            reasoning="",
            finish_reason="stop",
            prompt_tokens=self._tokens.estimate(prompt, self.model.key),
            output_tokens=self._tokens.estimate(text, self.model.key),
            reasoning_tokens=None,
            cached_prompt_tokens=None,
            time_to_first_token_seconds=0.0,
            duration_seconds=0.0,
            tokens_per_second=None,
            timed_by="clock",
        )

    def _document(self, schema: Mapping[str, Any], situation: Situation, draw: np.random.Generator) -> dict[str, Any]:
        parts = schema["properties"]
        shown = parts["findings"]["properties"]
        opinions = self._opinions(list(shown), situation, draw)
        whole = max(opinions, key=lambda opinion: opinion.score)
        words: dict[str, Any] = {
            name: _GROUP[whole.odd].get(name) or _fill(name, part, whole)
            for name, part in parts.items()
            if name != "findings"
        }
        words["findings"] = {
            one: _finding(shape["properties"], opinion, draw)
            for (one, shape), opinion in zip(shown.items(), opinions, strict=True)
        }
        return {name: words[name] for name in parts}


def _finding(shape: Mapping[str, Any], opinion: _Opinion, draw: np.random.Generator) -> dict[str, Any]:
    choices = _ODD if opinion.odd else _CALM
    kind, text = choices[int(draw.integers(len(choices)))]
    said = {"kind": kind, "text": text}
    return {name: said.get(name) or _fill(name, part, opinion) for name, part in shape.items()}


def _fill(name: str, schema: Mapping[str, Any], opinion: _Opinion) -> Any:
    """A value that a part of the schema allows."""
    if name == "score":
        return opinion.score
    if name == "confidence":
        return opinion.confidence
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "array":
        return [_fill("", schema["items"], opinion)]
    raise ValueError(f"scripted models do not know what to say to {name!r} of the answer's schema")


def _rank(series_id: str) -> int:
    """0 for `S1`."""
    return int(series_id.removeprefix("S")) - 1
