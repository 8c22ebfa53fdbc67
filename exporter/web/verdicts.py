"""A kept verdict's JSON document as what the pages show. Documents of older versions may lack parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.drawing.windows import Pin
from exporter.reasoning.document import request_of
from exporter.screening.evidence import numbers_in
from exporter.screening.result import Alarm
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels, Series, labels_of


@dataclass(frozen=True, eq=False)
class PictureView:
    """One series as it was judged."""

    series: Series
    times: FloatArray
    values: FloatArray
    lower: float
    upper: float
    alarms: tuple[Alarm, ...]
    pins: tuple[Pin, ...]
    """The values that cited facts name."""


@dataclass(frozen=True, slots=True)
class FindingView:
    """What the model said about one series, with the facts it cites."""

    series: Series
    screen_score: float | None
    llm_score: float | None
    confidence: float | None
    kind: str
    text: str
    grounded: bool
    cited: tuple[tuple[str, str], ...]
    """Id and text of each cited fact; the text is empty where there was no such fact."""
    picture: PictureView | None
    """None where the document keeps none."""


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One verdict among others."""

    id: str
    watch: str
    group: Labels
    at: float
    outcome: str
    score: float | None
    headline: str
    """The summary; where there is none, what went wrong."""
    problems: tuple[str, ...]
    answers: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "VerdictLine":
        """Read what a list shows of a verdict's document."""
        problems = tuple(document.get("problems", ()))
        return cls(
            id=document["id"],
            watch=document["watch"],
            group=labels_of(document.get("group", {})),
            at=document["at"],
            outcome=document.get("outcome", ""),
            score=document.get("group_score"),
            headline=document.get("summary") or next(iter(problems), "") or "No readable answer came.",
            problems=problems,
            answers=document.get("answers", ""),
        )


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One verdict, for reading."""

    id: str
    watch: str
    group: Labels
    at: float
    outcome: str
    server: str
    model: str
    score: float | None
    summary: str
    cause: str
    next_steps: str
    findings: tuple[FindingView, ...]
    problems: tuple[str, ...]
    facts: tuple[tuple[str, str, str], ...]
    """Id, series id and text of everything the model was shown."""
    prompt: str
    answer: str
    shown: int
    dropped: int
    prompt_tokens: int | None
    output_tokens: int | None
    seconds: float
    calls: int
    answers: str
    """Which alerts it explains; empty for a verdict on a watch."""
    pictures: tuple[PictureView, ...]
    """Of series that no finding is about."""
    replayable: bool
    """Whether the question can be put again."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "VerdictView":
        """Read a verdict's document."""
        facts = tuple((fact["id"], fact["series_id"], fact["text"]) for fact in document.get("facts", ()))
        texts = {name: text for name, _, text in facts}
        pictures = {_identity(picture["series"]): picture for picture in document.get("pictures", ())}
        findings = tuple(
            _finding(finding, texts, pictures.pop(_identity(finding["series"]), None))
            for finding in _by_score(document.get("findings", ()))
        )
        calls = document.get("predictions", ())
        return cls(
            id=document["id"],
            watch=document["watch"],
            group=labels_of(document.get("group", {})),
            at=document["at"],
            outcome=document.get("outcome", ""),
            server=document.get("server", ""),
            model=document.get("model", ""),
            score=document.get("group_score"),
            summary=document.get("summary", ""),
            cause=document.get("cause", ""),
            next_steps=document.get("next_steps", ""),
            findings=findings,
            problems=tuple(document.get("problems", ())),
            facts=facts,
            prompt=document.get("prompt", ""),
            answer=document.get("answer", ""),
            shown=document.get("shown", 0),
            dropped=document.get("dropped", 0),
            prompt_tokens=_sum(calls, "prompt_tokens"),
            output_tokens=_sum(calls, "output_tokens"),
            seconds=sum(call.get("duration_seconds") or 0.0 for call in calls),
            calls=len(calls),
            answers=document.get("answers", ""),
            pictures=tuple(_picture(picture, ()) for picture in pictures.values()),
            replayable=request_of(document) is not None,
        )


def _by_score(findings: Any) -> list[Mapping[str, Any]]:
    return sorted(findings, key=lambda finding: -(finding.get("llm_score") or 0.0))


def _finding(document: Mapping[str, Any], texts: Mapping[str, str], picture: Mapping[str, Any] | None) -> FindingView:
    cited = tuple((name, texts.get(name, "")) for name in document.get("evidence", ()))
    return FindingView(
        series=_series(document["series"]),
        screen_score=document.get("screen_score"),
        llm_score=document.get("llm_score"),
        confidence=document.get("confidence"),
        kind=document.get("kind") or "",
        text=document.get("text", ""),
        grounded=document.get("grounded", False),
        cited=cited,
        picture=_picture(picture, cited) if picture else None,
    )


def _identity(series: Mapping[str, Any]) -> tuple[str, Labels]:
    return series["name"], labels_of(series.get("labels", {}))


def _series(document: Mapping[str, Any]) -> Series:
    return Series(*_identity(document), unit=document.get("unit", ""))


def _picture(document: Mapping[str, Any], cited: Sequence[tuple[str, str]]) -> PictureView:
    times = document["begin"] + np.array(document["offsets"], dtype=np.float64)
    values = np.array([_number(value) for value in document["values"]], dtype=np.float64)
    return PictureView(
        series=_series(document["series"]),
        times=times,
        values=values,
        lower=_number(document.get("lower")),
        upper=_number(document.get("upper")),
        alarms=tuple(Alarm(**alarm) for alarm in document.get("alarms", ())),
        pins=pins(times, values, cited),
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def pins(times: FloatArray, values: FloatArray, cited: Sequence[tuple[str, str]]) -> tuple[Pin, ...]:
    """Where the values stand that cited facts name: of each fact the first number that is one, where it stood last.

    Args:
        times: [instants], Unix seconds.
        values: [instants], to 4 significant digits as in the facts.
        cited: id and text of each fact.
    """
    named: dict[int, list[str]] = {}
    for name, text in cited:
        for number in numbers_in(text):
            found = np.flatnonzero(np.isclose(values, number, rtol=1e-9, atol=0.0))
            if found.size:
                named.setdefault(int(found[-1]), []).append(name)
                break
    return tuple(
        Pin(float(times[instant]), float(values[instant]), ", ".join(names)) for instant, names in sorted(named.items())
    )


def _sum(calls: Any, figure: str) -> int | None:
    known = [call[figure] for call in calls if call.get(figure) is not None]
    return sum(known) if known else None
