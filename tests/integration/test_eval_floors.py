"""A short version of the evaluation, over 8 of the Numenta Anomaly Benchmark's series: the figures must not fall."""

from pathlib import Path

import pytest

from exporter.evaluation.datasets import read_dataset
from exporter.evaluation.evaluate import Options, evaluate
from exporter.evaluation.results import Evaluation, Row

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DATA = Path(__file__).parent.parent / "testdata" / "nab"


def row(evaluation: Evaluation, detector: str) -> Row:
    return next(one for one in evaluation.rows if one.detector == detector)


@pytest.fixture(scope="module")
def alone() -> Evaluation:
    return evaluate(read_dataset(DATA), Options(references=("random", "never", "zscore")))


def test_the_screen_finds_most_windows_with_few_false_alerts(alone):
    screen = row(alone, "screen")
    assert screen.f1 >= 0.75
    assert screen.fp_per_series_day <= 0.06
    assert screen.vus_pr >= 0.35


def test_clean_series_raise_no_alert(alone):
    clean = [one for one in alone.series if one.name.startswith("artificialNoAnomaly/")]
    assert len(clean) == 2
    assert [one.false_alerts for one in clean] == [0, 0]


def test_the_screen_is_far_better_than_what_needs_no_thought(alone):
    screen = row(alone, "screen")
    for detector in ("random", "never", "zscore"):
        assert screen.f1 >= row(alone, detector).f1 + 0.3
        assert screen.vus_pr >= row(alone, detector).vus_pr + 0.05


@pytest.mark.parametrize("script", ["always-yes", "always-no", "random"])
def test_a_model_that_knows_nothing_does_no_harm(alone, script):
    judged = evaluate(read_dataset(DATA), Options(model=f"scripted:{script}", references=()))
    assert row(judged, "combined").f1 >= row(alone, "screen").f1 - 0.02


def test_a_model_that_knows_everything_helps(alone):
    judged = evaluate(read_dataset(DATA), Options(model="scripted:oracle", references=()))
    combined, screen = row(judged, "combined"), row(alone, "screen")
    assert combined.tp >= screen.tp
    assert combined.fp <= screen.fp / 2
    assert judged.model_figures.ungrounded_share == 0.0
