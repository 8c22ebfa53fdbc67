"""For data whose labels name groups: how high each detector ranks those at fault, and what the model says of them."""

import math
from collections.abc import Sequence

from exporter.evaluation.causes import named_rightly
from exporter.evaluation.labelled import Experiment, Fault
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.ranking import FaultRank, ranks, standing
from exporter.evaluation.results import RankedFault, Ranking, RankRow
from exporter.evaluation.rows import Scored
from exporter.reasoning.verdict import Verdict

_MINUTE = 60.0


def make_ranking(
    experiments: Sequence[Experiment],
    runs: Sequence[CaseRun],
    detectors: Sequence[Scored],
    product: str,
    *,
    asked: bool,
) -> Ranking:
    """The ranks of all faults by each detector, and by the product one by one.

    Args:
        experiments: with the faults.
        runs: of the product, one an experiment.
        detectors: what each says; the product's among them.
        product: which of them the faults are shown as ranked by.
        asked: whether a model was.
    """
    rows, faults = [], []
    for one in detectors:
        found = [
            (experiment, run, rank)
            for experiment, run, standings in zip(experiments, runs, one.standings, strict=True)
            for rank in ranks(experiment, standings, run.groups)
        ]
        ranked = [_ranked(experiment, run, rank) for experiment, run, rank in found if rank is not None]
        right = sum(fault.cause_right is True for fault in ranked) if asked and one.detector == product else None
        shares = standing([rank for _, _, rank in found])
        rows.append(RankRow(one.detector, shares.faults, shares.first, shares.among_first, right))
        faults += ranked if one.detector == product else []
    return Ranking(tuple(rows), tuple(faults))


def _ranked(experiment: Experiment, run: CaseRun, rank: FaultRank) -> RankedFault:
    verdict = _verdict_on(rank.fault, run.verdicts, until=rank.ranked_at)
    return RankedFault(
        experiment=experiment.case.name,
        fault=rank.fault,
        ranked_at=rank.ranked_at,
        rank=rank.rank,
        groups=rank.groups,
        leaders=rank.leaders,
        cause=verdict.cause if verdict is not None else "",
        cause_right=named_rightly(rank.fault.kind, verdict) if verdict is not None else None,
    )


def _verdict_on(fault: Fault, verdicts: Sequence[Verdict], *, until: float) -> Verdict | None:
    """The newest readable verdict on the group at fault, from the minute of the fault on."""
    since = _MINUTE * math.floor(fault.at / _MINUTE)
    about = [
        verdict
        for verdict in verdicts
        if since <= verdict.at <= until and verdict.cause and fault.group in dict(verdict.group).values()
    ]
    return about[-1] if about else None
