"""Whatever a model or its server does, a group gets a verdict."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoning_cases import AT, MODEL, ScriptedModel, answer, make_group, make_series, predicted, two_hosts, words

from exporter.lmstudio.failures import REASONS, ModelFailure
from exporter.lmstudio.wire import Model
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.memory import Memory
from exporter.reasoning.prompt import system_prompt
from exporter.reasoning.replay import Ask, NotRecordedError
from exporter.reasoning.verdict import Verdict, verdict_id
from exporter.screening.result import ScreenedGroup

GOOD = json.dumps(answer())


class Bench:
    """An analyst with what it reports to."""

    def __init__(self, per_token: int = 4) -> None:
        self.learned: list[tuple[str, int, int]] = []
        self.memory = Memory()
        self.analyst = Analyst(
            estimate=lambda text, model: -(-len(text) // per_token),
            learn=lambda *report: self.learned.append(report),
            memory=self.memory,
        )

    def judge(self, ask: Ask, group: ScreenedGroup | None = None, model: Model = MODEL, **changes: Any) -> Verdict:
        arguments = {"context": "Two hosts.", "at": AT, "server": "desk", **changes}
        return self.analyst.judge(two_hosts() if group is None else group, ask=ask, model=model, **arguments)


def test_a_good_answer_is_a_verdict_after_one_call() -> None:
    model = ScriptedModel(answer())
    verdict = Bench().judge(model)
    request = model.requests[0]
    assert ("ok", (), 0.8, 3, 0, "desk", MODEL.id) == (
        verdict.outcome,
        verdict.problems,
        verdict.group_score,
        verdict.shown,
        verdict.dropped,
        verdict.server,
        verdict.model,
    )
    assert verdict.answer == GOOD
    assert all(message.content in verdict.prompt for message in request.messages)
    assert verdict.prompt_tokens_estimated == words(system_prompt()) + words(
        request.messages[1].content.split("\n\nNow")[0]
    )
    assert list(request.schema["properties"]["findings"]["properties"]) == ["S1", "S2", "S3"]
    assert (MODEL.id, 200 + 3 * 110, None) == (request.model, request.max_tokens, request.reasoning_effort)


def test_what_does_not_hold_makes_it_ungrounded_without_asking_again() -> None:
    verdict = Bench().judge(ScriptedModel(answer(summary="Load is 77.")))
    assert (verdict.outcome, verdict.problems) == ("ungrounded", ("summary: states 77, which was not shown",))
    assert len(verdict.findings) == 3


def test_an_answer_of_another_model_than_asked_is_taken_and_said() -> None:
    model = ScriptedModel(answer())
    verdict = Bench().judge(lambda request: replace(model(request), model="someone-else"))
    assert (verdict.outcome, verdict.model) == ("ok", "someone-else")
    assert verdict.problems == (f"{MODEL.id} was asked, someone-else answered",)


def test_an_unreadable_answer_is_asked_for_once_more_with_what_was_wrong() -> None:
    model = ScriptedModel("It all looks fine.", answer())
    verdict = Bench().judge(model)
    first, second = (request.messages for request in model.requests)
    assert first[0] == second[0]
    assert second[1].content.startswith(first[1].content)
    assert "it held no JSON object" in second[1].content
    assert (verdict.outcome, len(verdict.predictions), verdict.answer, verdict.problems) == ("ok", 2, GOOD, ())


def test_two_unreadable_answers_are_the_end() -> None:
    verdict = Bench().judge(ScriptedModel("fine", GOOD[:100]))
    assert ("invalid", None, (), GOOD[:100]) == (
        verdict.outcome,
        verdict.group_score,
        verdict.findings,
        verdict.answer,
    )
    assert verdict.problems == ("it held no JSON object", "it held no complete JSON object with findings")
    assert (verdict.shown, len(verdict.predictions)) == (3, 2)


def test_an_answer_cut_off_by_its_length_gets_more_room() -> None:
    model = ScriptedModel(predicted(GOOD[:200], finish_reason="length"), answer())
    verdict = Bench().judge(model)
    assert [request.max_tokens for request in model.requests] == [530, 1060]
    assert "it was cut off" in model.requests[1].messages[1].content
    assert verdict.outcome == "ok"


def test_json_among_the_thoughts_of_a_reasoning_model_is_taken() -> None:
    verdict = Bench().judge(ScriptedModel(predicted("", reasoning=f"Let me see.\n{GOOD}")))
    assert (verdict.outcome, len(verdict.predictions)) == ("ok", 1)


@pytest.mark.parametrize("reason", [reason for reason in REASONS if reason not in ("context_overflow", "grammar")])
def test_a_failed_call_is_a_verdict_without_findings(reason: str) -> None:
    bench = Bench()
    verdict = bench.judge(ScriptedModel(ModelFailure(reason, "as it happens")))
    assert ("timeout" if reason == "timeout" else "llm_error") == verdict.outcome
    assert (verdict.findings, verdict.group_score, verdict.predictions, verdict.answer) == ((), None, (), "")
    assert (f"{reason}: as it happens",) == verdict.problems
    assert (3, MODEL.id) == (verdict.shown, verdict.model)
    assert bench.memory.lines("node-health", verdict.group, AT) == ()


def test_a_failure_of_the_second_call_keeps_what_the_first_one_was() -> None:
    verdict = Bench().judge(ScriptedModel("fine", ModelFailure("timeout", "too slow")))
    assert (
        verdict.outcome,
        verdict.problems,
        len(verdict.predictions),
    ) == ("timeout", ("it held no JSON object", "timeout: too slow"), 1)


def test_an_overflowing_context_is_tried_once_more_at_half_the_size() -> None:
    group = make_group(*(make_series(f"metric_{index}") for index in range(12)))
    model = ScriptedModel(ModelFailure("context_overflow"), ModelFailure("context_overflow"))
    verdict = Bench().judge(model, group, replace(MODEL, context_length=8192))
    first, second = (len(request.messages[1].content) for request in model.requests)
    assert second < 0.6 * first
    assert verdict.outcome == "llm_error"
    assert verdict.shown + verdict.dropped == 12


def test_half_the_size_is_enough_for_a_verdict() -> None:
    model = ScriptedModel(ModelFailure("context_overflow"), answer())
    verdict = Bench().judge(model, make_group(*(make_series(f"metric_{index}") for index in range(3))))
    assert len(verdict.predictions) == 1
    assert len(verdict.findings) + verdict.dropped == 3
    assert verdict.group_score == 0.8


def test_an_overflow_that_leaves_nothing_to_halve_is_reported_as_such() -> None:
    verdict = Bench().judge(ScriptedModel(ModelFailure("context_overflow", "n_ctx is 128")), make_group(make_series()))
    assert (verdict.outcome, verdict.problems, verdict.shown) == ("llm_error", ("context_overflow: n_ctx is 128",), 1)


def test_a_server_that_cannot_enforce_the_schema_is_asked_without() -> None:
    model = ScriptedModel(ModelFailure("grammar"), answer())
    verdict = Bench().judge(model)
    assert verdict.outcome == "ok"
    assert [request.schema is not None for request in model.requests] == [True, False]
    assert model.requests[0].messages == model.requests[1].messages


def test_a_context_too_small_for_one_series_is_said_without_asking() -> None:
    verdict = Bench().judge(ScriptedModel(), model=replace(MODEL, context_length=512))
    assert (
        verdict.outcome,
        verdict.shown,
        verdict.dropped,
        verdict.prompt,
        verdict.prompt_tokens_estimated,
    ) == ("llm_error", 0, 3, "", 0)
    assert "has room for no series" in verdict.problems[0]
    assert "greater context length" in verdict.problems[0]


def test_a_group_without_series_is_not_asked_about() -> None:
    verdict = Bench().judge(ScriptedModel(), make_group())
    assert (verdict.outcome, verdict.problems) == ("llm_error", ("the group has no series to show",))


def test_other_errors_of_asking_pass_through() -> None:
    with pytest.raises(NotRecordedError):
        Bench().judge(ScriptedModel(NotRecordedError("no such call")))


def test_the_estimate_learns_from_what_the_server_counts() -> None:
    bench = Bench()
    verdict = bench.judge(ScriptedModel(predicted(GOOD, prompt_tokens=900)))
    assert [(MODEL.key, verdict.prompt_tokens_estimated, 900)] == bench.learned
    bench.judge(ScriptedModel(predicted(GOOD, prompt_tokens=None)))
    assert len(bench.learned) == 1


def test_the_next_question_tells_of_the_last_verdict() -> None:
    bench = Bench()
    bench.judge(ScriptedModel(answer()))
    model = ScriptedModel(answer())
    bench.judge(model, at=AT + 720)
    text = model.requests[0].messages[1].content
    assert "- 2025-11-22 09:24 UTC: score 8, node_load1 level_shift, node_filesystem_avail_bytes drop" in text
    assert "- the last of these is 12m old" in text


@pytest.mark.parametrize(
    ("key", "effort", "thinking"),
    [
        ("openai/gpt-oss-20b", "low", True),
        ("qwen/qwen3-4b", None, True),
        ("qwen3-4b-instruct-2507", None, False),
        ("qwen3-4b-thinking-2507", None, True),
        ("deepseek-r1-distill-qwen-7b", None, True),
        ("qwen2.5-7b-instruct", None, False),
        ("google/gemma-3-4b", None, False),
    ],
)
def test_reasoning_models_get_room_to_think(key: str, effort: str | None, thinking: bool) -> None:
    model = ScriptedModel(answer())
    Bench().judge(model, model=replace(MODEL, id=key, key=key, context_length=8192))
    request = model.requests[0]
    assert (effort, 530 + 1500 * thinking) == (request.reasoning_effort, request.max_tokens)


def test_an_unknown_context_is_taken_for_4096() -> None:
    known, unknown = ScriptedModel("x", "x"), ScriptedModel("x", "x")
    group = make_group(*(make_series(f"metric_{index}") for index in range(30)))
    Bench().judge(known, group, replace(MODEL, context_length=4096))
    Bench().judge(unknown, group, replace(MODEL, context_length=None))
    assert known.requests == unknown.requests


@settings(max_examples=40)
@given(
    count=st.integers(min_value=1, max_value=30),
    context=st.integers(min_value=600, max_value=16_384),
    share=st.floats(min_value=0.2, max_value=1.0),
    key=st.sampled_from(["qwen2.5-7b", "gpt-oss-20b"]),
)
def test_question_and_answer_fit_into_the_share_of_the_context(
    count: int, context: int, share: float, key: str
) -> None:
    group = make_group(*(make_series(f"metric_{index}") for index in range(count)))
    model = ScriptedModel(predicted("x", finish_reason="length"), "x")
    verdict = Bench().judge(
        model, group, replace(MODEL, id=key, key=key, context_length=context), max_context_share=share
    )
    assert count == verdict.shown + verdict.dropped
    for request in model.requests:
        prompt = sum(words(message.content) for message in request.messages)
        assert prompt + request.max_tokens <= context * share


def test_ids_are_short_unique_and_sort_by_time() -> None:
    group = (("instance", "db1"),)
    ids = [verdict_id("w", group, AT + step) for step in (0, 0.001, 1, 1e6, 1e9)]
    assert ids == sorted(set(ids))
    assert {17} == {len(one) for one in ids}
    assert verdict_id("w", group, AT) == ids[0]
    others = [verdict_id("w", (("instance", str(index)),), AT) for index in range(500)]
    assert len(set(others)) == 500
    assert verdict_id("x", group, AT) != ids[0]
    assert all(one.isalnum() and one.islower() for one in others)
