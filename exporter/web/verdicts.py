"""A kept verdict's JSON document as what the pages show. Documents of older versions may lack parts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from exporter.metrics.labelling import beside_ours
from exporter.series.labels import Labels, Series, labels_of


class OnGroup(Protocol):
    """A verdict, wherever it is kept."""

    @property
    def id(self) -> str:
        """Names the verdict."""
        ...

    @property
    def group(self) -> Labels:
        """What it is about."""
        ...

    @property
    def at(self) -> float:
        """Unix seconds."""
        ...


class Kept(OnGroup, Protocol):
    """A verdict as the journal hands it out."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The whole verdict as JSON types."""
        ...


class Happened(Protocol):
    """An event as the journal hands it out."""

    @property
    def server(self) -> str:
        """Which server it happened to."""
        ...

    @property
    def kind(self) -> str:
        """What happened."""
        ...

    @property
    def at(self) -> float:
        """Unix seconds."""
        ...

    @property
    def document(self) -> Mapping[str, Any]:
        """What is known of it as JSON types."""
        ...


def newest_for(labels: Mapping[str, str], verdicts: Iterable[OnGroup]) -> str | None:
    """The id of the newest verdict on the group that a series with these labels belongs to; None where there is none.

    Args:
        labels: as they are exposed; more than those of the group are no harm.
        verdicts: of one watch, in any order.
    """
    fitting = [one for one in verdicts if set(beside_ours(one.group)) <= set(labels.items())]
    # Where a group without labels takes what lacks them, the one that says more is the series' own.
    return max(fitting, key=lambda one: (len(one.group), one.at)).id if fitting else None


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

    @property
    def headline(self) -> str:
        """The summary; where there is none, what went wrong."""
        return self.summary or next(iter(self.problems), "") or "No readable answer came."

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "VerdictView":
        """Read a verdict's document."""
        facts = tuple((fact["id"], fact["series_id"], fact["text"]) for fact in document.get("facts", ()))
        texts = {name: text for name, _, text in facts}
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
            findings=tuple(_finding(finding, texts) for finding in _by_score(document.get("findings", ()))),
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
        )


def _by_score(findings: Any) -> list[Mapping[str, Any]]:
    return sorted(findings, key=lambda finding: -(finding.get("llm_score") or 0.0))


def _finding(document: Mapping[str, Any], texts: Mapping[str, str]) -> FindingView:
    series = document["series"]
    return FindingView(
        series=Series(series["name"], labels_of(series.get("labels", {})), unit=series.get("unit", "")),
        screen_score=document.get("screen_score"),
        llm_score=document.get("llm_score"),
        confidence=document.get("confidence"),
        kind=document.get("kind") or "",
        text=document.get("text", ""),
        grounded=document.get("grounded", False),
        cited=tuple((name, texts.get(name, "")) for name in document.get("evidence", ())),
    )


def _sum(calls: Any, figure: str) -> int | None:
    known = [call[figure] for call in calls if call.get(figure) is not None]
    return sum(known) if known else None
