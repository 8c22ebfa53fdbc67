"""What a model found, as episodes of groups: from the first verdict that finds something to the end of it. Pure."""

import html
from dataclasses import dataclass, replace
from typing import Self

from exporter.alerting.grafana import Annotation, milliseconds
from exporter.alerting.wording import Links
from exporter.reasoning.clean import one_line
from exporter.reasoning.verdict import Verdict
from exporter.series.labels import format_labels

_SENTENCE = 400
"""Characters of one statement, at most."""
_NAME = 200
_TAG = 100
"""Characters of a tag's name and of its value, as wide as the columns of Grafana's database for them."""


def finds_something(verdict: Verdict, threshold: float) -> bool:
    """Whether the model gives the group, or a series for which it has grounds, a score at or above the threshold."""
    if verdict.group_score is None:
        return False
    series = (finding.llm_score for finding in verdict.findings if finding.grounded)
    return max([verdict.group_score, *series]) >= threshold


@dataclass(frozen=True)
class Episode:
    """One group while something is wrong with it; times are Unix seconds."""

    verdict: Verdict
    """The newest that found something."""
    began_at: float
    seen_at: float
    """When it was last anomalous."""

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """One that begins with this verdict."""
        return cls(verdict, verdict.at, verdict.at)

    def confirmed(self, verdict: Verdict) -> "Episode":
        """With a later verdict that found something as well."""
        return replace(self, verdict=verdict, seen_at=max(self.seen_at, verdict.at))

    def still(self, at: float) -> "Episode":
        """Anomalous at this time too."""
        return replace(self, seen_at=max(self.seen_at, at))

    def annotation(self, tags: tuple[str, ...], links: Links) -> Annotation:
        """What Grafana shows of it.

        Args:
            tags: those that the configuration gives.
            links: make the address of the verdict's page.
        """
        verdict = self.verdict
        labels = (("watch", verdict.watch), *verdict.group)
        named = (f"{one_line(name, _TAG)}:{one_line(value, _TAG)}" for name, value in labels)
        return Annotation(
            time=milliseconds(self.began_at),
            time_end=milliseconds(self.seen_at),
            tags=tuple(dict.fromkeys((*tags, *named))),
            text=_text(verdict, links.page(verdict.watch, verdict)),
        )


def _text(verdict: Verdict, url: str) -> str:
    """The verdict in a few lines of the HTML that Grafana shows; what the model wrote stays text."""
    group = one_line(format_labels(verdict.group), _NAME)
    lines = [f"{verdict.watch} {group}".strip(), one_line(verdict.summary, _SENTENCE)]
    if verdict.cause:
        lines.append(f"Probable cause: {one_line(verdict.cause, _SENTENCE)}")
    escaped = [html.escape(line, quote=False) for line in lines if line]
    if url:
        escaped.append(f'<a href="{html.escape(url)}" target="_blank">Verdict</a>')
    return "\n".join(escaped)
