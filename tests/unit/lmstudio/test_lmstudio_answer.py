import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.answer import FASTEST, AnswerBuilder, Figures, speed
from exporter.lmstudio.sse import parse

GOLDEN = Path(__file__).parents[2] / "golden" / "lmstudio" / "answers"


def build(stem):
    builder = AnswerBuilder()
    streamed = GOLDEN / f"{stem}.sse"
    if streamed.exists():
        events = [event.data for event in parse([streamed.read_bytes()])]
        assert events.pop() == "[DONE]"
        for second, event in enumerate(events):
            builder.take(json.loads(event), at=float(second))
    else:
        builder.take(json.loads((GOLDEN / f"{stem}.body").read_text(encoding="utf-8")), at=None)
    return builder


def summary(builder, *, schema):
    figures = builder.figures()
    first, last = builder.first_token_at, builder.last_token_at
    rate, timed_by = speed(figures, None if first is None or last is None else last - first)
    text, reasoning = builder.texts(json_wanted=schema)
    return {
        "model": builder.model,
        "finish_reason": builder.finish_reason,
        "text": text,
        "reasoning": reasoning,
        "prompt_tokens": figures.prompt_tokens,
        "output_tokens": figures.output_tokens,
        "reasoning_tokens": figures.reasoning_tokens,
        "cached_prompt_tokens": figures.cached_prompt_tokens,
        "first_token_at": first,
        "server_time_to_first_token": figures.time_to_first_token_seconds,
        "tokens_per_second": rate,
        "timed_by": timed_by,
        "has_stats": builder.has_stats,
        "is_empty": builder.is_empty,
    }


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_answers(path):
    """Each file names the fields that matter for its case; chunk number i arrives at second i."""
    case = json.loads(path.read_text(encoding="utf-8"))
    got = summary(build(path.stem), schema=case["schema"])
    assert {key: got[key] for key in case["expected"]} == case["expected"]


def test_native_stats_are_read_too():
    builder = AnswerBuilder()
    builder.take(
        {
            "model_instance_id": "m",
            "stats": {
                "input_tokens": 646,
                "total_output_tokens": 586,
                "reasoning_output_tokens": 12,
                "tokens_per_second": 29.75,
                "time_to_first_token_seconds": 1.088,
            },
        },
        at=None,
    )
    assert builder.figures() == Figures(646, 586, 12, None, 1.088, 29.75)
    assert builder.has_stats


@pytest.mark.parametrize(
    ("tokens", "reported", "decode_seconds", "expected"),
    [
        pytest.param(50, 30.0, 2.0, (30.0, "server"), id="the server's rate first"),
        pytest.param(8, 30.0, 2.0, (30.0, "server"), id="eight tokens are enough"),
        pytest.param(7, 30.0, 2.0, (3.0, "clock"), id="seven are not"),
        pytest.param(3, 30.0, None, (30.0, "server"), id="unless there is nothing better"),
        pytest.param(None, 30.0, 2.0, (None, "clock"), id="a rate over an unknown number of tokens"),
        pytest.param(50, None, 2.0, (24.5, "clock"), id="by the clock"),
        pytest.param(50, 0.0, 2.0, (24.5, "clock"), id="zero is no rate"),
        pytest.param(50, -3.0, 2.0, (24.5, "clock"), id="nor is less"),
        pytest.param(50, 1e6, 2.0, (24.5, "clock"), id="nor what no model reaches"),
        pytest.param(50, None, 1e-6, (None, "clock"), id="an answer that a proxy held back has no rate"),
        pytest.param(50, None, 0.0, (None, "clock"), id="all at once"),
        pytest.param(1, None, 2.0, (None, "clock"), id="one token"),
        pytest.param(50, None, None, (None, "clock"), id="no clock"),
    ],
)
def test_speed(tokens, reported, decode_seconds, expected):
    assert speed(Figures(output_tokens=tokens, tokens_per_second=reported), decode_seconds) == expected


NUMBERS = st.none() | st.integers(0, 10**9) | st.floats(0, 1e9)


@given(st.none() | st.integers(0, 10**9), st.none() | st.floats(-10, 1e12), st.none() | st.floats(0, 1e6))
def test_no_speed_is_absurd(tokens, reported, decode_seconds):
    rate, _ = speed(Figures(output_tokens=tokens, tokens_per_second=reported), decode_seconds)
    assert rate is None or 0 < rate < FASTEST


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "index",
                        "delta",
                        "message",
                        "content",
                        "usage",
                        "stats",
                        "timings",
                        "model",
                        "finish_reason",
                        "prompt_n",
                        "prompt_tokens",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_no_object_breaks_the_builder(document):
    builder = AnswerBuilder()
    builder.take(document if isinstance(document, dict) else {"choices": document}, at=1.0)
    figures = builder.figures()
    assert all(part.encode() is not None for part in builder.texts(json_wanted=True))
    assert figures.prompt_tokens is None or figures.prompt_tokens >= 0
