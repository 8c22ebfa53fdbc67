"""One call measures the product and the reference detectors on labelled data."""

from dataclasses import replace

import numpy as np
import pytest
from eval_run_cases import INSTANTS, START, make_case

from exporter.errors import BadDataError, ConfigError
from exporter.evaluation.document import to_document
from exporter.evaluation.evaluate import Options, amount, cases_of, evaluate
from exporter.evaluation.labelled import Dataset, Experiment, Fault
from exporter.evaluation.outputs import without_credentials
from exporter.evaluation.reference import REFERENCES
from exporter.evaluation.results import Evaluation
from exporter.evaluation.run import RunSettings
from exporter.screening.result import THRESHOLD

LENGTH, ONSET = 100, 80
ODD = replace(make_case(rows=1, instants=LENGTH, bursts=((0, ONSET, 40.0),), windows=((ONSET, ONSET + 8),)), name="one")
CALM = replace(make_case(rows=1, instants=LENGTH, bursts=(), windows=(), seed=6), name="calm")
BURSTS = Dataset("bursts", "nab", (ODD, CALM))
QUICK = Options(references=("random", "never", "always"), jobs=1)
MINUTE = 60.0


def experiment(end: int = 100) -> Experiment:
    """Pods a and b; something is wrong in b shortly before the end of the phase, and much more after it."""
    case = make_case(
        rows=4, group_by=("pod",), windows=(), bursts=((1, end - 10, 40.0), (0, end + 20, 90.0), (2, end + 20, 90.0))
    )
    case = replace(case, times=START + MINUTE * np.arange(INSTANTS), interval=MINUTE, judged_from=0)
    times = case.times
    return Experiment(case, (Fault(float(times[end - 10]), "b", "cpu", ""),), (float(times[50]), float(times[end])))


@pytest.fixture(scope="module")
def alone() -> Evaluation:
    """Without a model."""
    return evaluate(BURSTS, QUICK)


def without_name(row):
    return replace(row, detector="")


def test_the_table_has_both_rows_of_the_product_and_then_the_references(alone):
    assert [row.detector for row in alone.rows] == ["screen", "combined", "random", "never", "always"]
    screen, combined, _, never, always = alone.rows
    assert (screen.tp, screen.fn) == (1, 0)
    assert without_name(screen) == without_name(combined)
    assert (never.tp, never.fp, never.fn) == (0, 0, 1)
    assert (always.tp, always.fp, always.alarm_share) == (0, 2, pytest.approx(1.0))
    assert {row.threshold for row in alone.rows} == {THRESHOLD}
    assert (alone.data, alone.layout, alone.model, alone.detector) == ("bursts", "nab", "none", "screen")
    assert (alone.model_figures, alone.ranking) == (None, None)


def test_every_reference_is_there_unless_others_are_asked_for():
    assert Options().references == tuple(REFERENCES)
    assert [row.detector for row in evaluate(BURSTS, replace(QUICK, references=())).rows] == ["screen", "combined"]


def test_the_series_show_the_alerts_that_the_row_of_the_product_counts(alone):
    assert [result.name for result in alone.series] == ["one", "calm"]
    assert sum(result.found for result in alone.series) == alone.product.tp
    assert sum(result.false_alerts for result in alone.series) == alone.product.fp
    assert alone.series[0].windows[0].state == "found"
    onset = next(episode for episode in alone.series[0].episodes if episode.found_window == 0).start
    assert onset >= ODD.times[ONSET]
    assert alone.series[0].screen_score is None


def test_it_tells_of_as_much_progress_as_it_promised():
    told = []
    evaluate(BURSTS, QUICK, tuning=BURSTS, tell=told.append)
    assert sum(told) == amount(BURSTS, QUICK, BURSTS) == 2 * 2 * LENGTH * 4


def test_with_a_model_the_combined_row_is_the_products_and_the_screens_stays_as_it_was(alone):
    asked = evaluate(BURSTS, replace(QUICK, model="scripted:oracle"))
    assert asked.rows[0] == alone.rows[0]
    assert asked.detector == "combined"
    assert asked.model == "scripted:oracle"
    assert asked.model_figures.calls > 0
    assert asked.product.tp == 1
    assert asked.product.fp <= alone.product.fp
    assert asked.series[0].run.verdicts
    assert asked.series[0].screen_score is not None


def test_what_a_model_said_can_be_recorded_and_replayed(tmp_path):
    recorded = tmp_path / "calls.jsonl"
    options = replace(QUICK, references=(), model="scripted:random", seed=4)
    first = to_document(evaluate(BURSTS, replace(options, record=recorded)))
    again = to_document(evaluate(BURSTS, replace(options, model=f"replay:{recorded}", seed=9)))
    for part in ("rows", "series", "model_figures"):
        assert again[part] == first[part], part


def test_the_same_seed_gives_the_same_document_and_another_one_other_numbers(alone):
    one = to_document(alone)
    again, other = (to_document(evaluate(BURSTS, replace(QUICK, seed=seed))) for seed in (0, 2))
    assert one == again
    assert one["rows"][:2] == other["rows"][:2]
    assert one["rows"][2] != other["rows"][2]


def test_thresholds_are_chosen_on_the_other_data_and_the_product_has_one():
    weaker = make_case(rows=1, instants=LENGTH, bursts=((0, ONSET, 6.0),), windows=((ONSET, ONSET + 8),), seed=8)
    found = evaluate(BURSTS, QUICK, tuning=Dataset("other", "nab", (weaker,)))
    by_name = {row.detector: row.threshold for row in found.rows}
    assert by_name["screen"] == by_name["combined"] == found.threshold != THRESHOLD
    assert by_name["random"] != THRESHOLD
    assert by_name["never"] == by_name["always"] == THRESHOLD


@pytest.mark.parametrize("tuning", [Dataset("calm", "nab", (CALM,)), Dataset("day", "nezha", (), ())])
def test_data_without_windows_cannot_choose_a_threshold(tuning):
    with pytest.raises(BadDataError, match="has no labelled window that counts"):
        evaluate(BURSTS, QUICK, tuning=tuning)


def test_of_an_experiment_the_groups_at_fault_are_ranked_by_every_detector():
    found = evaluate(Dataset("day", "nezha", (), (experiment(),)), QUICK)
    assert found.rows == ()
    assert found.product is None
    assert [row.detector for row in found.ranking.rows] == ["screen", "combined", "random", "never", "always"]
    assert [(row.faults, row.first) for row in found.ranking.rows[:2]] == [(1, 1), (1, 1)]
    assert [row.among_first for row in found.ranking.rows[3:]] == [1, 1]
    assert [fault.leaders[0] for fault in found.ranking.faults] == ["b"]
    (result,) = found.series
    assert (result.windows, result.episodes, result.faults) == ((), (), experiment().faults)


def test_nothing_is_run_after_the_phase_of_an_experiment():
    data = Dataset("day", "nezha", (), (experiment(end=100),))
    (case,) = cases_of(data)
    assert case.times[-1] == experiment().phase[1]
    assert amount(data, QUICK) == 101 * 4
    assert evaluate(data, QUICK).series[0].run.screen.shape == (4, 101)


def test_values_that_come_too_fast_for_a_watch_are_refused_with_the_reason():
    fast = replace(make_case(rows=1, bursts=()), name="fast", times=START + 0.5 * np.arange(INSTANTS), interval=0.5)
    with pytest.raises(ConfigError, match=r"fast: no watch can be made for values each 0\.5 s: interval: must be"):
        evaluate(Dataset("fast", "nab", (fast,)), QUICK)


def test_settings_of_the_watch_count():
    strict = RunSettings(watch={"select": [{"series": '{__name__!=""}', "min_change": "1000"}]})
    assert evaluate(BURSTS, replace(QUICK, settings=strict)).product.tp == 0


def test_an_unknown_model_is_refused_before_anything_is_done():
    told = []
    with pytest.raises(ConfigError, match="did you mean scripted:oracle"):
        evaluate(BURSTS, replace(QUICK, model="scripted:orakel"), tell=told.append)
    assert told == []


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("http://user:hunter2@desk:1234", "http://<secret>@desk:1234"),
        ("--model=https://user:hunter2@desk:1234#qwen/qwen3-4b", "--model=https://<secret>@desk:1234#qwen/qwen3-4b"),
        ("http://desk:1234?api_key=hunter2&x=1", "http://desk:1234?api_key=<secret>&x=1"),
        ("http://[hunter2", "http://<secret>"),
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("replay:a@b.jsonl", "replay:a@b.jsonl"),
    ],
)
def test_credentials_are_not_shown(argument, shown):
    assert without_credentials(argument) == shown
