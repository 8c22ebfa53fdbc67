"""A verdict: what a model said about a group, after the checks."""

from dataclasses import dataclass
from typing import Literal

from exporter.lmstudio.wire import Prediction
from exporter.screening.result import Kind
from exporter.series.labels import Labels, Series

Outcome = Literal["ok", "ungrounded", "invalid", "llm_error", "timeout"]
"""How an analysis ended. `ungrounded`: readable, but some statement did not pass the checks and is marked."""


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
    """Whether every id and number in it stood in the snapshot. Only grounded findings move a score."""


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
