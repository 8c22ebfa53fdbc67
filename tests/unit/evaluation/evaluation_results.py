"""Results of an evaluation that the tests of its report, table and document share."""

from collections.abc import Sequence
from typing import Any

import numpy as np

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


def make_verdict(when: float, summary: str = "CPU is high.", **more: Any) -> Verdict:
    finding = Finding(Series("cpu", ()), 0.8, 0.9, 0.7, "spike", ("E1",), more.pop("text", "so high"), grounded=False)
    return Verdict(
        id="v1",
        watch="eval",
        group=labels_of(more.pop("group", {})),
        at=when,
        outcome="ok",
        model=more.pop("model", "qwen"),
        server="desk",
        group_score=more.pop("score", 0.9),
        summary=summary,
        cause=more.pop("cause", "A runaway process."),
        next_steps="Look at it.",
        findings=(finding,),
        problems=(),
        facts=(),
        prompt="",
        answer="",
        shown=1,
        dropped=0,
        prompt_tokens_estimated=1,
        predictions=(),
    )


def make_evaluation(*series: SeriesResult, **more: Any) -> Evaluation:
    return Evaluation(
        data=more.pop("data", "nab"),
        layout="nab",
        model=more.pop("model", "none"),
        seed=7,
        detector="combined",
        threshold=0.5,
        rows=more.pop("rows", ROWS),
        series=series,
        model_figures=more.pop("figures", None),
        ranking=more.pop("ranking", None),
        command=more.pop("command", "lmwatch eval nab --json out.json"),
        version="0.1.0",
    )
