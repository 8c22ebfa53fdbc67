"""A model that can see is shown a chart, and a chart never costs a verdict."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reasoning_cases import AT, MODEL, ScriptedModel, answer, make_group, make_series, predicted, two_hosts, words

from exporter.lmstudio.failures import REASONS, ModelFailure
from exporter.lmstudio.wire import ChatRequest, Image, Model
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.image import IMAGE_TOKENS, MAX_PANELS, Panel, draw_chart
from exporter.reasoning.memory import Memory
from exporter.reasoning.prompt import image_of, system_prompt
from exporter.reasoning.replay import Ask
from exporter.reasoning.sight import MAX_MODELS, Sight
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import ScreenedGroup

SEEING = replace(MODEL, vision=True, context_length=8192)
PICTURE = Image(b"\x89PNG a chart")
REFUSED = ModelFailure(
    "image_refused", "Model does not support image inputs.", status=400, url="http://desk:1234/v1/chat/completions"
)
OVERFLOW = ModelFailure("context_overflow", "n_ctx is 4096")


class Bench:
    """An analyst with a sight that draws one and the same picture."""

    def __init__(self, sight: Sight | None = None) -> None:
        self.drawn: list[tuple[str, ...]] = []
        self.learned: list[tuple[str, int, int]] = []
        self.analyst = Analyst(
            estimate=lambda text, _: words(text),
            learn=lambda *report: self.learned.append(report),
            memory=Memory(),
            sight=sight or Sight(self.draw, lambda: True),
        )

    def draw(self, panels: Sequence[Panel]) -> Image:
        self.drawn.append(tuple(series_id for series_id, _ in panels))
        return PICTURE

    def judge(self, ask: Ask, *, group: ScreenedGroup | None = None, model: Model = SEEING, **more: Any) -> Verdict:
        arguments = {"context": "Two hosts.", "at": AT, "server": "desk", "image": "auto", **more}
        return self.analyst.judge(two_hosts() if group is None else group, ask=ask, model=model, **arguments)

    def is_shown(self, model: Model = SEEING, **more: Any) -> bool:
        """Whether the next question to this model has a chart."""
        scripted = ScriptedModel(answer())
        self.judge(scripted, model=model, **more)
        return images(scripted) == [PICTURE]


def images(model: ScriptedModel) -> list[Image | None]:
    return [image_of(request) for request in model.requests]


def without_chart(request: ChatRequest) -> str:
    """The text of a question, less the sentences about the chart."""
    text = request.messages[1].content
    return "\n".join(line for line in text.splitlines() if not line.startswith("The chart "))


# ---- who is shown one


@pytest.mark.parametrize("wanted", ["auto", "on"])
@pytest.mark.parametrize("model", [SEEING, replace(SEEING, vision=False, kind="vlm")], ids=["vision", "vlm"])
def test_a_model_that_can_see_is_shown_a_chart_of_the_series_beside_the_text(wanted: str, model: Model) -> None:
    bench, scripted = Bench(), ScriptedModel(answer())
    verdict = bench.judge(scripted, model=model, image=wanted)
    system, user = scripted.requests[0].messages
    assert (system.content, system.image, user.image) == (system_prompt(), None, PICTURE)
    assert "The chart behind this text shows the first series by id" in user.content
    assert bench.drawn == [("S1", "S2", "S3")]
    assert (verdict.outcome, verdict.problems) == ("ok", ())


@pytest.mark.parametrize(
    ("wanted", "model"),
    [("off", SEEING), ("auto", MODEL), ("on", MODEL), ("auto", replace(MODEL, kind="unknown"))],
)
def test_others_are_asked_as_if_there_were_no_charts(wanted: str, model: Model) -> None:
    bench, with_setting, plain = Bench(), ScriptedModel(answer()), ScriptedModel(answer())
    bench.judge(with_setting, model=model, image=wanted)
    Bench().analyst.judge(two_hosts(), context="Two hosts.", at=AT, ask=plain, server="desk", model=model)
    assert with_setting.requests == plain.requests
    assert not bench.drawn


def test_the_text_is_the_same_with_and_without_a_chart_but_for_what_is_said_about_it() -> None:
    bench, seeing, blind = Bench(), ScriptedModel(answer()), ScriptedModel(answer())
    bench.judge(seeing)
    Bench().judge(blind, image="off")
    (first,), (second,) = seeing.requests, blind.requests
    assert first.messages[0] == second.messages[0]
    assert without_chart(first) == second.messages[1].content
    assert first.messages[1].content.splitlines()[-1] == second.messages[1].content.splitlines()[-1]


def test_what_is_stored_tells_of_the_chart_and_does_not_hold_it() -> None:
    verdict = Bench().judge(ScriptedModel(answer()))
    assert verdict.prompt.endswith(f"\n[chart image, {len(PICTURE.data)} bytes, sha256 {PICTURE.sha256}]")
    assert "PNG" not in verdict.prompt


def test_asked_again_it_is_shown_the_same_chart() -> None:
    bench, model = Bench(), ScriptedModel("It all looks fine.", answer())
    verdict = bench.judge(model)
    assert images(model) == [PICTURE, PICTURE]
    assert len(bench.drawn) == 1
    assert verdict.outcome == "ok"


def test_a_real_chart_goes_out_whole() -> None:
    model = ScriptedModel(answer())
    verdict = Bench(Sight()).judge(model)
    (image,) = images(model)
    assert image is not None
    assert image.data.startswith(b"\x89PNG")
    assert image.sha256 in verdict.prompt


# ---- where there cannot be one


def test_on_says_once_for_each_model_that_it_cannot_see(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    problem = "qwen2.5-7b on desk is asked without a chart: its server does not say that it can see"
    problems = [bench.judge(ScriptedModel(answer()), model=MODEL, image="on").problems for _ in range(3)]
    assert problems == [(problem,), (), ()]
    other = bench.judge(ScriptedModel(answer()), model=replace(MODEL, id="llama-3b"), image="on")
    assert other.outcome == "ok"
    assert other.problems[0].startswith("llama-3b on desk")
    assert [record.message for record in caplog.records] == [problem, other.problems[0]]


@pytest.mark.parametrize(("wanted", "problems"), [("auto", 0), ("on", 1)])
def test_without_matplotlib_the_text_is_enough(wanted: str, problems: int, caplog: pytest.LogCaptureFixture) -> None:
    model = ScriptedModel(answer())
    verdict = Bench(Sight(draw_chart, lambda: False)).judge(model, image=wanted)
    assert (verdict.outcome, images(model), len(verdict.problems), len(caplog.records)) == (
        "ok",
        [None],
        problems,
        problems,
    )
    assert all("lmwatch[plot]" in problem for problem in verdict.problems)


@pytest.mark.parametrize("error", [ImportError("no _path"), OSError("read-only file system"), ValueError("bug")])
def test_a_chart_that_cannot_be_drawn_is_logged_and_left_out(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def draw(_: Sequence[Panel]) -> Image:
        raise error

    model = ScriptedModel(answer())
    verdict = Bench(Sight(draw, lambda: True)).judge(model)
    assert (verdict.outcome, verdict.problems, images(model)) == ("ok", (), [None])
    assert [record.levelno for record in caplog.records] == [
        logging.ERROR if isinstance(error, ValueError) else logging.WARNING
    ]


def test_matplotlib_that_does_not_work_is_tried_once() -> None:
    tries: list[int] = []

    def draw(panels: Sequence[Panel]) -> Image:
        tries.append(len(panels))
        raise ImportError("half an installation")

    bench = Bench(Sight(draw, lambda: True))
    assert not bench.is_shown()
    assert not bench.is_shown()
    assert tries == [3]


# ---- where it is not taken


def test_a_refused_chart_is_left_out_the_verdict_says_so_and_no_other_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, model = Bench(), ScriptedModel(REFUSED, answer())
    verdict = bench.judge(model)
    first, second = model.requests
    assert images(model) == [PICTURE, None]
    assert without_chart(first) == second.messages[1].content
    assert (verdict.outcome, len(verdict.findings), len(verdict.predictions)) == ("ok", 3, 1)
    assert verdict.problems == (f"asked without the chart: {REFUSED}",)
    assert "[chart image" not in verdict.prompt
    assert [record.message for record in caplog.records] == [
        f"qwen2.5-7b on desk is asked without charts from now on: {REFUSED}"
    ]
    assert not bench.is_shown()
    assert not bench.is_shown(image="on")


def test_a_refusal_is_of_one_model_on_one_server() -> None:
    bench = Bench()
    bench.judge(ScriptedModel(REFUSED, answer()))
    assert bench.is_shown(replace(SEEING, id="other", key="other"))
    assert bench.is_shown(server="rack")


def test_schema_and_chart_may_both_be_refused() -> None:
    for failures in ([REFUSED, ModelFailure("grammar")], [ModelFailure("grammar"), REFUSED]):
        model = ScriptedModel(*failures, answer())
        assert Bench().judge(model).outcome == "ok"
        assert (images(model)[-1], model.requests[-1].schema) == (None, None)
        assert len(model.requests) == 3


PERHAPS = ("server_error", "crashed", "channel_error", "empty_answer", "unknown", "context_overflow")


@pytest.mark.parametrize("reason", PERHAPS)
def test_a_failure_that_may_be_due_to_the_chart_counts_the_second_time(reason: str) -> None:
    bench = Bench()
    for again in (True, False):
        verdict = bench.judge(ScriptedModel(ModelFailure(reason), answer()))
        assert (verdict.outcome, len(verdict.problems)) == ("ok", 1)
        assert bench.is_shown() == again, "between two failures a chart went well, or it is given up"
        if again:
            bench.judge(ScriptedModel(ModelFailure(reason), answer()))


def test_a_chart_that_is_too_slow_twice_is_given_up() -> None:
    bench = Bench()
    for _ in range(2):
        model = ScriptedModel(ModelFailure("timeout"))
        assert bench.judge(model).outcome == "timeout"
        assert images(model) == [PICTURE]
    assert not bench.is_shown()


@pytest.mark.parametrize("reason", [*PERHAPS, "invalid_request", "image_refused"])
def test_what_fails_without_the_chart_too_says_nothing_against_charts(reason: str) -> None:
    bench = Bench()
    for _ in range(3):
        failures = [ModelFailure(reason, "as it happens")] * 3
        verdict = bench.judge(ScriptedModel(*failures), group=make_group(make_series()))
        assert verdict.outcome == "llm_error"
        assert verdict.problems[0] == f"{reason}: as it happens"
    assert bench.is_shown()


@pytest.mark.parametrize(
    "reason", [one for one in REASONS if one not in (*PERHAPS, "invalid_request", "image_refused", "grammar")]
)
def test_other_failures_are_not_put_down_to_the_chart(reason: str) -> None:
    model = ScriptedModel(ModelFailure(reason))
    verdict = Bench().judge(model)
    assert verdict.outcome in ("llm_error", "timeout")
    assert images(model) == [PICTURE]


def test_an_overflow_is_tried_without_the_chart_then_at_half_the_size() -> None:
    model = ScriptedModel(OVERFLOW, OVERFLOW, answer())
    group = make_group(*(make_series(f"metric_{number}") for number in range(3)))
    verdict = Bench().judge(model, group=group)
    assert images(model) == [PICTURE, None, None]
    lengths = [len(without_chart(request)) for request in model.requests]
    assert lengths[0] == lengths[1] > lengths[2]
    assert verdict.outcome in ("ok", "ungrounded")
    assert f"asked without the chart: {OVERFLOW}" in verdict.problems


def test_the_one_who_answered_in_place_of_another_is_the_one_that_does_not_take_charts() -> None:
    bench = Bench()
    elsewhere = replace(predicted("{}"), server="rack", asked_model="llava", model="llava")
    bench.judge(ScriptedModel(REFUSED, elsewhere, elsewhere))
    assert bench.is_shown()
    assert not bench.is_shown(replace(SEEING, id="llava"), server="rack")


def test_only_the_latest_models_are_remembered() -> None:
    sight = Sight(lambda _: PICTURE, lambda: True)
    for number in range(MAX_MODELS + 1):
        sight.failed("desk", f"model-{number}", REFUSED)
        assert sight.look("on", "desk", replace(MODEL, id=f"blind-{number}")).problem
    assert sight.look("auto", "desk", replace(SEEING, id="model-0")).show
    assert not sight.look("auto", "desk", replace(SEEING, id="model-1")).show
    assert not sight.look("on", "desk", replace(MODEL, id="blind-1")).problem
    assert sight.look("on", "desk", replace(MODEL, id="blind-0")).problem


# ---- what it takes of the context


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(min_value=1, max_value=30),
    context=st.integers(min_value=600, max_value=16_384),
    share=st.floats(min_value=0.2, max_value=1.0),
    key=st.sampled_from(["qwen2.5-vl-7b", "qwen3-vl-thinking"]),
)
def test_text_chart_and_answer_fit_into_the_share_of_the_context(
    count: int, context: int, share: float, key: str
) -> None:
    group = make_group(*(make_series(f"metric_{number}") for number in range(count)))
    model = ScriptedModel(predicted("x", finish_reason="length"), "x")
    Bench().judge(
        model,
        group=group,
        model=replace(SEEING, id=key, key=key, context_length=context),
        max_context_share=share,
    )
    for request in model.requests:
        prompt = sum(words(message.content) for message in request.messages)
        chart = IMAGE_TOKENS if image_of(request) else 0
        assert prompt + chart + request.max_tokens <= context * share


def test_where_there_is_room_for_a_series_or_a_chart_the_series_is_shown() -> None:
    model = ScriptedModel(answer())
    small = replace(SEEING, context_length=2048)
    verdict = Bench().judge(model, model=small)
    assert verdict.shown >= 1
    assert images(model) == [None]
    assert verdict.prompt_tokens_estimated < 2048


def test_the_chart_is_part_of_what_the_prompt_was_expected_to_take() -> None:
    one, other = Bench().judge(ScriptedModel(answer())), Bench().judge(ScriptedModel(answer()), image="off")
    assert one.prompt_tokens_estimated == other.prompt_tokens_estimated + IMAGE_TOKENS
    assert MAX_PANELS <= 6, "what the estimate was made for"


def test_the_estimate_of_texts_does_not_learn_from_prompts_with_a_chart() -> None:
    bench = Bench()
    bench.judge(ScriptedModel(answer()))
    assert not bench.learned
    bench.judge(ScriptedModel(REFUSED, answer()))
    assert [report[2] for report in bench.learned] == [700]
