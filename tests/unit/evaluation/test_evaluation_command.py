"""What a user types, and where the result goes."""

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eval_run_cases import make_case
from evaluation_results import FIGURES, RANKING, make_evaluation

from exporter.config.durations import parse_duration
from exporter.errors import BadDataError, ConfigError
from exporter.evaluation.arguments import add_arguments
from exporter.evaluation.command import only_matching, parse_references, run_eval
from exporter.evaluation.document import to_document
from exporter.evaluation.evaluate import Options
from exporter.evaluation.labelled import Dataset, Experiment
from exporter.evaluation.models import parse_model
from exporter.evaluation.outputs import Outputs, command_line
from exporter.evaluation.reference import REFERENCES
from exporter.evaluation.scripted import SCRIPTED

PAGE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
QUICK = Options(references=("never",), jobs=1)


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder in the layout of NAB with one calm series and one with a burst."""
    folder = tmp_path / "mine"
    values = np.random.default_rng(5).normal(10.0, 1.0, size=(2, 160))
    values[1, 120:128] += 40.0
    times = np.datetime64("2024-03-01T00:00:00") + np.arange(160) * np.timedelta64(300, "s")
    for group, row in (("calm", values[0]), ("odd", values[1])):
        (folder / group).mkdir(parents=True)
        lines = [f"{time},{value}" for time, value in zip(times.tolist(), row, strict=True)]
        (folder / group / "load.csv").write_text("\n".join(["timestamp,value", *lines]))
    windows = {"calm/load.csv": [], "odd/load.csv": [[str(times[120].item()), str(times[130].item())]]}
    (folder / "windows.json").write_text(json.dumps(windows))
    return folder


def test_references_are_all_none_or_names_in_the_order_of_the_table():
    assert parse_references("all") == tuple(REFERENCES)
    assert parse_references("none") == ()
    assert parse_references("zscore, random") == ("random", "zscore")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("zscor", "did you mean zscore?"), ("random,median-mad", "did you mean median_mad?"), ("", "there are all, none")],
)
def test_unknown_references_are_answered_with_what_there_is(text, meant):
    with pytest.raises(ConfigError) as caught:
        parse_references(text)
    assert meant in str(caught.value)


def test_a_pattern_leaves_the_cases_that_match():
    case = make_case()
    cases = tuple(replace(case, name=name) for name in ("a/one", "a/two", "b/one", "c"))
    data = Dataset("mine", "nab", cases)
    assert only_matching(data, None) is data
    assert [case.name for case in only_matching(data, "a/*").cases] == ["a/one", "a/two"]
    days = Dataset("days", "nezha", (), tuple(Experiment(case, (), (0.0, 0.0)) for case in cases))
    assert [one.case.name for one in only_matching(days, "*one").experiments] == ["a/one", "b/one"]
    with pytest.raises(ConfigError, match=r"--only x\*: matches no case of mine: a/one, a/two, b/one, …"):
        only_matching(data, "x*")


def test_the_command_is_shown_as_a_shell_takes_it_without_secrets():
    typed = ["eval", "my data", "--model", "http://me:hunter2@desk:1234"]
    assert command_line(typed) == "lmwatch eval 'my data' --model 'http://<secret>@desk:1234'"


def test_the_table_goes_to_standard_output_and_the_rest_to_its_files(data, tmp_path, capsys):
    outputs = Outputs(json=str(tmp_path / "out.json"), report=tmp_path / "out.html")
    assert run_eval(data, QUICK, outputs, typed=["eval", "mine"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "mine: 2 cases, layout nab, model none, seed 0"
    assert [line.split()[0] for line in lines[3:6]] == ["screen", "combined", "never"]
    assert said.err.startswith("mine: 2 cases, 2 detectors, 640 instants in ")
    document = json.loads((tmp_path / "out.json").read_text())
    assert [row["detector"] for row in document["rows"]] == ["screen", "combined", "never"]
    assert [series["name"] for series in document["series"]] == ["calm/load", "odd/load"]
    assert document["run"]["command"] == "lmwatch eval mine"
    page = (tmp_path / "out.html").read_text()
    assert "odd/load" in page
    assert "lmwatch eval mine" in page


@pytest.mark.parametrize("where", ["-", "/dev/stdout"])
def test_json_on_standard_output_is_alone_there(data, capsys, where):
    run_eval(data, QUICK, Outputs(json=where), only="odd/*")
    said = capsys.readouterr()
    assert [series["name"] for series in json.loads(said.out)["series"]] == ["odd/load"]
    assert "DETECTOR" in said.err


def test_thresholds_from_the_same_data_are_marked_as_flattering(data, capsys):
    run_eval(data / "odd", QUICK, Outputs(), tune_on=data)
    said = capsys.readouterr()
    assert "note: thresholds are chosen on data that they are measured on" in said.err
    assert f"tuned on {data}: 1 case, 2 detectors" in said.err


def test_thresholds_from_other_data_are_not(data, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    (other / "load.csv").write_text((data / "odd" / "load.csv").read_text())
    windows = json.loads((data / "windows.json").read_text())
    (other / "windows.json").write_text(json.dumps({"load.csv": windows["odd/load.csv"]}))
    run_eval(data, QUICK, Outputs(), tune_on=other)
    assert "note:" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "outputs", "says"),
    [
        (QUICK, Outputs(json="missing/out.json"), "--json missing/out.json: there is no folder missing"),
        (QUICK, Outputs(report=Path("missing/out.html")), "--report missing/out.html: there is no folder missing"),
        (QUICK, Outputs(json="/"), "--json /: is a folder"),
        (QUICK, Outputs(json="/proc/out.json"), "--json /proc/out.json: no file can be made in /proc: "),
        (replace(QUICK, model="nonne"), Outputs(), "--model nonne: no such model, did you mean none?"),
        (replace(QUICK, record=Path("missing/calls")), Outputs(), "--record missing/calls: there is no folder missing"),
    ],
)
def test_what_cannot_end_well_is_said_before_anything_is_read(tmp_path, options, outputs, says):
    with pytest.raises(ConfigError) as caught:
        run_eval(tmp_path / "no data here", options, outputs)
    assert says in str(caught.value)


def test_data_that_are_not_there_are_said_to_be_missing(tmp_path):
    with pytest.raises(BadDataError, match="does not exist"):
        run_eval(tmp_path / "nothing", QUICK, Outputs())


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser, parse_duration)
    return parser.parse_args(arguments)


def test_only_the_data_have_to_be_named():
    found = parsed("mine")
    assert found.data == Path("mine")
    assert (found.model, found.seed, found.references, found.deadline) == ("none", 0, "all", 120.0)
    assert (found.record, found.json, found.report, found.tune_on, found.only) == (None,) * 5
    assert (found.jobs, found.window_samples, found.api_token_file) == (None,) * 3


@pytest.mark.parametrize("arguments", [("--jobs", "0"), ("--seed", "-1"), ("--seed", "x"), ("--window-samples", "1")])
def test_counts_have_a_least(arguments):
    with pytest.raises(argparse.ArgumentError, match="is no whole number from"):
        parsed("mine", *arguments)


def test_the_page_about_it_names_every_option_detector_script_and_key():
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser, parse_duration)
    options = {option for action in parser._actions for option in action.option_strings}
    scripts = {f"scripted:{name}" for name in SCRIPTED}
    document = to_document(make_evaluation(model_figures=FIGURES, ranking=RANKING))
    keys = {*document, *document["rows"][0], *document["run"], *document["model_figures"], *document["ranking"]}
    named = set(re.findall(r"(?<![\w-])[\w:-]+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    assert {*options, *REFERENCES, *scripts, *keys} - named == set()


def test_the_page_about_it_shows_commands_that_can_be_typed():
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser, parse_duration)
    commands = re.findall(r"^lmwatch eval ([^#\n]*(?:#\S[^#\n]*)?)", PAGE, re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        parse_model(parser.parse_args(command.split()).model)
