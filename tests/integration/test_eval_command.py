"""`lmwatch eval`: what a user types, sees, and gets as exit code, with processes and a server as in real life."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from lmwatch_process import LMWATCH
from scripted_answers import anomalous

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer

pytestmark = pytest.mark.integration

BEGAN = datetime(2024, 3, 1, tzinfo=UTC)
LENGTH, ONSET = 140, 120


@pytest.fixture
def data(tmp_path):
    """A folder in the layout of NAB: a calm series, and one with a burst that is labelled."""
    folder = tmp_path / "mine"
    values = np.random.default_rng(5).normal(10.0, 1.0, size=(2, LENGTH))
    values[1, ONSET : ONSET + 8] += 40.0
    times = [f"{BEGAN + timedelta(minutes=5 * at):%Y-%m-%d %H:%M:%S}" for at in range(LENGTH)]
    for group, row in (("calm", values[0]), ("odd", values[1])):
        (folder / group).mkdir(parents=True)
        lines = [f"{time},{value:.4f}" for time, value in zip(times, row, strict=True)]
        (folder / group / "load.csv").write_text("\n".join(["timestamp,value", *lines, ""]))
    windows = {"calm/load.csv": [], "odd/load.csv": [[times[ONSET], times[ONSET + 8]]]}
    (folder / "windows.json").write_text(json.dumps(windows))
    return folder


def run(*arguments) -> subprocess.CompletedProcess:
    typed = [LMWATCH, "eval", *map(str, arguments)]
    return subprocess.run(typed, capture_output=True, text=True, check=False, timeout=280)


def measured(*arguments) -> dict:
    """The JSON document that a run prints."""
    done = run(*arguments, "--json", "-")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_burst_is_found_and_the_figures_have_their_documented_names(data):
    document = measured(data)
    assert (document["data"], document["model"]) == ("mine", "none")
    by_name = {row["detector"]: row for row in document["rows"]}
    assert list(by_name)[:5] == ["screen", "combined", "random", "never", "always"]
    assert (by_name["screen"]["tp"], by_name["screen"]["fp"], by_name["screen"]["fn"]) == (1, 0, 0)
    assert by_name["screen"]["f1"] == 1.0
    assert by_name["never"]["tp"] == 0
    assert {"fp_per_series_day", "vus_pr", "median_delay"} <= set(by_name["combined"])
    assert [series["name"] for series in document["series"]] == ["calm/load", "odd/load"]


def test_the_number_of_processes_changes_nothing(data):
    arguments = (data, "--model", "scripted:random", "--references", "random,kmeans_vote", "--seed", "3")
    several, one = (measured(*arguments, "--jobs", jobs) for jobs in (2, 1))
    for part in ("rows", "series"):
        assert several[part] == one[part], part
    assert several["model_figures"] == one["model_figures"]


def test_a_server_is_asked_and_its_answers_replayed_when_it_is_gone(data, tmp_path):
    recorded = tmp_path / "calls.jsonl"
    few = (data, "--only", "odd/*", "--references", "none")
    with StudioServer([ScriptedEngine(anomalous)]) as studio:
        asked = measured(*few, "--model", studio.url, "--record", recorded)
    assert asked["model"] == studio.url
    assert asked["model_figures"]["calls"] > 0
    replayed = measured(*few, "--model", f"replay:{recorded}")
    for part in ("rows", "series", "model_figures"):
        assert replayed[part] == asked[part], part


def test_thresholds_come_from_other_data_and_stand_in_the_table(data, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "load.csv").write_text((data / "odd" / "load.csv").read_text())
    windows = json.loads((data / "windows.json").read_text())
    (other / "windows.json").write_text(json.dumps({"load.csv": windows["odd/load.csv"]}))
    done = run(data, "--tune-on", other, "--references", "random,never")
    assert done.returncode == 0, done.stderr
    thresholds = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines()[3:7]}
    assert thresholds["screen"] == thresholds["combined"]
    assert thresholds["random"] != "0.500"
    assert thresholds["never"] == "0.500"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nothing",), 1, "nothing: does not exist; name the folder of the data"),
        (("{data}", "--model", "scripted:orakel"), 1, "did you mean scripted:oracle?"),
        (("{data}", "--model", "http://me:hunter2@127.0.0.1:9"), 1, "a user or password must not stand in a URL"),
        (("{data}", "--model", "http://127.0.0.1:9"), 1, "http://127.0.0.1:9 does not answer"),
        (("{data}", "--record", "calls.jsonl"), 1, "without a model there are no calls to record"),
        (("{data}", "--references", "rcf"), 1, "there are all, none, random"),
        (("{data}", "--tune-on", "{data}/calm"), 1, "has no labelled window that counts"),
        (("{data}", "--json", "{data}/nowhere/out.json"), 1, "there is no folder"),
        ((), 2, "the following arguments are required: DATA"),
        (("{data}", "--jobs", "0"), 2, "'0' is no whole number from 1 on"),
    ],
)
def test_what_is_wrong_is_said_and_is_the_exit_code(data, arguments, code, says):
    done = run(*(argument.replace("{data}", str(data)) for argument in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr
