"""From what a model wrote to what may be believed of it.

Two kinds of fault are told apart:

* What does not follow the schema (prose, half JSON, a wrong type, a score outside 0..10, an unknown kind) is no
  answer. A broken finding is left out and reported; when the group's own part is broken or no finding is left, the
  whole answer is a `Problem`. Nothing is clamped or guessed.
* What follows the schema but does not hold (a fact that does not exist or belongs to another series, an anomaly without
  evidence, a number that was not shown, a sentence of the instructions' examples, an empty one) stays, marked as
  ungrounded, with the reason in words.

A number is allowed besides those shown where a sentence repeats a score that the same answer gives (`score 8`, `8/10`).
What was checked by its ids is then worded for people, who know series by their names and want to read their values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exporter.reasoning.clean import ELLIPSIS, one_line
from exporter.reasoning.copied import copied_from_examples
from exporter.reasoning.extract import json_object
from exporter.reasoning.grounding import Stated, not_stated, stated_in
from exporter.reasoning.naming import for_people, ids_in
from exporter.reasoning.schema import NO_KIND, TOP_SCORE
from exporter.reasoning.snapshot import ShownSeries, Snapshot
from exporter.reasoning.verdict import Finding
from exporter.screening.result import THRESHOLD, Kind

_TEXT_LIMIT = 300
_WORDED_LIMIT = 400
"""Names are longer than ids."""
_ID_LIMIT = 12
_MOST_IDS = 8
_MOST_NAMED = 3

_GROUP_TEXTS = ("summary", "cause", "next_steps")

_SCORE = re.compile(
    r"\b(?:score|confidence)(?: is| of|:| =)? ?(\d+(?:\.\d+)?)(?: ?/ ?10| (?:out )?of 10)?\b", re.IGNORECASE
)
_OF_TEN = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?: ?/ ?10| (?:out )?of 10)\b", re.IGNORECASE)

_Score = Annotated[float, Field(ge=0, le=TOP_SCORE)]
_Copies = Mapping[str, tuple[str, ...]]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _FindingAnswer(_Model):
    evidence: list[str] = Field(default_factory=list, max_length=_MOST_IDS)
    text: str
    kind: Literal[Kind, "none"]
    score: _Score
    confidence: _Score


class _GroupAnswer(_Model):
    findings: dict[str, Any]
    summary: str = ""
    cause: str = ""
    next_steps: str = ""
    score: _Score


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an answer could not be used at all, in words."""

    text: str


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """A readable answer, each part of it checked."""

    findings: tuple[Finding, ...]
    """In the order of the snapshot."""
    group_score: float
    """0..1."""
    summary: str
    cause: str
    next_steps: str
    problems: tuple[str, ...]
    """What did not hold, in words; empty when everything did."""


def parse_answer(text: str, snapshot: Snapshot) -> ParsedAnswer | Problem:
    """Read and check a model's answer to this snapshot."""
    found = json_object(text, "findings")
    if found is None:
        return Problem(_why_unreadable(text))
    try:
        answer = _GroupAnswer.model_validate(found)
    except ValidationError as error:
        return Problem(_first_error(error))
    copies = copied_from_examples(_texts(answer, snapshot), snapshot.text)
    judged = [
        (series, *_judge_finding(answer.findings.get(series.id), series, snapshot, copies)) for series in snapshot.shown
    ]
    findings = [finding for _, finding, _ in judged if finding is not None]
    if not findings:
        # The model reads this when it is asked again: it knows series by their ids.
        wrong = [f"{series.id}: {what}" for series, _, problems in judged for what in problems]
        return Problem("; ".join(wrong[:_MOST_NAMED]))
    wrong = [f"{series.name}: {what}" for series, _, problems in judged for what in problems]
    return _parsed(answer, findings, wrong, snapshot, copies)


def _parsed(
    answer: _GroupAnswer, findings: list[Finding], problems: list[str], snapshot: Snapshot, copies: _Copies
) -> ParsedAnswer:
    problems += _unexpected(answer.findings, snapshot)
    if not answer.summary.strip():
        problems.append("the summary is empty")
    texts = {name: one_line(getattr(answer, name), _TEXT_LIMIT) for name in _GROUP_TEXTS}
    for name, text in texts.items():
        wrong = _not_grounded(text, snapshot, (answer.score,)) + _copied(text, copies)
        problems += [f"{name}: {what}" for what in wrong]
    return ParsedAnswer(
        findings=tuple(findings),
        group_score=answer.score / TOP_SCORE,
        problems=tuple(problems),
        **{name: _worded(text, snapshot) for name, text in texts.items()},
    )


def _judge_finding(
    raw: Any, series: ShownSeries, snapshot: Snapshot, copies: _Copies
) -> tuple[Finding | None, list[str]]:
    """One series' part of the answer, and what is wrong with it; no finding where there is no usable part."""
    if raw is None:
        return None, ["not answered"]
    try:
        answer = _FindingAnswer.model_validate(raw)
    except ValidationError as error:
        return None, [_first_error(error)]
    anomalous = answer.score > THRESHOLD * TOP_SCORE
    text = one_line(answer.text, _TEXT_LIMIT)
    said = _worded(text, snapshot)
    cited = tuple(dict.fromkeys(one_line(fact, _ID_LIMIT) for fact in answer.evidence))
    problems = _wrong_evidence(cited, series, snapshot)
    if anomalous and not cited:
        problems.append("calls it anomalous and cites no evidence")
    if not text:
        problems.append("the text is empty")
    problems += _not_grounded(text, snapshot, (answer.score, answer.confidence)) + _copied(text, copies)
    finding = Finding(
        series=series.series.series,
        screen_score=series.series.score,
        llm_score=answer.score / TOP_SCORE,
        confidence=answer.confidence / TOP_SCORE,
        kind=None if answer.kind == NO_KIND else answer.kind,
        evidence=cited,
        text=_with_figures(said, series) if anomalous else said,
        grounded=not problems,
    )
    return finding, problems


def _wrong_evidence(cited: tuple[str, ...], series: ShownSeries, snapshot: Snapshot) -> list[str]:
    known = {fact.id for fact in snapshot.facts}
    wrong = [f"cites {fact}, which does not exist" for fact in cited if fact not in known]
    return wrong + [
        f"cites {fact}, which belongs to another series"
        for fact in cited
        if fact in known and fact not in series.citable
    ]


def _not_grounded(text: str, snapshot: Snapshot, scores: tuple[float, ...]) -> list[str]:
    """What a sentence names or counts that was not shown."""
    known = {fact.id for fact in snapshot.facts} | {series.id for series in snapshot.shown}
    strange = ids_in([text]) - known - snapshot.words
    problems = [f"speaks of {name}, which does not exist" for name in sorted(strange)]

    def without_own_score(match: re.Match[str]) -> str:
        return " " if float(match[1]) in scores else match[0]

    counted = _OF_TEN.sub(without_own_score, _SCORE.sub(without_own_score, text))
    missing = not_stated(counted, Stated(snapshot.numbers, snapshot.names))
    return problems + [f"states {number}, which was not shown" for number in missing]


def _texts(answer: _GroupAnswer, snapshot: Snapshot) -> list[str]:
    """All sentences of an answer, as they are checked."""
    raw = [answer.findings.get(series.id) for series in snapshot.shown]
    said = [one["text"] for one in raw if isinstance(one, dict) and isinstance(one.get("text"), str)]
    return [one_line(text, _TEXT_LIMIT) for text in (*said, *(getattr(answer, name) for name in _GROUP_TEXTS))]


def _copied(text: str, copies: _Copies) -> list[str]:
    if text not in copies:
        return []
    return [f"repeats the example of the instructions: nothing shown speaks of {', '.join(copies[text])}"]


def _worded(text: str, snapshot: Snapshot) -> str:
    """A checked sentence as people read it."""
    names = {series.id: series.name for series in snapshot.shown}
    return one_line(for_people(text, names, snapshot.words), _WORDED_LIMIT)


def _with_figures(sentence: str, series: ShownSeries) -> str:
    """A sentence about an anomaly that states no number, with the value and the usual range after it.

    Small models copy figures badly (see docs/evaluation.md): what they leave out, the program adds.
    """
    if not sentence or stated_in(sentence).numbers:
        return sentence
    end = "" if sentence.endswith((".", "!", "?", ELLIPSIS)) else "."
    return f"{sentence}{end} {series.figures}"


def _unexpected(findings: Mapping[str, Any], snapshot: Snapshot) -> list[str]:
    known = {series.id for series in snapshot.shown}
    unknown = [one_line(name, _ID_LIMIT) for name in findings if name not in known]
    return [f"{name}: no such series" for name in unknown[:_MOST_NAMED]]


def _why_unreadable(text: str) -> str:
    if not text.strip():
        return "it was empty"
    if "{" not in text:
        return "it held no JSON object"
    return "it held no complete JSON object with findings"


def _first_error(error: ValidationError) -> str:
    """The first thing that a schema check found, without the value, which may be long."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return one_line(f"{where}: {first['msg']}" if where else first["msg"], _TEXT_LIMIT)
