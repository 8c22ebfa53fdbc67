"""What an alert says to people: one sentence, and the figures and reasons behind it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from exporter.alerting.alert import Subject, Words
from exporter.board import ScoreTable
from exporter.reasoning.clean import one_line
from exporter.reasoning.verdict import Finding, Verdict
from exporter.series.labels import Series, format_labels

_SENTENCE = 400
"""Characters of one statement, at most."""
_NAME = 200
_MOST_FACTS = 5


@dataclass(frozen=True, slots=True)
class Links:
    """Where people find lmwatch's pages: its address without a trailing slash, empty where it is not known."""

    base: str = ""

    def page(self, watch: str, verdict: Verdict | None) -> str:
        """The page of the verdict, else of the watch; empty where the address is not known."""
        if not self.base:
            return ""
        return f"{self.base}/verdicts/{verdict.id}" if verdict else f"{self.base}/watches/{quote(watch, safe='')}"


def series_words(
    table: ScoreTable, row: int, watch: str, *, verdict: Verdict | None, finding: Finding | None, links: Links
) -> Words:
    """What to say of one anomalous series.

    Args:
        table: its scores.
        row: where it stands there.
        watch: the name of the watch.
        verdict: the newest verdict on its group; None where the model was not shown the series.
        finding: the series' part of that.
        links: makes addresses of pages.
    """
    series, kind = table.series[row], table.kind[row]
    looks = f" ({kind.replace('_', ' ')})" if kind else ""
    return Words(
        summary=f"{_named(series)} of watch {watch} is anomalous{looks}.",
        explanation=_explanation(finding.text if finding and finding.grounded else "", verdict),
        evidence=_facts(verdict, finding) if verdict and finding and finding.grounded else (),
        measures=f"{_scores(table, row)}{_position(table, row, series)}",
        url=links.page(watch, verdict),
    )


def group_words(subject: Subject, score: float, *, standing: float, verdict: Verdict | None, links: Links) -> Words:
    """What to say of a group that is anomalous only as a whole.

    Args:
        subject: the group.
        score: screen and model together.
        standing: the screen's alone.
        verdict: the newest on the group.
        links: makes addresses of pages.
    """
    name = one_line(format_labels(subject.labels), _NAME)
    which = f"The group {name} of watch {subject.watch}" if name else f"Watch {subject.watch}"
    said = verdict.group_score if verdict else None
    model = f", model {said:.2f}" if said is not None else ""
    return Words(
        summary=f"{which} is anomalous as a whole.",
        explanation=_explanation(verdict.summary if verdict and verdict.outcome == "ok" else "", verdict),
        evidence=(),
        measures=f"Score {score:.2f} (screen {standing:.2f}{model}); no single series reaches the threshold.",
        url=links.page(subject.watch, verdict),
    )


def findings_of(verdict: Verdict) -> Mapping[Series, Finding]:
    """A verdict's findings by series."""
    return {finding.series: finding for finding in verdict.findings}


def _named(series: Series) -> str:
    return one_line(str(series), _NAME)


def _explanation(text: str, verdict: Verdict | None) -> str:
    """What the model said, as far as it passed the checks: anything else has no place on a pager."""
    cause = f"Probable cause: {verdict.cause}" if verdict and verdict.cause and verdict.outcome == "ok" else ""
    return " ".join(_sentence(part) for part in (text, cause) if part)


def _facts(verdict: Verdict, finding: Finding) -> tuple[str, ...]:
    cited = [fact.text for fact in verdict.facts if fact.id in finding.evidence]
    return tuple(_sentence(text) for text in cited[:_MOST_FACTS])


def _sentence(text: str) -> str:
    line = one_line(text, _SENTENCE)
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."


def evidence_words(texts: tuple[str, ...]) -> tuple[str, ...]:
    """What detectors said, fit to stand in an alert."""
    return tuple(_sentence(text) for text in texts[:_MOST_FACTS])


def _scores(table: ScoreTable, row: int) -> str:
    llm, confidence = float(table.llm[row]), float(table.confidence[row])
    model = "" if math.isnan(llm) else f", model {llm:.2f} with confidence {confidence:.2f}"
    return f"Score {table.anomaly[row]:.2f} (screen {table.screen[row]:.2f}{model})."


def _position(table: ScoreTable, row: int, series: Series) -> str:
    value = float(table.value[row])
    if math.isnan(value):
        return ""
    unit = f" {one_line(series.unit, 20)}" if series.unit else ""
    lower, upper = float(table.expected_lower[row]), float(table.expected_upper[row])
    expected = "" if math.isnan(lower) or math.isnan(upper) else f", expected {lower:.6g} to {upper:.6g}"
    return f" Value {value:.6g}{unit}{expected}."
