"""Where the group that was really at fault stands among all groups, shortly after the fault."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.evaluation.labelled import Experiment, Fault
from exporter.evaluation.results import FIRST_GROUPS
from exporter.series.frame import FloatArray

AFTER = 3
"""Minutes from the one in which a fault was reported to the one whose scores are compared."""
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class FaultRank:
    """Where the group of one injected fault ranked."""

    fault: Fault
    ranked_at: float
    """Unix seconds of the instant whose scores were compared."""
    rank: int | None
    """1 is the first; None where the group had no score."""
    groups: int
    """How many groups there are, with a score or without."""
    leaders: tuple[str, ...]
    """The groups with the highest scores, at most `FIRST_GROUPS`; of equal ones those that stand first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All faults of one detector together; shares are None where there is no fault to rank."""

    faults: int
    first: int
    """Faults whose group ranked first."""
    among_first: int
    """Faults whose group ranked among the first `FIRST_GROUPS`."""
    first_share: float | None
    among_first_share: float | None
    random_first_share: float | None
    """What a random order reaches on average: 1 / groups."""
    random_among_first_share: float | None
    """`FIRST_GROUPS` / groups."""
    outside: int
    """Faults that were not ranked: the minute to compare is outside of the phase or of the data."""


def rank_of(experiment: Experiment, fault: Fault, scores: FloatArray, groups: Sequence[str]) -> FaultRank | None:
    """The rank of the group at fault, `AFTER` minutes after the minute in which the fault was reported.

    Groups with the same score share the worst of their ranks, so that a detector that says the same of all
    is never among the first. A group without a score ranks behind all that have one.

    Args:
        experiment: with `[instants]` times.
        fault: one of its faults.
        scores: `[groups × instants]`; NaN where there is none.
        groups: what the rows of `scores` are called.

    Returns:
        None where the minute to compare is outside of the phase or of the data.
    """
    case = experiment.case
    minute = _MINUTE * (np.floor(fault.at / _MINUTE) + AFTER)
    at = int(np.searchsorted(case.times, minute + _MINUTE)) - 1
    if at < 0 or case.times[at] < minute or not experiment.phase[0] <= case.times[at] <= experiment.phase[1]:
        return None
    score = scores[:, at]
    order = np.argsort(-score, kind="stable")
    leaders = tuple(groups[row] for row in order[:FIRST_GROUPS].tolist() if not np.isnan(score[row]))
    own = score[groups.index(fault.group)] if fault.group in groups else np.nan
    rank = None if np.isnan(own) else int(np.count_nonzero(score >= own))
    return FaultRank(fault, float(case.times[at]), rank, len(groups), leaders)


def ranks(experiment: Experiment, scores: FloatArray, groups: Sequence[str]) -> tuple[FaultRank | None, ...]:
    """`rank_of` each fault of an experiment, in their order."""
    return tuple(rank_of(experiment, fault, scores, groups) for fault in experiment.faults)


def standing(found: Sequence[FaultRank | None]) -> Standing:
    """The shares of faults whose group ranked first, and among the first; one without a score is neither."""
    ranked = [one for one in found if one is not None]
    first = sum(one.rank == 1 for one in ranked)
    among = sum(one.rank is not None and one.rank <= FIRST_GROUPS for one in ranked)
    return Standing(
        faults=len(ranked),
        first=first,
        among_first=among,
        first_share=_mean([one.rank == 1 for one in ranked]),
        among_first_share=_mean([one.rank is not None and one.rank <= FIRST_GROUPS for one in ranked]),
        random_first_share=_mean([1 / one.groups for one in ranked]),
        random_among_first_share=_mean([min(FIRST_GROUPS / one.groups, 1.0) for one in ranked]),
        outside=len(found) - len(ranked),
    )


def _mean(shares: Sequence[float]) -> float | None:
    return float(np.mean(shares)) if shares else None
