"""Scores as columns: what the screen says about every series, with the model's findings laid over it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exporter.board import ScoreTable
from exporter.config.model import Watch
from exporter.reasoning.combine import combine_groups
from exporter.reasoning.leaning import Weight
from exporter.reasoning.verdict import Verdict
from exporter.screening.baseline import Settings
from exporter.screening.groups import group_rows, peer_sets
from exporter.screening.policy import Policy, policy_of
from exporter.screening.result import KINDS, THRESHOLD, Grouping, ScreenResult
from exporter.series.frame import Frame, IntArray
from exporter.series.labels import Labels, Series

_KIND_NAMES: npt.NDArray[np.object_] = np.array([*KINDS, ""], dtype=object)
"""Indexed by the code of a kind; -1, for none, is the last."""
_MOST_JUDGED = 16
"""Newest instants that are judged at most: a watch with a long interval looks at the present, not at all that was."""
_DAY = 86400.0


@dataclass(frozen=True, eq=False)
class Members:
    """What is known of a frame's series as long as they stay the same."""

    series: tuple[Series, ...]
    policy: Policy
    grouping: Grouping
    peer: IntArray
    """[series]: the set of peers each belongs to."""
    settings: Settings
    row: Mapping[Series, int]


def members_of(frame: Frame, watch: Watch) -> Members:
    """Work out what stays the same while a target exposes the same series."""
    grouping = group_rows(frame.series, watch.group_by)
    return Members(
        series=frame.series,
        policy=policy_of(watch.select, frame.select, watch.quiet_hours),
        grouping=grouping,
        peer=peer_sets(frame.series, grouping),
        settings=settings_of(watch, frame),
        row={series: row for row, series in enumerate(frame.series)},
    )


def settings_of(watch: Watch, frame: Frame) -> Settings:
    """How a watch's frames are screened: every instant that came since the last screening is judged."""
    fresh = max(1, round(watch.interval / frame.interval))
    settings = Settings(judged=min(fresh, _MOST_JUDGED))
    if watch.sensitivity is None:
        return settings
    return replace(settings, sensitivity_days=watch.sensitivity / _DAY)


def build_table(
    result: ScreenResult, members: Members, verdicts: Mapping[Labels, Verdict], model_weight: Weight
) -> ScoreTable:
    """One target's scores, combined from its screening and the newest verdicts on its groups.

    Args:
        result: the newest screening.
        members: what is known of its series.
        verdicts: the newest of each group.
        model_weight: how much the model's word counts.
    """
    llm, confidence, weight = (np.full(len(members.series), np.nan) for _ in range(3))
    kind = result.kind.copy()
    # Of this target's own groups: those of all others would make the work grow with the square of the targets.
    for verdict in (verdicts[key] for key in members.grouping.keys if key in verdicts):
        for finding in verdict.findings:
            row = members.row.get(finding.series)
            if row is None or np.isnan(result.score[row]):
                continue
            llm[row], confidence[row] = finding.llm_score, finding.confidence
            weight[row] = finding.confidence if finding.grounded else 0.0
            if kind[row] < 0 and finding.grounded and finding.kind is not None:
                kind[row] = KINDS.index(finding.kind)
    anomaly = combine_groups(result.score, llm, weight * model_weight.of(llm), members.grouping.group)
    suspicious = anomaly >= THRESHOLD
    shown = suspicious | members.policy.band
    return ScoreTable(
        target=result.frame.target,
        series=members.series,
        anomaly=anomaly,
        screen=result.score,
        llm=llm,
        confidence=confidence,
        kind=tuple(_KIND_NAMES[np.where(suspicious, kind, -1)].tolist()),
        value=np.where(shown, result.frame.values[:, -1], np.nan),
        expected_lower=np.where(shown, result.expected_lower, np.nan),
        expected_upper=np.where(shown, result.expected_upper, np.nan),
    )
