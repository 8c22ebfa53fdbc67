"""A server that is no LM Studio: llama.cpp's own, with a real model, through everything that watches health."""

import base64

import pytest
from health_bench import bench_of
from llama_server import LlamaServer

from exporter.config.model import Server
from exporter.embedded.engine import find_demo_model
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import ChatRequest, Image, Message
from exporter.sources.http import Cancel

pytestmark = pytest.mark.integration

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 10}},
    "required": ["score"],
    "additionalProperties": False,
}
ONE_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    server = LlamaServer(find_demo_model(), tmp_path_factory.mktemp("llama") / "log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def bench(llama):
    bench = bench_of(desk=llama.url)
    yield bench
    bench.close()


def the_model(health):
    (model,) = health.models
    return model


def ask(bench, text, **options):
    request = ChatRequest(
        the_model(bench.poll()).id, (Message("user", text),), options.pop("max_tokens", 16), **options
    )
    return bench.pool.lanes["desk"].client.chat(request, deadline_seconds=60, cancel=Cancel(), api="openai")


def test_its_health_is_read_from_its_openai_list_and_its_properties(bench):
    health = bench.poll()
    assert (health.up, health.api) == (True, "openai")
    model = the_model(health)
    assert model.loaded is True
    assert model.parallel_slots == 2
    assert model.context_length in (1024, 2048), "of a slot, or of all"
    assert model.max_context_length == 8192
    assert model.size_bytes > 50_000_000
    assert bench.value("lmstudio_up") == 1
    assert bench.value("lmstudio_model_loaded", model=model.id) == 1
    assert bench.value("lmstudio_model_context_length_tokens", model=model.id) == model.context_length


def test_a_streamed_chat_has_all_its_figures(bench):
    prediction = ask(bench, "Count from one to twenty in words.")
    assert prediction.text
    assert prediction.prompt_tokens > 5
    assert 8 <= prediction.output_tokens <= 16
    assert prediction.tokens_per_second > 0
    assert prediction.timed_by in ("server", "clock")
    assert 0 < prediction.time_to_first_token_seconds <= prediction.duration_seconds


def test_a_schema_is_enforced(bench):
    prediction = ask(bench, "How odd is 95 % load, from 0 to 10?", schema=SCHEMA, max_tokens=32)
    assert '"score"' in prediction.text


def test_a_prompt_that_is_too_long_is_classed_as_that(bench):
    with pytest.raises(ModelFailure) as caught:
        ask(bench, "one two three four five six seven eight nine ten " * 500)
    assert caught.value.reason == "context_overflow"


def test_an_image_for_a_model_that_cannot_see_is_refused_and_the_server_goes_on(bench):
    request = ChatRequest(the_model(bench.poll()).id, (Message("user", "What is it?", Image(ONE_PIXEL)),), 16)
    with pytest.raises(ModelFailure) as caught:
        bench.pool.lanes["desk"].client.chat(request, deadline_seconds=60, cancel=Cancel(), api="openai")
    assert caught.value.reason == "image_refused"
    assert ask(bench, "What is it?").text


def test_a_probe_fills_the_metrics(llama):
    bench = bench_of(desk=llama.url)
    try:
        model = the_model(bench.poll())
        bench.pool.lanes["desk"].config = Server(name="desk", url=llama.url, deadline="60s", probe={"interval": "1s"})
        assert bench.probe() == "probed"
        labels = {"model": model.id, "origin": "probe"}
        assert bench.value("lmstudio_requests_total", **labels) == 1
        assert bench.value("lmstudio_tokens_per_second", **labels) > 0
        assert bench.value("lmstudio_time_to_first_token_seconds", **labels) > 0
        assert 0 < bench.value("lmstudio_context_used_ratio", **labels) < 0.1
        assert bench.value("lmstudio_request_finishes_total", **labels, finish_reason="length") == 1
    finally:
        bench.close()


def test_it_is_killed_and_comes_back(llama, bench):
    model = the_model(bench.poll()).id
    llama.kill()
    health = bench.poll()
    assert (health.up, health.failure) == (False, "unreachable")
    assert bench.value("lmstudio_up") == 0
    assert bench.value("lmstudio_model_context_length_tokens", model=model) is None
    llama.start()
    assert bench.poll().up
    assert bench.happened() == [
        ("server_down", "", None),
        ("server_up", "", None),
        ("server_restarted", "", None),
    ]
    assert bench.value("lmstudio_model_loaded", model=model) == 1
