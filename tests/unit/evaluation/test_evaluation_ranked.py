"""Ranks of the groups at fault, and whether the model's words name what was injected."""

from dataclasses import replace

import numpy as np
import pytest
from eval_run_cases import INSTANTS, START, make_case
from evaluation_results import make_verdict

from exporter.evaluation.causes import named_rightly
from exporter.evaluation.labelled import Experiment, Fault
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.ranked import make_ranking
from exporter.evaluation.results import RankRow
from exporter.evaluation.rows import Scored


@pytest.mark.parametrize(
    ("kind", "cause", "right"),
    [
        ("cpu_contention", "The CPU is contended by another process.", True),
        ("cpu_consumed", "A runaway process eats the processor.", True),
        ("cpu_contention", "Network latency rose, and so did CPU use.", False),
        ("network_delay", "Network latency rose, and so did CPU use.", True),
        ("network_delay", "Latencies to the database doubled.", True),
        ("network_delay", "Packets are delayed.", True),
        ("exception", "The service throws exceptions.", True),
        ("return", "Calls return the wrong code.", True),
        ("return", "Calls failed.", True),
        ("memory_leak", "The heap grows.", True),
        ("disk_full", "The file system has no room.", True),
        ("disk_full", "It has no memory.", False),
        ("cpu_contention", "Something is odd.", False),
        ("cpu_contention", "", False),
        ("clock_skew", "The clock runs ahead.", True),
        ("clock_skew", "The CPU is busy.", False),
        ("dns", "It mentions a madness only.", False),
    ],
)
def test_the_first_kind_of_cause_that_is_named_counts(kind, cause, right):
    assert named_rightly(kind, make_verdict(START, summary="", cause=cause)) is right


def test_where_the_cause_names_none_the_summary_is_read():
    assert named_rightly("cpu_contention", make_verdict(START, summary="CPU use tripled.", cause="A deployment."))
    both = make_verdict(START, summary="CPU use tripled.", cause="Slow network.")
    assert not named_rightly("cpu_contention", both)


MINUTE = 60.0
FAULT = Fault(START + 10 * MINUTE + 10, "b", "cpu_contention", "")
CASE = replace(
    make_case(rows=4, group_by=("pod",), windows=()), times=START + MINUTE * np.arange(INSTANTS), interval=MINUTE
)
EXPERIMENT = Experiment(CASE, (FAULT,), (START, START + 50 * MINUTE))


def run_with(*verdicts) -> CaseRun:
    nothing = np.full(CASE.values.shape, np.nan)
    groups = np.full((2, CASE.times.size), 0.1)
    return CaseRun(CASE, nothing, nothing, nothing, nothing, groups, groups, ("a", "b"), verdicts, 1.0)


def leading(*pods: str) -> np.ndarray:
    """[pods × instants]: the first of the pods stands highest, all the time."""
    standing = np.array([pods[::-1].index(pod) for pod in ("a", "b")], dtype=np.float64)
    return np.repeat(standing[:, None], CASE.times.size, axis=1)


def verdict(seconds: float, cause: str, pod: str = "b"):
    return make_verdict(FAULT.at + seconds, cause=cause, group={"pod": pod})


def ranking(*verdicts, asked: bool = True):
    detectors = [Scored("screen", (leading("a", "b"),)), Scored("combined", (leading("b", "a"),))]
    return make_ranking([EXPERIMENT], [run_with(*verdicts)], detectors, "combined", asked=asked)


def test_each_detector_has_a_row_and_the_product_a_line_for_each_fault():
    found = ranking(verdict(60, "The CPU is contended."))
    assert found.rows == (RankRow("screen", 1, 0, 1, None), RankRow("combined", 1, 1, 1, 1))
    (fault,) = found.faults
    assert (fault.fault, fault.rank, fault.groups, fault.leaders) == (FAULT, 1, 2, ("b", "a"))
    assert (fault.experiment, fault.cause, fault.cause_right) == (CASE.name, "The CPU is contended.", True)


def test_without_a_model_nothing_is_said_of_causes():
    found = ranking(asked=False)
    assert [row.cause_right for row in found.rows] == [None, None]
    assert (found.faults[0].cause, found.faults[0].cause_right) == ("", None)


def test_the_newest_verdict_on_the_group_at_fault_before_the_ranking_counts():
    told = (
        verdict(-MINUTE, "The network is slow."),
        verdict(30, "The network is slow."),
        verdict(60, "The CPU is contended."),
        verdict(90, ""),
        verdict(90, "The network is slow.", pod="a"),
        verdict(10 * MINUTE, "The network is slow."),
    )
    assert ranking(*told).faults[0].cause == "The CPU is contended."
    assert ranking(told[0], *told[3:]).faults[0].cause_right is None


def test_a_fault_without_a_verdict_is_no_right_cause():
    assert ranking().rows[1].cause_right == 0
