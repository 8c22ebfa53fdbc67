"""Calls that were recorded can be replayed without a model."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from reasoning_cases import MODEL, ScriptedModel, answer, predicted, snapshot_of

from exporter.errors import BadDataError, LmwatchError
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import ChatRequest, Image, Message
from exporter.reasoning.prompt import build_request
from exporter.reasoning.replay import NotRecordedError, Recorder, Replayer, recording, request_key
from exporter.reasoning.schema import answer_schema

REQUEST = build_request(snapshot_of(), MODEL.id, max_tokens=500, schema=answer_schema(snapshot_of()))


def asked(text: str) -> ChatRequest:
    return ChatRequest("m", (Message("user", text),), 10)


def test_what_was_recorded_is_replayed_as_it_was(tmp_path: Path) -> None:
    first = predicted(json.dumps(answer()), cached_prompt_tokens=12, reasoning="Grüße 温度\n")
    model = ScriptedModel(first, predicted("two", prompt_tokens=None))
    with Recorder(tmp_path / "calls.jsonl") as recorder:
        ask = recording(model, recorder)
        live = [ask(REQUEST), ask(asked("two"))]
    replayer = Replayer(tmp_path / "calls.jsonl")
    assert live == [replayer.ask(REQUEST), replayer.ask(asked("two"))]
    assert len(replayer) == 2


def test_a_request_that_was_not_recorded_is_named_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    Recorder(path).close()
    with pytest.raises(NotRecordedError, match=request_key(REQUEST)) as caught:
        Replayer(path).ask(REQUEST)
    assert isinstance(caught.value, LmwatchError)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, model="another"),
        replace(REQUEST, max_tokens=501),
        replace(REQUEST, temperature=0.5),
        replace(REQUEST, seed=1),
        replace(REQUEST, reasoning_effort="low"),
        replace(REQUEST, schema=None),
        replace(REQUEST, schema=dict(reversed(REQUEST.schema.items()))),
        replace(REQUEST, messages=REQUEST.messages[:1]),
        replace(REQUEST, messages=tuple(reversed(REQUEST.messages))),
    ],
)
def test_whatever_may_change_the_answer_changes_the_key(other: ChatRequest) -> None:
    assert request_key(REQUEST) != request_key(other)


def test_instances_of_one_model_and_kinds_of_mappings_share_a_key() -> None:
    assert request_key(REQUEST) == request_key(replace(REQUEST, model=f"{MODEL.id}:2"))
    assert request_key(REQUEST) == request_key(replace(REQUEST, schema=MappingProxyType(dict(REQUEST.schema))))


def test_the_key_is_the_same_on_every_machine() -> None:
    assert request_key(asked("Grüße"))[:4] == "4c0b"


def test_a_picture_counts_by_its_bytes() -> None:
    first, same, other = (
        ChatRequest("m", (Message("user", "?", Image(data, tokens)),), 10)
        for data, tokens in ((b"one", 5), (b"one", 6), (b"two", 5))
    )
    assert request_key(first) == request_key(same)
    assert len({request_key(each) for each in (first, other, asked("?"))}) == 3


def test_failures_are_replayed_where_they_were_recorded(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    failure = ModelFailure("busy", "loading model", status=503, url="http://desk/v1")
    with Recorder(path) as recorder, pytest.raises(ModelFailure):
        recording(ScriptedModel(failure), recorder, failures=True)(REQUEST)
    with pytest.raises(ModelFailure) as caught:
        Replayer(path).ask(REQUEST)
    assert str(caught.value) == str(failure)
    with Recorder(path) as recorder:
        recorder.record(REQUEST, predicted("at last"))
    assert Replayer(path).ask(REQUEST).text == "at last"


def test_a_recording_says_who_answered_last(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with Recorder(path) as recorder:
        recorder.record(REQUEST, predicted("one"))
    assert Replayer(path).subject is None
    with Recorder(path) as recorder:
        recorder.describe("old", replace(MODEL, context_length=1))
        recorder.describe("desk", MODEL)
    replayer = Replayer(path)
    assert replayer.subject == ("desk", MODEL)
    assert len(replayer) == 1


def test_the_newer_of_two_answers_counts_and_a_recording_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    for text in ("old", "new"):
        with Recorder(path) as recorder:
            recorder.record(REQUEST, predicted(text))
    assert Replayer(path).ask(REQUEST).text == "new"
    assert len(path.read_text().splitlines()) == 2


def test_failures_pass_through_and_are_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with Recorder(path) as recorder, pytest.raises(ModelFailure, match="timeout"):
        recording(ScriptedModel(ModelFailure("timeout")), recorder)(REQUEST)
    assert path.stat().st_size == 0


def test_a_line_that_a_crash_cut_off_is_passed_over_and_removed_on_continuing(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with Recorder(path) as recorder:
        recorder.record(asked("one"), predicted("one"))
        recorder.record(asked("two"), predicted("two"))
    path.write_bytes(path.read_bytes()[:-20])
    assert len(Replayer(path)) == 1
    with Recorder(path) as recorder:
        recorder.record(asked("three"), predicted("three"))
    replayer = Replayer(path)
    assert [replayer.ask(asked(text)).text for text in ("one", "three")] == ["one", "three"]


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "{}",
        '{"key":"k"}',
        '{"key":"k","prediction":{"text":"t"}}',
        '{"key":"k","prediction":7}',
        "\udcff",
    ],
)
def test_a_broken_line_is_named_by_file_and_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "calls.jsonl"
    with Recorder(path) as recorder:
        recorder.record(REQUEST, predicted("one"))
    with path.open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(BadDataError, match=r"calls\.jsonl:2: no recorded call"):
        Replayer(path)


def test_a_closed_recording_takes_nothing_more(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "calls.jsonl")
    recorder.close()
    recorder.close()
    with pytest.raises(ValueError, match="closed"):
        recorder.record(REQUEST, predicted("late"))


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with Recorder(path) as recorder:
        threads = [
            threading.Thread(
                target=lambda seed=seed: [
                    recorder.record(asked(f"{seed}/{index}"), predicted("x" * 3000)) for index in range(20)
                ]
            )
            for seed in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(Replayer(path)) == 80


def test_a_recording_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    Recorder(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
