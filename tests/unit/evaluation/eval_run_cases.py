"""Small labelled cases that the tests of running them share."""

import json
from dataclasses import fields
from typing import Any

import numpy as np

from exporter.evaluation.labelled import Case, LabelledWindow
from exporter.evaluation.models import open_model, parse_model
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.run import RunSettings, run_case
from exporter.series.labels import Series

START = 1_600_000_000.0
INTERVAL = 300.0
INSTANTS = 160
BURST = slice(120, 128)


def make_case(
    *,
    rows: int = 3,
    instants: int = INSTANTS,
    bursts: tuple[tuple[int, int, float], ...] = ((1, BURST.start, 40.0),),
    windows: tuple[tuple[int, int], ...] = ((BURST.start, BURST.stop),),
    culprits: tuple[int, ...] = (),
    group_by: tuple[str, ...] = (),
    seed: int = 5,
) -> Case:
    """Noise around 10; a burst is (row, first instant, height) and lasts 8 instants."""
    values = np.random.default_rng(seed).normal(10.0, 1.0, size=(rows, instants))
    for row, first, height in bursts:
        values[row, first : first + 8] += height
    times = START + INTERVAL * np.arange(instants)
    return Case(
        name="synthetic",
        series=tuple(Series(f"metric_{row}", (("pod", "ab"[row % 2]),)) for row in range(rows)),
        group_by=group_by,
        times=times,
        values=values,
        interval=INTERVAL,
        judged_from=60,
        windows=tuple(
            LabelledWindow(START + INTERVAL * first, START + INTERVAL * last, culprits) for first, last in windows
        ),
    )


def run_with(model: str, case: Case, settings: RunSettings | None = None, *, seed: int = 0, **opened: Any) -> CaseRun:
    with open_model(parse_model(model), seed=seed, **opened) as respondent:
        return run_case(case, respondent, settings)


ASK_ALWAYS = RunSettings(watch={"reason": {"when": "always", "cooldown": "20m"}})
"""Each fourth instant."""


def assert_same(one: CaseRun, other: CaseRun) -> None:
    """Everything but how long it took."""
    for field in fields(CaseRun):
        if field.name in ("case", "seconds"):
            continue
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        else:
            assert left == right, field.name


def answer_to(asked: Any) -> str:
    """A model behind a server that finds everything rather odd."""
    parts = asked.schema["properties"]["findings"]["properties"]
    finding = {"text": "It left its usual range.", "kind": "spike", "score": 8, "confidence": 7}
    return json.dumps(
        {
            "findings": {
                name: {"evidence": shape["properties"]["evidence"]["items"]["enum"][:1], **finding}
                for name, shape in parts.items()
            },
            "summary": "Something left its usual range.",
            "cause": "A sudden load.",
            "next_steps": "Look at what calls it.",
            "score": 8,
        }
    )
