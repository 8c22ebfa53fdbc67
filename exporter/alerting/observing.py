"""What a watch's picture says about alerts: which series and groups are anomalous, and of which there is no news.

Scores are looked at as columns; Python handles only the rows that are anomalous, and those that have an alert already.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from exporter.alerting.alert import Severity, Subject, Words
from exporter.alerting.wording import Links, findings_of, group_words, series_words
from exporter.board import ScoreTable, WatchPicture
from exporter.config.alerting import Alerting
from exporter.config.model import Watch
from exporter.reasoning.combine import combine
from exporter.reasoning.leaning import Weight
from exporter.reasoning.verdict import Verdict
from exporter.screening.groups import group_key
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels, Series

CRITICAL = 0.8
"""A score at or above it is critical, unless the model is unsure."""
SURE = 0.5
"""A confidence below it means that the model is unsure."""
_WORKING = ("ok", "degraded")
_OVERDUE_INTERVALS = 3
"""As for the state of a watch: after three intervals without news its picture is not the present any more."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One subject at or above the threshold."""

    score: float
    severity: Severity
    kind: str
    words: Words


@dataclass(frozen=True)
class Observation:
    """What one picture says. Subjects that are neither anomalous, calm nor unscored are gone."""

    anomalous: Mapping[Subject, Sighting] = field(default_factory=dict)
    calm: frozenset[Subject] = frozenset()
    """Of the subjects asked about: those with a score below the threshold."""
    unscored: frozenset[Subject] = frozenset()
    """Of the subjects asked about: those that may be anomalous or not, nobody can say."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How the alerts of one watch behave; all times in seconds."""

    threshold: float
    group_by: tuple[str, ...]
    interval: float
    pending: float
    """How long a score has to be anomalous before its alert fires."""
    hold: float
    """How long it has to be below the threshold before its alert is resolved."""
    patience: float
    """How long an alert goes on firing while the watch has no score for it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The user's."""


GONE_SECONDS = 900.0
"""How long an alert goes on firing after its series or group has vanished from a watch that works."""


def policy_of(watch: Watch, alerting: Alerting) -> Policy:
    """How the alerts of a watch behave by the configuration.

    The hold covers two screenings and one more answer of the model, so that neither can make an alert flap.
    """
    answer = 0.0 if watch.reason.when == "never" else watch.reason.cooldown + watch.interval
    return Policy(
        threshold=watch.threshold,
        group_by=tuple(watch.group_by),
        interval=watch.interval,
        pending=alerting.for_,
        hold=max(alerting.for_, 2 * watch.interval, answer),
        patience=max(GONE_SECONDS, watch.window),
        labels=alerting.labels,
    )


def speaks_for_the_present(picture: WatchPicture, policy: Policy, now: float) -> bool:
    """Whether the scores of a picture are those of now."""
    return picture.state in _WORKING and now - picture.at <= _OVERDUE_INTERVALS * policy.interval


@dataclass(frozen=True)
class _Index:
    """What is in the table of one target."""

    series: tuple[Series, ...]
    group_by: tuple[str, ...]
    rows: Mapping[tuple[str, Labels], int]
    groups: frozenset[Labels]

    @classmethod
    def of(cls, series: tuple[Series, ...], group_by: tuple[str, ...]) -> Self:
        rows = {(one.name, one.labels): row for row, one in enumerate(series)}
        return cls(series, group_by, rows, frozenset(group_key(one.labels, group_by) for one in series))


class Observer:
    """Looks at the pictures of one watch. Not for two threads at a time."""

    def __init__(self) -> None:
        self._indices: dict[str, _Index] = {}
        """By target."""

    def observe(self, picture: WatchPicture, policy: Policy, links: Links, known: Collection[Subject]) -> Observation:
        """What a picture that speaks for the present says.

        Args:
            picture: the newest of the watch.
            policy: the watch's.
            links: makes addresses of pages.
            known: the subjects that have an alert.
        """
        anomalous = dict(_series(picture, policy, links))
        carried = {group_key(subject.labels, policy.group_by) for subject in anomalous}
        anomalous.update(_groups(picture, policy, links, carried))
        calm: set[Subject] = set()
        unscored: set[Subject] = set()
        others = [subject for subject in known if subject not in anomalous]
        indices = self._index(picture.tables, policy.group_by) if others else []
        for subject in others:
            score = _score_of(subject, picture, indices)
            if score is not None:
                (unscored if np.isnan(score) else calm).add(subject)
        return Observation(anomalous, frozenset(calm), frozenset(unscored))

    def _index(self, tables: Sequence[ScoreTable], group_by: tuple[str, ...]) -> list[_Index]:
        """The index of each table, made anew only for one whose series changed."""
        indices: list[_Index] = []
        for table in tables:
            known = self._indices.get(table.target)
            if known is None or known.series is not table.series or known.group_by != group_by:
                known = _Index.of(table.series, group_by)
            indices.append(known)
        self._indices = {table.target: index for table, index in zip(tables, indices, strict=True)}
        return indices


def _score_of(subject: Subject, picture: WatchPicture, indices: Sequence[_Index]) -> float | None:
    """The highest score of a subject, NaN where it has none yet; None where there is no such subject."""
    if not subject.metric:
        there = any(subject.labels in index.groups for index in indices)
        return picture.standings.get(subject.labels, float("nan") if there else None)
    rows = [index.rows.get((subject.metric, subject.labels)) for index in indices]
    found = [float(table.anomaly[row]) for table, row in zip(picture.tables, rows, strict=True) if row is not None]
    return max((score for score in found if not np.isnan(score)), default=float("nan")) if found else None


def _series(picture: WatchPicture, policy: Policy, links: Links) -> Iterator[tuple[Subject, Sighting]]:
    """The anomalous series, the highest score last, so that it wins where labels occur twice."""
    findings = {key: findings_of(verdict) for key, verdict in picture.verdicts.items()}
    found: list[tuple[Subject, Sighting]] = []
    for table in picture.tables:
        for row in np.flatnonzero(table.anomaly >= policy.threshold).tolist():
            series = table.series[row]
            key = group_key(series.labels, policy.group_by)
            finding = findings.get(key, {}).get(series)
            verdict = picture.verdicts.get(key) if finding else None
            words = series_words(table, row, picture.name, verdict=verdict, finding=finding, links=links)
            score = float(table.anomaly[row])
            sure = np.isnan(table.llm[row]) or bool(table.confidence[row] >= SURE)
            sighting = Sighting(score, _severity(score, policy, sure=sure), table.kind[row], words)
            found.append((Subject(picture.name, series.name, series.labels), sighting))
    yield from sorted(found, key=lambda one: one[1].score)


def _groups(
    picture: WatchPicture, policy: Policy, links: Links, carried: Collection[Labels]
) -> Iterator[tuple[Subject, Sighting]]:
    """The groups that are anomalous although none of their series is."""
    keys = list(picture.standings)
    verdicts = [picture.verdicts.get(key) for key in keys]
    standing = np.array([picture.standings[key] for key in keys], dtype=np.float64)
    score = _group_scores(standing, verdicts, picture.model_weight)
    for number in np.flatnonzero(score >= policy.threshold).tolist():
        key, verdict, together = keys[number], verdicts[number], float(score[number])
        if key not in carried:
            subject = Subject(picture.name, "", key)
            said = verdict.group_score if verdict else None
            severity = _severity(together, policy, sure=said is None or said >= SURE)
            words = group_words(subject, together, standing=float(standing[number]), verdict=verdict, links=links)
            yield subject, Sighting(together, severity, "", words)


def _group_scores(standing: FloatArray, verdicts: list[Verdict | None], weight: Weight) -> FloatArray:
    """The screen's scores of groups, moved by the model's within the same band as those of series."""
    said = [verdict.group_score if verdict and verdict.outcome == "ok" else None for verdict in verdicts]
    llm = np.array([np.nan if one is None else one for one in said], dtype=np.float64)
    return combine(standing, llm, weight.of(llm))


def _severity(score: float, policy: Policy, *, sure: bool) -> Severity:
    return "critical" if sure and score >= max(CRITICAL, policy.threshold) else "warning"
