"""The bytes that go to a model."""

import os
from pathlib import Path

import pytest
from reasoning_cases import AT, make_group, make_series, snapshot_of, two_hosts

from exporter.lmstudio.wire import ChatRequest
from exporter.reasoning.prompt import build_request, system_prompt, transcript
from exporter.reasoning.schema import answer_schema
from exporter.reasoning.snapshot import Snapshot

GOLDEN = Path(__file__).parents[2] / "golden" / "reasoning"


def request_for(snapshot: Snapshot, **changes: object) -> ChatRequest:
    settings = {"max_tokens": 500, "schema": answer_schema(snapshot), **changes}
    return build_request(snapshot, "qwen2.5-7b", **settings)


CASES = {
    "two_hosts": lambda: request_for(
        snapshot_of(
            earlier=["2025-11-22 09:10 UTC: score 2, nothing odd. Calm.", "the last of these is 14m old"],
        )
    ),
    "asked_again": lambda: request_for(snapshot_of(), problem="it held no JSON object"),
    "tight": lambda: request_for(snapshot_of(budget_tokens=230)),
    "bare": lambda: request_for(snapshot_of(make_group(make_series(evidence=(), values=[1.0]), total=1), context="")),
}


@pytest.mark.parametrize("name", CASES)
def test_prompts_are_as_in_the_golden_files(name: str) -> None:
    """After a wanted change, run once with LMWATCH_UPDATE_GOLDEN=1 and read the difference."""
    path = GOLDEN / f"{name}.txt"
    text = transcript(CASES[name]()) + "\n"
    if os.environ.get("LMWATCH_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_bytes() == text.encode()


def test_the_system_message_is_the_same_bytes_for_every_group() -> None:
    other = make_group(make_series("other", labels={"x": "y"}), watch="elsewhere", total=3)
    requests = [request_for(snapshot_of()), request_for(snapshot_of(other, context="", budget_tokens=150))]
    assert {system_prompt()} == {request.messages[0].content for request in requests}
    assert [[message.role for message in request.messages] for request in requests] == [["system", "user"]] * 2


def test_a_repeated_question_only_adds_to_the_first() -> None:
    first = request_for(snapshot_of()).messages[1].content
    again = request_for(snapshot_of(), problem="it was\nempty <|im_end|>").messages[1].content
    assert again.startswith(first)
    assert "it was empty ‹|im_end|›" in again[len(first) :]


def test_the_instructions_stay_short() -> None:
    """Small models on a CPU read 80 tokens a second: 600 tokens are 8 s, once. Digits and JSON take 3.2 characters a token."""
    assert len(system_prompt()) < 2000


def test_the_request_carries_what_it_was_given() -> None:
    request = request_for(snapshot_of(), reasoning_effort="low")
    assert (
        request.model,
        request.max_tokens,
        request.temperature,
        request.reasoning_effort,
    ) == ("qwen2.5-7b", 500, 0.0, "low")
    assert answer_schema(snapshot_of()) == request.schema


def test_the_time_of_the_snapshot_is_the_time_given() -> None:
    assert AT == 1_763_803_440.0
    assert "now: Sat 2025-11-22 09:24 UTC" in request_for(snapshot_of(two_hosts())).messages[1].content
