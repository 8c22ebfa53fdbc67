"""A verdict: what a model said about a group, after the checks."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from exporter.lmstudio.wire import ChatRequest, Prediction
from exporter.reasoning.pictures import Picture
from exporter.screening.result import Kind
from exporter.series.labels import Labels, Series

Outcome = Literal["ok", "ungrounded", "invalid", "llm_error", "timeout"]
"""How an analysis ended. `ungrounded`: readable, but some statement did not pass the checks and is marked."""


_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True)
class Finding:
    """One series' part of a verdict."""

    series: Series
    screen_score: float
    llm_score: float
    """0..1, the model alone."""
    confidence: float
    """0..1, the model's own."""
    kind: Kind | None
    evidence: tuple[str, ...]
    """Ids of the facts that the model cites: E1, E2 …"""
    text: str
    grounded: bool
    """Whether every id and number in it stood in the snapshot, and its words are no copy of the instructions' examples. Only
    grounded findings move a score."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One numbered fact of a snapshot."""

    id: str
    series_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came back for one group, checked."""

    id: str
    watch: str
    group: Labels
    at: float
    """Unix seconds when it was reached."""
    outcome: Outcome
    model: str
    server: str
    group_score: float | None
    """0..1 for the group as a whole; None where no readable answer came."""
    summary: str
    cause: str
    next_steps: str
    findings: tuple[Finding, ...]
    problems: tuple[str, ...]
    """Which checks failed, in words."""
    facts: tuple[Fact, ...]
    prompt: str
    answer: str
    """The raw text that the model gave."""
    shown: int
    dropped: int
    """How many series of the group were in the snapshot, and how many did not fit."""
    prompt_tokens_estimated: int
    predictions: tuple[Prediction, ...]
    """The calls it took: one, or two when the model was asked again."""
    answers: str = ""
    """Which alerts it explains, in words; empty for a verdict on a watch."""
    request: ChatRequest | None = None
    """The last question without its messages, which stand in `prompt`; None where nobody was asked."""
    pictures: tuple[Picture, ...] = ()
    """The series that were shown, as they were then."""


def verdict_id(watch: str, group: Labels, at: float) -> str:
    """A short id that sorts by time: the same for the same watch, group and millisecond, in lower-case letters and digits.

    9 characters for the milliseconds since 1970 (enough until the year 3084), 8 for 40 bits of a hash of watch and
    group, in Crockford's base 32 as ULIDs use it.
    """
    named = hashlib.sha256(repr((watch, group)).encode()).digest()
    return _base32(max(0, round(at * 1000)), 9) + _base32(int.from_bytes(named[:5], "big"), 8)


def _base32(number: int, length: int) -> str:
    digits = [_DIGITS[(number >> (5 * place)) & 31] for place in reversed(range(length))]
    return "".join(digits)
