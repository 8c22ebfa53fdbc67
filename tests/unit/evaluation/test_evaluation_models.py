"""Who is asked: what may be written after --model, and how a server, a recording and a script are asked."""

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from eval_run_cases import ASK_ALWAYS, answer_to, assert_same, make_case, run_with

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault
from exporter.errors import BadDataError, ConfigError, RefusedError, TransientError
from exporter.evaluation.models import ModelChoice, open_model, parse_model
from exporter.evaluation.run import run_case
from exporter.evaluation.scripted import SCRIPTED
from exporter.reasoning.replay import NotRecordedError, Recorder

CASE = make_case(rows=2, instants=70, bursts=((1, 60, 40.0),), windows=((60, 66),))


@contextlib.contextmanager
def studio(**options) -> Iterator[StudioServer]:
    with StudioServer([ScriptedEngine(answer_to)], **options) as server:
        yield server


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("none", ModelChoice("none")),
        ("http://127.0.0.1:1234", ModelChoice("server", "http://127.0.0.1:1234")),
        ("https://models.example/lm/", ModelChoice("server", "https://models.example/lm/")),
        ("http://desk:1234#qwen/qwen3-4b", ModelChoice("server", "http://desk:1234", "qwen/qwen3-4b")),
        ("http://desk:1234#", ModelChoice("server", "http://desk:1234")),
        ("replay:calls.jsonl", ModelChoice("replay", "calls.jsonl")),
        ("replay:/tmp/a:b", ModelChoice("replay", "/tmp/a:b")),
        *((f"scripted:{name}", ModelChoice("scripted", name)) for name in SCRIPTED),
    ],
)
def test_what_may_be_named(text, choice):
    assert parse_model(text) == choice
    assert parse_model(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("nnone", "did you mean none?"),
        ("scripted:orakle", "did you mean scripted:oracle?"),
        ("oracle", "did you mean scripted:oracle?"),
        ("scripted:allways-yes", "did you mean scripted:always-yes?"),
        ("127.0.0.1:1234", "did you mean http://127.0.0.1:1234?"),
        ("desk:1234", "did you mean http://desk:1234?"),
        ("replay:", "did you mean replay:FILE?"),
        ("", "there are none, http://127.0.0.1:1234, replay:FILE, scripted:oracle"),
        ("qwertyuiop", "there are none, http://127.0.0.1:1234, replay:FILE, scripted:oracle"),
    ],
)
def test_what_may_not_be_named_is_answered_with_the_nearest_that_may(text, meant):
    with pytest.raises(ConfigError) as caught:
        parse_model(text)
    assert meant in str(caught.value)
    assert f"--model {text}" in str(caught.value)


def test_a_file_that_is_there_was_probably_meant_to_be_replayed(tmp_path: Path):
    recorded = tmp_path / "calls.jsonl"
    recorded.touch()
    with pytest.raises(ConfigError, match=f"did you mean replay:{recorded}"):
        parse_model(str(recorded))


def test_nobody_answers_for_none_and_leaves_nothing_to_record(tmp_path: Path):
    with open_model(parse_model("none")) as respondent:
        assert respondent is None
    with pytest.raises(ConfigError, match="no calls to record"), open_model(parse_model("none"), record=tmp_path / "c"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("api_level", ["v1", "openai"])
def test_a_server_is_asked_as_the_program_asks_it(api_level):
    with studio(api_level=api_level) as server:
        run = run_with(server.url, CASE)
        assert run.verdicts
        for verdict in run.verdicts:
            assert verdict.outcome == "ok"
            assert verdict.model == "scripted-1b"
            assert {finding.llm_score for finding in verdict.findings} == {0.8}
            assert verdict.predictions[0].duration_seconds > 0
        posts = [one for one in server.received if one.method == "POST"]
        assert len(posts) == len(run.verdicts)
    assert (run.combined > run.screen).any()


def test_a_server_that_is_not_there_is_said_at_once():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(TransientError, match=f"{url} does not answer"), open_model(parse_model(url)):
        pass


def test_a_server_without_the_model_is_refused_with_what_to_do():
    with studio() as server:
        with pytest.raises(RefusedError, match="no model qwen loaded"), open_model(parse_model(f"{server.url}#qwen")):
            pass
        with open_model(parse_model(f"{server.url}#scripted-1b")) as respondent:
            assert respondent.model.id == "scripted-1b"
            assert respondent.model.context_length == 4096


def test_a_token_is_read_from_its_file(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("sk-very-secret\n")
    with studio(api_token="sk-very-secret") as server:
        assert run_with(server.url, CASE, api_token_file=token).verdicts[0].outcome == "ok"
        with pytest.raises(TransientError), open_model(parse_model(server.url)):
            pass


@pytest.mark.parametrize("url", ["http://user:secret@desk:1234", "http://desk:1234/?a=b", "http://"])
def test_a_url_that_no_server_can_have_is_refused_and_not_repeated_where_it_may_hold_a_password(url):
    with pytest.raises(ConfigError) as caught, open_model(parse_model(url)):
        pass
    assert "url" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_call_that_fails_is_a_verdict_without_an_answer_and_measuring_goes_on():
    with studio() as server:
        server.faults.inject(Fault("crashed", after_pieces=0), times=1)
        run = run_with(server.url, CASE, ASK_ALWAYS)
    outcomes = [verdict.outcome for verdict in run.verdicts]
    assert outcomes[0] == "llm_error"
    assert set(outcomes[1:]) == {"ok"}


def test_a_server_that_keeps_failing_ends_the_measurement():
    with studio() as server:
        server.faults.inject(Fault("crashed", after_pieces=0), times=None)
        with pytest.raises(TransientError, match=f"{server.url} keeps failing.*crashed"):
            run_with(server.url, CASE, ASK_ALWAYS)


def test_a_call_has_a_deadline_of_its_own():
    with studio() as server:
        server.faults.inject(Fault("hang", after_pieces=1), times=1)
        run = run_with(server.url, CASE, ASK_ALWAYS, deadline_seconds=1.5)
    outcomes = [verdict.outcome for verdict in run.verdicts]
    assert outcomes[0] == "timeout"
    assert set(outcomes[1:]) == {"ok"}


@pytest.mark.parametrize("model", ["scripted:random", "scripted:oracle"])
def test_what_was_recorded_is_replayed_to_the_same_run(model, tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    live = run_with(model, CASE, ASK_ALWAYS, record=file, seed=3)
    assert_same(live, run_with(f"replay:{file}", CASE, ASK_ALWAYS))
    assert len(file.read_text().splitlines()) == 1 + len(live.verdicts)


def test_a_server_is_replayed_with_its_failures(tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    with studio() as server:
        server.faults.inject(Fault("crashed", after_pieces=0), times=1)
        live = run_with(server.url, CASE, ASK_ALWAYS, record=file)
    replayed = run_with(f"replay:{file}", CASE, ASK_ALWAYS)
    assert_same(live, replayed)
    assert replayed.verdicts[0].outcome == "llm_error"


def test_a_recording_answers_nothing_else(tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    run_with("scripted:always-no", CASE, ASK_ALWAYS, record=file)
    other = replace(CASE, values=CASE.values + np.float64(1.0))
    with pytest.raises(NotRecordedError, match=r"calls\.jsonl"):
        run_with(f"replay:{file}", other, ASK_ALWAYS)


def test_a_recording_can_be_continued_and_a_replay_recorded(tmp_path: Path):
    first, second = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    live = run_with("scripted:random", CASE, ASK_ALWAYS, record=first)
    other = make_case(rows=2, instants=70, seed=9)
    run_with("scripted:random", other, ASK_ALWAYS, record=first)
    assert_same(live, run_with(f"replay:{first}", CASE, ASK_ALWAYS, record=second))
    assert_same(live, run_with(f"replay:{second}", CASE, ASK_ALWAYS))


def test_a_recording_that_is_not_there_or_does_not_say_who_answered(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file"), open_model(parse_model(f"replay:{tmp_path}/no.jsonl")):
        pass
    empty = tmp_path / "empty.jsonl"
    Recorder(empty).close()
    with pytest.raises(BadDataError, match="does not say which model"), open_model(parse_model(f"replay:{empty}")):
        pass


@pytest.mark.parametrize(
    "line",
    [
        {"about": {"server": "s"}},
        {"about": None},
        {"key": "k", "failure": {"reason": "mood", "detail": "", "status": None, "url": ""}},
        {"key": "k", "failure": {"reason": "crashed"}},
    ],
)
def test_a_recording_with_a_broken_line_is_named(line, tmp_path: Path):
    file = tmp_path / "calls.jsonl"
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(BadDataError, match=r"calls\.jsonl:1"), open_model(parse_model(f"replay:{file}")):
        pass


def test_a_place_that_cannot_be_recorded_to_is_said_before_anything_is_asked(tmp_path: Path):
    with (
        pytest.raises(ConfigError, match="--record"),
        open_model(parse_model("scripted:random"), record=tmp_path / "no" / "calls.jsonl"),
    ):
        pass


def test_every_case_is_asked_about_by_itself(tmp_path: Path):
    """What was learned of one case changes no question about another."""
    file = tmp_path / "calls.jsonl"
    other = make_case(rows=2, instants=70, seed=9)
    with open_model(parse_model("scripted:random"), record=file) as respondent:
        run_case(other, respondent, ASK_ALWAYS)
        second = run_case(CASE, respondent, ASK_ALWAYS)
    assert_same(second, run_with(f"replay:{file}", CASE, ASK_ALWAYS))
