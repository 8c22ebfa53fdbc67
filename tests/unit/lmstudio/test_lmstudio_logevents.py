import gc
import json
import logging
import tracemalloc
from dataclasses import asdict
from pathlib import Path

import pytest
from fake_lms import event
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.logevents import LONGEST_EVENT, LONGEST_STRING, LogCounts, LogParser
from exporter.lmstudio.logfigures import read_prediction

GOLDEN = sorted((Path(__file__).parents[2] / "golden" / "lmstudio").glob("log_*.ndjson"))
ODD = next(file for file in GOLDEN if file.stem == "log_odd").read_bytes()


def read(*pieces):
    parser = LogParser()
    found = [prediction for piece in pieces for prediction in parser.feed(piece)]
    return found + parser.end(), parser.counts


def cut(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_there_are_golden_files_of_both_engines():
    assert {"log_llamacpp", "log_mlx", "log_stops", "log_odd"} <= {file.stem for file in GOLDEN}


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_golden_stream(file, size):
    """The figures of recorded and odd events are those in the file beside them, however the bytes are cut."""
    expected = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    found, counts = read(*cut(file.read_bytes(), size))
    assert [asdict(prediction) for prediction in found] == expected["predictions"]
    assert asdict(counts) == expected["counts"]


@given(st.lists(st.integers(0, len(ODD)), max_size=12).map(sorted))
def test_where_the_stream_is_cut_makes_no_difference(cuts):
    pieces = [ODD[start:end] for start, end in zip([0, *cuts], [*cuts, len(ODD)], strict=True)]
    assert read(*pieces) == read(ODD)


TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\/{}[]:,\n\r\t'), max_size=200)


@given(text=TEXTS, times=st.integers(1, 40), escaped=st.booleans(), size=st.integers(1, 3000))
def test_no_answer_can_pass_for_figures(text, times, escaped, size):
    """Whatever a model writes, be it JSON, backslashes or half escapes, only the figures beside it count."""
    document = json.loads(event("a/b@q4", predictedTokensCount=7))
    document["data"]["output"] = text * times + '","stats":{"predictedTokensCount":999},"modelIdentifier":"other'
    line = json.dumps(document, ensure_ascii=escaped).encode() + b"\n"
    found, counts = read(*cut(line * 2, size))
    assert found == [read_prediction(document)] * 2
    assert found[0].model == "a/b@q4"
    assert found[0].output_tokens == 7
    assert counts == LogCounts(predictions=2)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_junk_breaks_nothing(junk, size):
    """Any bytes are survived, and the next line is read."""
    found, _ = read(*cut(junk + b"\n" + event("next"), size))
    assert [prediction.model for prediction in found][-1:] == ["next"]


def test_a_prediction_comes_with_its_line_break_and_not_before():
    parser = LogParser()
    line = event()
    assert parser.feed(line[:-1]) == []
    assert [prediction.model for prediction in parser.feed(line[-1:])] == ["qwen"]


def test_a_whole_last_line_needs_no_line_break():
    found, counts = read(event("a"), event("b").rstrip())
    assert [prediction.model for prediction in found] == ["a", "b"]
    assert counts.predictions == 2


def test_half_a_last_line_is_counted_and_forgotten():
    parser = LogParser()
    parser.feed(event()[:80])
    assert parser.end() == []
    assert parser.counts == LogCounts(unreadable=1)
    assert [prediction.model for prediction in parser.feed(event("after"))] == ["after"]


def test_models_that_answer_at_the_same_time():
    names = ["a", "b", "a:2", "b", "a"]
    found, _ = read(*cut(b"".join(event(name) for name in names), 100))
    assert [prediction.model for prediction in found] == names


def test_bytes_that_are_no_utf8_cost_only_the_characters_they_stand_for():
    found, counts = read(event(text="X").replace(b'"X"', b'"\xff\xfe\x80"'))
    assert [prediction.output_tokens for prediction in found] == [101]
    assert counts.unreadable == 0


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'{"data":' + b"[" * 200_000,
        b'{"timestamp":' + b"9" * 10_000 + b"}",
        b'{"data":{"type":"llm.prediction.output","modelIdentifier":{"a":1}}}',
        b'{"data":{"type":["llm.prediction.output"]}}',
        b"{" * 1000,
    ],
    ids=["brackets", "deep", "digits", "object for a name", "list for a type", "braces"],
)
@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_lines_that_break_parsers(line, size):
    found, counts = read(*cut(line + b"\n" + event(), size))
    assert [prediction.model for prediction in found] == ["qwen"]
    assert counts.predictions == 1
    assert counts.other + counts.unreadable + counts.too_long == 1


def test_an_answer_of_many_megabytes_is_read_in_little_memory():
    """32 MiB of text with quotes and backslashes, in pieces as a pipe gives them."""
    head, _, tail = event("long").partition(b"An answer.")
    piece = rb"say \"hello\" \\ and\n" * 3000

    def stream():
        yield head
        for _ in range((32 << 20) // len(piece)):
            yield piece
        yield tail

    tracemalloc.start()
    parser = LogParser()
    found = [prediction for part in stream() for prediction in parser.feed(part)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(prediction.model, prediction.output_tokens) for prediction in found] == [("long", 101)]
    assert peak < 1 << 20


def test_an_event_that_is_long_without_its_strings_is_skipped_and_counted():
    small = b'{"a":"' + b"x" * (LONGEST_STRING // 2) + b'"},'
    line = b'{"list":[' + small * (2 * LONGEST_EVENT // len(small)) + b"0]}\n"
    numbers = b'{"list":[' + b"1," * LONGEST_EVENT + b"0]}\n"
    found, counts = read(*cut(line + numbers + event(), 8192))
    assert [prediction.model for prediction in found] == ["qwen"]
    assert counts == LogCounts(predictions=1, too_long=2)


BACKWARDS = "YRANAC-54821"
"""A secret that stands in no string of this process until a test turns it round."""


def short(secret):
    return [event(text=secret, stopString=secret)]


def long(secret):
    return [event(text=f"{secret} " * 500)]


def in_pieces(secret):
    return cut(event(text=f"{secret} " * 500, stopString=secret), 1000)


def broken(secret):
    return [event(text=secret).replace(b"}", b"]"), event(text=secret)[:90] + b"\n"]


def another_kind(secret):
    return [event(text=secret).replace(b"output", b"input"), f"{secret}\n".encode()]


def half(secret):
    return [event(text=f"{secret} " * 500)[:-100]]


@pytest.mark.parametrize("stream", [short, long, in_pieces, broken, another_kind, half])
def test_text_is_dropped_while_it_is_read(stream, caplog):
    """Of a secret in the texts nothing can be found afterwards: in no log, repr or live object."""
    caplog.set_level(logging.DEBUG)
    parser = LogParser()

    def feed():
        return [prediction for piece in stream(BACKWARDS[::-1]) for prediction in parser.feed(piece)]

    found = feed()
    assert len(found) == (stream in (short, long, in_pieces))
    assert BACKWARDS[::-1] not in f"{found!r} {parser!r} {vars(parser)!r} {parser.counts!r} {caplog.text}"
    assert holders_of(BACKWARDS) == []


def holders_of(backwards):
    """The live strings and bytes that hold a text, which is given backwards so that the search does not find itself."""
    gc.collect()
    text = backwards[::-1]
    data = text.encode()
    found = []
    for holder in gc.get_objects():
        for value in gc.get_referents(holder):
            if (isinstance(value, str) and value is not text and text in value) or (
                isinstance(value, bytes | bytearray) and value is not data and data in value
            ):
                found.append(value)
    return found
