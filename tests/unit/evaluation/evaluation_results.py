"""Results of an evaluation that the tests of its report, table and document share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from plain_verdict import plain_verdict

from exporter.evaluation.labelled import Case, Fault, LabelledWindow
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.results import (
    ConfidenceBin,
    Episode,
    Evaluation,
    ModelFigures,
    RankedFault,
    Ranking,
    RankRow,
    Row,
    SeriesResult,
)
from exporter.reasoning.verdict import Finding, Verdict
from exporter.series.labels import Series, labels_of

START = 1_396_310_400.0
"""2014-04-01 00:00:00 UTC."""
STEP = 300.0
NAN = float("nan")
ROWS = (
    Row("combined", 0.5, 20, 10, 10, 0.67, 0.05, 0.41, 0.12, 0.021),
    Row("screen", 0.5, 19, 13, 11, 0.61, 0.06, 0.4, 0.13, 0.025),
    Row("never", None, 0, 0, 30, 0.0, 0.0, NAN, None, 0.0),
)
FIGURES = ModelFigures(812, 912_000, 81_200, 5123.4, 3, 0.042, 31, 6, (ConfidenceBin(0.92, 0.71, 450),), 0.112)
RANKING = Ranking(
    (RankRow("combined", 4, 1, 3, 2), RankRow("random", 0, 0, 0, None)),
    (
        RankedFault("day", Fault(START, "cart-1", "cpu", "usage"), START + 180, 2, 9, ("ad-1", "cart-1"), "CPU", True),
        RankedFault("day", Fault(START, "ad-1", "network", ""), START + 180, None, 9, (), "", None),
    ),
)


def at(instant: float) -> float:
    return START + STEP * instant


def make_case(
    values: Sequence[float] | np.ndarray = (1.0,) * 100,
    windows: Sequence[LabelledWindow] = (),
    *,
    name: str = "one.csv",
    judged_from: int = 0,
    series: Sequence[Series] = (Series("cpu", ()),),
) -> Case:
    matrix = np.atleast_2d(np.array(values, dtype=np.float64))
    times = START + STEP * np.arange(matrix.shape[1])
    return Case(name, tuple(series), (), times, matrix, STEP, judged_from, tuple(windows))


def make_result(case: Case, episodes: Sequence[Episode] = (), **more: Any) -> SeriesResult:
    """A result whose scores are 0, with 1 inside of the episodes."""
    score = np.zeros(case.times.size)
    for episode in episodes:
        score[(episode.start <= case.times) & (case.times <= episode.end)] = 1.0
    flat = np.zeros_like(case.values)
    run = CaseRun(
        case=case,
        screen=flat,
        combined=more.pop("combined", flat),
        expected_lower=more.pop("lower", case.values - 1),
        expected_upper=more.pop("upper", case.values + 1),
        group_screen=score[None],
        group_combined=score[None],
        groups=("",),
        verdicts=tuple(more.pop("verdicts", ())),
        seconds=1.0,
    )
    return SeriesResult(case.name, run, score, tuple(episodes), **more)


def make_verdict(
    when: float,
    summary: str = "CPU is high.",
    *,
    cause: str = "A runaway process.",
    text: str = "so high",
    model: str = "qwen",
    group: Mapping[str, str] = MappingProxyType({}),
    score: float | None = 0.9,
) -> Verdict:
    return plain_verdict(
        watch="eval",
        group=labels_of(group),
        at=when,
        model=model,
        group_score=score,
        summary=summary,
        cause=cause,
        next_steps="Look at it.",
        findings=(Finding(Series("cpu", ()), 0.8, 0.9, 0.7, "spike", ("E1",), text, grounded=False),),
    )


def make_evaluation(*series: SeriesResult, **changes: Any) -> Evaluation:
    made = Evaluation(
        data="nab",
        layout="nab",
        model="none",
        seed=7,
        detector="combined",
        threshold=0.5,
        rows=ROWS,
        series=series,
        model_figures=None,
        ranking=None,
        command="lmwatch eval nab --json out.json",
        version="0.1.0",
    )
    return replace(made, **changes)
