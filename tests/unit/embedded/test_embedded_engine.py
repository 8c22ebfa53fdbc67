"""llama.cpp with the real demo model, alone and behind the server."""

import builtins
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embedded_support import Client, chat

from exporter.embedded.contract import ContextOverflowError, Ending
from exporter.embedded.engine import LlamaEngine, _pieces, find_demo_model
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import DownloadedModel
from exporter.errors import BadDataError, LmwatchError, RefusedError, TransientError

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 10}, "why": {"type": "string", "maxLength": 40}},
    "required": ["score", "why"],
    "additionalProperties": False,
}  # fmt: skip
QUESTION = "The processor went from 10 % to 95 %. Is that an anomaly?"
PREFIX = "You judge metrics of a small shop. " * 6


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaEngine]:
    engine = LlamaEngine(find_demo_model(), context_length=2048)
    yield engine
    engine.close()


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def ask(engine: LlamaEngine, text: str, **options: Any) -> tuple[str, Ending]:
    pieces = list(engine.stream(user(text), **options))
    assert pieces[-1].ending is not None
    return "".join(piece.text for piece in pieces), pieces[-1].ending


@pytest.mark.integration
class TestWithTheRealModel:
    def test_a_schema_forces_valid_json(self, llama: LlamaEngine) -> None:
        text, ending = ask(llama, QUESTION, max_tokens=120, schema=SCHEMA)
        answer = json.loads(text)
        assert answer.keys() == {"score", "why"}
        assert 0 <= answer["score"] <= 10
        assert ending.finish_reason == "stop"
        assert ending.prompt_tokens > 10
        assert ending.output_tokens > 5
        assert ending.tokens_per_second is not None

    def test_the_same_seed_says_the_same(self, llama: LlamaEngine) -> None:
        said = [ask(llama, QUESTION, max_tokens=12, temperature=0.9, seed=3)[0] for _ in range(2)]
        assert said[0] == said[1] != ""

    def test_a_prompt_that_begins_alike_is_read_from_the_cache(self, llama: LlamaEngine) -> None:
        ask(llama, PREFIX + "Monday.", max_tokens=1)
        _, ending = ask(llama, PREFIX + "Tuesday.", max_tokens=1)
        assert ending.cached_prompt_tokens > 0.8 * ending.prompt_tokens

    def test_closing_early_frees_the_engine_for_the_next_call(self, llama: LlamaEngine) -> None:
        stream = llama.stream(user("Tell me a very long story."), max_tokens=1500)
        while not next(stream).text:
            pass
        stream.close()
        assert ask(llama, "Say hello.", max_tokens=4)[1].output_tokens == 4

    def test_reading_a_long_prompt_can_be_stopped(self, llama: LlamaEngine) -> None:
        stream = llama.stream(user("apples and pears " * 400), max_tokens=4)
        progress = next(stream).progress
        stream.close()
        assert progress is not None
        assert progress < 0.5

    def test_several_threads_may_ask_at_once(self, llama: LlamaEngine) -> None:
        said: dict[int, str] = {}
        threads = [
            threading.Thread(target=lambda n=n: said.update({n: ask(llama, QUESTION, max_tokens=8)[0]}))
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(said) == 3
        assert all(said.values())

    def test_a_prompt_longer_than_the_context_overflows(self, llama: LlamaEngine) -> None:
        with pytest.raises(ContextOverflowError, match=r"exceeds the available context size \(2048 tokens\)") as raised:
            ask(llama, "word " * 2500)
        assert raised.value.prompt_tokens > 2500

    def test_a_schema_it_cannot_read_is_refused(self, llama: LlamaEngine) -> None:
        with pytest.raises(RefusedError, match="unrecognized type"):
            ask(llama, "x", schema={"type": "nonsense"})

    def test_closing_ends_what_runs_and_another_size_can_be_loaded(self, llama: LlamaEngine) -> None:
        engine = llama.resized(256)
        stream = engine.stream(user("Tell me a very long story."), max_tokens=200)
        next(stream)
        engine.close()
        engine.close()
        with pytest.raises(TransientError, match="unloaded"):
            list(stream)
        with pytest.raises(TransientError, match="not loaded any more"):
            ask(engine, "x")
        assert engine.context_length == 256

    def test_behind_the_server_it_loads_on_the_first_request(self) -> None:
        with StudioServer([DownloadedModel.from_file(find_demo_model())]) as studio:
            client = Client(studio.port)
            body = chat(QUESTION, model="smollm2-135m-instruct", max_tokens=100)
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "v", "schema": SCHEMA}}
            document = client.post("/api/v0/chat/completions", body).json
            assert json.loads(document["choices"][0]["message"]["content"]).keys() == {"score", "why"}
            assert document["stats"]["tokens_per_second"] > 0
            assert document["model_info"] == {
                "arch": "llama", "quant": "Q4_1", "format": "gguf", "context_length": 4096,
            }  # fmt: skip
            assert studio.loaded == ("smollm2-135m-instruct",)
            studio.unload("smollm2-135m-instruct")


def test_a_broken_file_is_refused_before_llama_cpp_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(BadDataError, match=r"broken\.gguf"):
        LlamaEngine(path)


@pytest.mark.integration
def test_a_file_that_llama_cpp_cannot_load_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
    with pytest.raises(BadDataError, match=r"empty\.gguf: llama\.cpp cannot load"):
        LlamaEngine(path)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "xllamacpp":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(LmwatchError, match="extra `embedded`"):
        LlamaEngine(find_demo_model())


def test_an_answer_that_ends_without_its_figures_broke_off() -> None:
    pieces = _pieces(chunk for chunk in [{"choices": [{"delta": {"content": "All is"}}]}])
    assert next(pieces).text == "All is"
    with pytest.raises(TransientError, match="the answer broke off"):
        next(pieces)
