"""Verdicts as JSON documents, for the journal and the API, and as a few plain lines for people."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from exporter.lmstudio.wire import ChatRequest
from exporter.reasoning.clean import one_line
from exporter.reasoning.pictures import Picture
from exporter.reasoning.prompt import messages_of
from exporter.reasoning.verdict import Finding, Verdict
from exporter.screening.result import THRESHOLD
from exporter.series.labels import Labels, Series, format_labels

_MOST_LINES = 6
_LINE_LIMIT = 400


def to_document(verdict: Verdict) -> dict[str, Any]:
    """All of a verdict as JSON types; numbers that JSON lacks (NaN, infinities) become null."""
    document = {
        "id": verdict.id,
        "watch": verdict.watch,
        "group": dict(verdict.group),
        "at": verdict.at,
        "outcome": verdict.outcome,
        "server": verdict.server,
        "model": verdict.model,
        "group_score": verdict.group_score,
        "summary": verdict.summary,
        "cause": verdict.cause,
        "next_steps": verdict.next_steps,
        "findings": [_finding_document(finding) for finding in verdict.findings],
        "problems": list(verdict.problems),
        "facts": [asdict(fact) for fact in verdict.facts],
        "prompt": verdict.prompt,
        "answer": verdict.answer,
        "shown": verdict.shown,
        "dropped": verdict.dropped,
        "prompt_tokens_estimated": verdict.prompt_tokens_estimated,
        "predictions": [asdict(prediction) for prediction in verdict.predictions],
        "answers": verdict.answers,
        "request": _request_document(verdict.request) if verdict.request else None,
        "pictures": [_picture_document(picture) for picture in verdict.pictures],
    }
    return {name: _json_safe(value) for name, value in document.items()}


def explain(verdict: Verdict) -> str:
    """A verdict in 2 to 6 plain lines: what was judged and how, then the most anomalous findings or what went wrong."""
    lines = [_headline(verdict)]
    if verdict.group_score is None:
        lines += [f"  no usable answer: {problem}" for problem in verdict.problems[:2]] or ["  no usable answer"]
        return "\n".join(_on_one_line(line) for line in lines)
    lines.append(f"  {verdict.summary or 'no summary'}")
    if verdict.cause:
        lines.append(f"  probable cause: {verdict.cause}")
    if verdict.next_steps:
        lines.append(f"  look at: {verdict.next_steps}")
    checks = f"  checks: {'; '.join(verdict.problems)}" if verdict.problems else ""
    odd = sorted(verdict.findings, key=lambda finding: -finding.llm_score)
    free = _MOST_LINES - len(lines) - bool(checks)
    lines += [_finding_line(finding) for finding in odd[:free] if finding.llm_score > THRESHOLD]
    if checks:
        lines.append(checks)
    return "\n".join(_on_one_line(line) for line in lines)


def _on_one_line(line: str) -> str:
    """`one_line` that keeps the indentation."""
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + one_line(line, _LINE_LIMIT)


def _headline(verdict: Verdict) -> str:
    group = _braced(verdict.group)
    judged: str = verdict.outcome
    if verdict.group_score is not None:
        judged = f"{'anomalous' if verdict.group_score > THRESHOLD else 'calm'}, score {verdict.group_score:.1f}"
    seconds = sum(prediction.duration_seconds for prediction in verdict.predictions)
    took = f", {seconds:.1f} s" if verdict.predictions else ""
    left_out = f", {verdict.dropped} did not fit" if verdict.dropped else ""
    return f"{verdict.watch}{group}: {judged} ({verdict.model} on {verdict.server}, {verdict.shown} series shown{left_out}{took})"


def _finding_line(finding: Finding) -> str:
    name = f"{finding.series.name}{_braced(finding.series.labels)}"
    mark = "" if finding.grounded else " (not grounded)"
    return f"  {name}: {finding.llm_score:.1f} {finding.kind or 'odd'}{mark}: {finding.text} [{', '.join(finding.evidence)}]"


def _braced(labels: Labels) -> str:
    return f"{{{format_labels(labels)}}}" if labels else ""


def _finding_document(finding: Finding) -> dict[str, Any]:
    return {
        "series": _series_document(finding.series),
        "screen_score": finding.screen_score,
        "llm_score": finding.llm_score,
        "confidence": finding.confidence,
        "kind": finding.kind,
        "evidence": list(finding.evidence),
        "text": finding.text,
        "grounded": finding.grounded,
    }


def _request_document(request: ChatRequest) -> dict[str, Any]:
    """How was asked; what was asked is the prompt."""
    return {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "reasoning_effort": request.reasoning_effort,
        "schema": dict(request.schema) if request.schema is not None else None,
    }


def request_of(document: Mapping[str, Any]) -> ChatRequest | None:
    """The last question that a verdict's document tells of, without its image; None where it tells of none."""
    how = document.get("request")
    messages = messages_of(document.get("prompt") or "")
    return ChatRequest(messages=messages, **how) if how and messages else None


def _picture_document(picture: Picture) -> dict[str, Any]:
    return {
        "id": picture.id,
        "series": {
            "name": picture.series.name,
            "labels": dict(picture.series.labels),
            "unit": picture.series.unit,
        },
        "begin": picture.begin,
        "offsets": list(picture.offsets),
        "values": list(picture.values),
        "lower": picture.lower,
        "upper": picture.upper,
        "alarms": [asdict(alarm) for alarm in picture.alarms],
    }


def _series_document(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "labels": dict(series.labels),
        "type": series.type,
        "help": series.help,
        "unit": series.unit,
    }


def _json_safe(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(item) for item in value]
    return value
