import io
from dataclasses import replace

import pytest
from evaluation_results import FIGURES, RANKING, ROWS, make_case, make_evaluation, make_result
from rich.console import Console

from exporter.evaluation.progress import progress
from exporter.evaluation.results import Evaluation
from exporter.evaluation.table import print_evaluation


class Stopwatch:
    """A clock that the test moves."""

    def __init__(self):
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


def printed(evaluation: Evaluation, *, terminal: bool = False, width: int = 200) -> str:
    output = io.StringIO()
    print_evaluation(
        evaluation,
        Console(file=output, width=width, force_terminal=terminal, color_system="truecolor" if terminal else None),
    )
    return output.getvalue()


def test_the_table_has_a_line_for_each_detector_below_one_about_the_data():
    lines = printed(make_evaluation(make_result(make_case()))).splitlines()
    assert lines[0] == "nab: 1 case, layout nab, model none, seed 7"
    assert [line.split() for line in lines[2:]] == [
        ["DETECTOR", "F1", "FOUND", "FALSE", "FALSE/DAY", "VUS-PR", "DELAY", "ALARM", "THRESHOLD"],
        ["combined", "*", "0.67", "20/30", "10", "0.050", "0.41", "12", "%", "2.1", "%", "0.500"],
        ["screen", "0.61", "19/30", "13", "0.060", "0.40", "13", "%", "2.5", "%", "0.500"],
        ["never", "0.00", "0/30", "0", "0.000", "-", "-", "0.0", "%", "-"],
        ["*", "the", "best", "F1"],
    ]


def test_the_best_is_marked_where_there_is_no_colour_and_nothing_else_is_marked():
    text = printed(make_evaluation())
    assert "\x1b" not in text
    assert [line.split()[0] for line in text.splitlines() if "* 0" in line] == ["combined"]
    assert "\x1b[1;32m* 0.67" in printed(make_evaluation(), terminal=True)


def test_nobody_is_the_best_where_nothing_was_found():
    assert "*" not in printed(make_evaluation(rows=(ROWS[2],)))


def test_the_figures_of_the_model_are_told_in_words():
    lines = printed(make_evaluation(model_figures=FIGURES)).splitlines()
    assert lines[-3:] == [
        "the model: 812 calls in 85 min, 912,000 prompt and 81,200 output tokens",
        "  3 unreadable, 4 % not grounded, calibration error 0.112",
        "  decisions changed: 31 for better, 6 for worse",
    ]
    nothing = replace(FIGURES, calls=1, ungrounded_share=None, calibration_error=None)
    assert "1 call in" in printed(make_evaluation(model_figures=nothing))
    assert "- not grounded, calibration error -" in printed(make_evaluation(model_figures=nothing))


def test_the_ranking_is_told_for_each_detector_and_each_fault():
    lines = [line.split() for line in printed(make_evaluation(rows=(), ranking=RANKING)).splitlines()]
    assert ["combined", "4", "1", "(25", "%)", "3", "(75", "%)", "2", "(50", "%)"] in lines
    assert ["random", "0", "0", "0", "-"] in lines
    assert ["2014-04-01", "00:00", "cart-1", "cpu", "2", "of", "9", "ad-1,", "cart-1"] in lines
    assert ["2014-04-01", "00:00", "ad-1", "network", "-", "-"] in lines


@pytest.mark.parametrize("name", ["[bold red]x[/]", "\x1b[31mx\x1b[0m", "a\nb\u202ec", "x[/]\\"])
def test_names_do_nothing_to_the_terminal(name: str):
    text = printed(make_evaluation(rows=(replace(ROWS[0], detector=name),), data=name, model=name))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 5
    if "[bold" in name or "\\" in name:
        assert text.count(name) == 3


def test_the_table_fits_80_columns():
    lines = printed(make_evaluation(rows=ROWS), width=80).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert any(line.startswith("combined") and line.rstrip().endswith("0.500") for line in lines)


def test_where_there_is_no_terminal_progress_is_one_line_at_the_end():
    output, clock = io.StringIO(), Stopwatch()
    with progress("nab: [2] cases", 1500, Console(file=output, width=80, highlight=False), clock) as tell:
        tell(1000)
        tell(500)
        clock.seconds = 90.0
        assert output.getvalue() == ""
    assert output.getvalue() == "nab: [2] cases, 1,500 instants in 90 s\n"


def test_on_a_terminal_a_bar_says_how_far_it_is():
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=True, color_system=None, highlight=False)
    with progress("nab", 1000, console, Stopwatch()) as tell:
        tell(250)
    assert "0/1000" in output.getvalue()
    assert " 250/1000" in output.getvalue()
    assert " 25%" in output.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_what_failed_is_not_said_to_be_through(terminal: bool):
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=terminal, color_system=None)
    with pytest.raises(KeyboardInterrupt), progress("nab", 1000, console, Stopwatch()):
        raise KeyboardInterrupt
    assert "instants in" not in output.getvalue()


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]):
    with progress("nab", 0, clock=Stopwatch()):
        pass
    assert capsys.readouterr().out == ""


def test_the_table_goes_to_standard_output_in_whole_lines(capsys: pytest.CaptureFixture[str]):
    print_evaluation(make_evaluation(rows=(replace(ROWS[0], detector="a" * 100),)))
    assert "a" * 100 + "  * 0.67" in capsys.readouterr().out
