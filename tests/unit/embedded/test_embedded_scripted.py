"""The engine that says what it was told to say."""

import pytest
from embedded_support import Gate
from hypothesis import given
from hypothesis import strategies as st

from exporter.embedded.contract import ContextOverflowError, Ending
from exporter.embedded.scripted import Reply, ScriptedEngine, split_tokens
from exporter.errors import TransientError

HELLO = [{"role": "user", "content": "hello"}]


def end_of(engine: ScriptedEngine, **options) -> Ending:
    ending = list(engine.stream(HELLO, **options))[-1].ending
    assert ending is not None
    return ending


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


def test_answers_come_in_order_and_then_no_more() -> None:
    engine = ScriptedEngine(["one", "two"])
    said = ["".join(piece.text for piece in engine.stream(HELLO)) for _ in range(2)]
    assert said == ["one", "two"]
    with pytest.raises(TransientError, match="2 answers, this is request 3"):
        list(engine.stream(HELLO))


def test_a_callable_sees_the_whole_request() -> None:
    engine = ScriptedEngine(lambda asked: f"{asked.messages[-1]['content']} {asked.seed} {asked.schema}")
    pieces = list(engine.stream(HELLO, seed=7, schema={"type": "object"}))
    assert "".join(piece.text for piece in pieces) == "hello 7 {'type': 'object'}"
    assert engine.asked[0].max_tokens is None


def test_the_figures_follow_from_the_tokens() -> None:
    ending = end_of(ScriptedEngine(["a b c d e"], tokens_per_second=10))
    assert (ending.output_tokens, ending.finish_reason) == (5, "stop")
    assert ending.decode_seconds == pytest.approx(0.4)
    assert ending.tokens_per_second == pytest.approx(10)


def test_one_token_is_too_short_for_a_speed() -> None:
    assert end_of(ScriptedEngine(["a"])).tokens_per_second is None


def test_max_tokens_cuts_and_says_so() -> None:
    ending = end_of(ScriptedEngine(["a b c d e"]), max_tokens=2)
    assert (ending.output_tokens, ending.finish_reason) == (2, "length")


def test_an_answer_that_just_fits_is_complete() -> None:
    assert end_of(ScriptedEngine(["a b"]), max_tokens=2).finish_reason == "stop"


def test_reasoning_comes_first_and_is_counted_apart() -> None:
    engine = ScriptedEngine([Reply("yes", reasoning="let me think")])
    pieces = [piece for piece in engine.stream(HELLO) if piece.text or piece.reasoning]
    assert [bool(piece.reasoning) for piece in pieces] == [True, True, True, False]
    assert end_of(ScriptedEngine([Reply("yes", reasoning="let me think")])).reasoning_tokens == 3


def test_a_prompt_longer_than_the_context_overflows() -> None:
    engine = ScriptedEngine(["x"]).resized(8)
    with pytest.raises(ContextOverflowError, match=r"\(24 tokens\) exceeds the available context size \(8 tokens\)"):
        list(engine.stream([{"role": "user", "content": "word " * 19}]))


def test_another_size_shares_script_and_record() -> None:
    engine = ScriptedEngine(["one", "two"])
    list(engine.stream(HELLO))
    assert "".join(piece.text for piece in engine.resized(64).stream(HELLO)) == "two"
    assert len(engine.asked) == 2


def test_a_scripted_failure_comes_after_the_text() -> None:
    stream = ScriptedEngine([Reply("half an", error=TransientError("boom"))]).stream(HELLO)
    assert [next(stream).text for _ in range(3)] == ["", "half", " an"]
    with pytest.raises(TransientError, match="boom"):
        next(stream)


def test_closing_early_is_recorded(gate: Gate) -> None:
    engine = ScriptedEngine(["a b c"], pause=gate, tokens_per_second=4)
    stream = engine.stream(HELLO)
    gate.let(1)
    assert [next(stream).progress, next(stream).text] == [1.0, "a"]
    stream.close()
    assert engine.abandoned == 1
    assert gate.seconds == [0.25]
