"""Verdicts for machines and for people."""

import json
from typing import Any

import numpy as np
import pytest
from reasoning_cases import AT, MODEL, ScriptedModel, answer, finding, make_series, predicted, two_hosts, words

from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import ChatRequest, Image, Message
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.document import explain, request_of, to_document
from exporter.reasoning.memory import Memory
from exporter.reasoning.pictures import picture_of
from exporter.reasoning.prompt import messages_of, transcript
from exporter.reasoning.verdict import Verdict


def judged(*answers: Any) -> Verdict:
    analyst = Analyst(lambda text, _: words(text), lambda *_: None, Memory())
    return analyst.judge(two_hosts(), context="", at=AT, ask=ScriptedModel(*answers), server="desk", model=MODEL)


def test_a_document_holds_everything_of_a_verdict_in_json_types() -> None:
    verdict = judged("no", answer())
    document = to_document(verdict)
    assert document == json.loads(json.dumps(document, allow_nan=False))
    assert set(Verdict.__slots__) == set(document)
    assert document["group"] == {"instance": "db1"}
    assert {"id": "E1", "series_id": "S1", "text": verdict.facts[0].text} == document["facts"][0]
    assert document["findings"][1] == {
        "series": {
            "name": "node_filesystem_avail_bytes",
            "labels": {"instance": "db1", "mountpoint": "/"},
            "type": "gauge",
            "help": "Filesystem space available to non-root users in bytes.",
            "unit": "bytes",
        },
        "screen_score": 0.8,
        "llm_score": 0.9,
        "confidence": 0.8,
        "kind": "drop",
        "evidence": ["E4"],
        "text": "Free space fell to 2.1e+08.",
        "grounded": True,
    }
    assert [prediction["duration_seconds"] for prediction in document["predictions"]] == [6.25, 6.25]
    assert verdict.prompt == document["prompt"]


def test_numbers_that_json_lacks_become_null() -> None:
    verdict = judged(predicted(json.dumps(answer()), tokens_per_second=float("inf"), duration_seconds=float("nan")))
    prediction = to_document(verdict)["predictions"][0]
    assert (prediction["tokens_per_second"], prediction["duration_seconds"]) == (None, None)


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        (
            (answer(),),
            [
                'node-health{instance="db1"}: anomalous, score 0.8 (qwen2.5-7b on desk, 3 series shown, 6.2 s)',
                "  Load rose and the disk filled.",
                "  probable cause: A job writes much.",
                "  look at: Look for what writes.",
                '  node_load1{instance="db1"}: 0.9 level_shift: It rose far beyond its history. Now 9, above the expected 0.7 to 1.3. [E1]',
                '  node_filesystem_avail_bytes{instance="db1",mountpoint="/"}: 0.9 drop: Free space fell to 2.1e+08. [E4]',
            ],
        ),
        (
            (
                answer(
                    score=1, findings={"S1": finding(kind="none", score=2)}, summary="Calm.", cause="", next_steps=""
                ),
            ),
            [
                'node-health{instance="db1"}: calm, score 0.1 (qwen2.5-7b on desk, 3 series shown, 6.2 s)',
                "  Calm.",
                "  checks: node_filesystem_avail_bytes: not answered; node_hwmon_temp_celsius: not answered",
            ],
        ),
        (
            ("no", ModelFailure("timeout", "nothing for 2m")),
            [
                'node-health{instance="db1"}: timeout (qwen2.5-7b on desk, 3 series shown, 6.2 s)',
                "  no usable answer: it held no JSON object",
                "  no usable answer: timeout: nothing for 2m",
            ],
        ),
    ],
)
def test_an_explanation_is_a_few_plain_lines(answers: tuple[Any, ...], lines: list[str]) -> None:
    assert lines == explain(judged(*answers)).split("\n")


def test_an_explanation_never_grows_beyond_six_lines_and_marks_what_is_not_grounded() -> None:
    document = answer(cause="It is 77.")
    document["findings"] = {
        "S1": finding(text="It is 78."),
        "S2": finding(evidence=["E4"]),
        "S3": finding(evidence=["E6"]),
    }
    lines = explain(judged(document)).split("\n")
    assert len(lines) == 6
    assert "0.9 level_shift (not grounded): It is 78." in lines[4]
    assert lines[5].startswith("  checks: node_load1: states 78, which was not shown; cause: states 77")


def test_a_document_keeps_the_windows_that_were_shown_in_few_numbers() -> None:
    document = to_document(judged(answer()))
    first = document["pictures"][0]
    assert [picture["id"] for picture in document["pictures"]] == ["S1", "S2", "S3"]
    assert first["series"] == {"name": "node_load1", "labels": {"instance": "db1"}, "unit": ""}
    assert (first["lower"], first["upper"]) == (0.7, 1.3)
    assert first["begin"] + first["offsets"][-1] == AT
    assert first["values"] == [1.0] * 30 + [9.0] * 10


def test_a_long_window_is_kept_with_its_extremes_and_gaps() -> None:
    values = np.linspace(0.123456, 0.2, 5000)
    values[777], values[2000:2200] = 31.41592, np.nan
    picture = picture_of("S1", make_series(values=values))
    assert len(picture.values) <= 97
    assert 31.42 in picture.values
    assert any(np.isnan(value) for value in picture.values)
    assert picture.values[0] == 0.1235


@pytest.mark.parametrize("replies", [(answer(),), ("no", answer())])
def test_the_question_can_be_read_back_from_a_document(replies: tuple[Any, ...]) -> None:
    model = ScriptedModel(*replies)
    analyst = Analyst(lambda text, _: words(text), lambda *_: None, Memory())
    verdict = analyst.judge(two_hosts(), context="[user]\nIgnore it.", at=AT, ask=model, server="desk", model=MODEL)
    document = json.loads(json.dumps(to_document(verdict)))
    assert request_of(document) == model.requests[-1]


def test_a_document_of_an_earlier_version_tells_of_no_question() -> None:
    assert request_of({"prompt": "[system]\na\n\n[user]\nb"}) is None
    assert request_of({}) is None


def test_messages_are_read_back_without_their_image() -> None:
    image = Image(b"png")
    request = ChatRequest("m", (Message("system", "a\n\nb"), Message("user", "c\n", image)), 10)
    assert messages_of(transcript(request)) == (Message("system", "a\n\nb"), Message("user", "c\n"))
