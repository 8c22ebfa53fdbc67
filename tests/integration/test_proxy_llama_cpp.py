"""The metering proxy before a foreign server: llama.cpp's own, with a real model."""

import http.client
import json

import pytest
from llama_server import LlamaServer
from proxy_books import Books, ask
from real_programs import eventually

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.embedded.engine import find_demo_model
from exporter.lmstudio.client import LmStudioClient
from exporter.lmstudio.session import open_session
from exporter.lmstudio.wire import ChatRequest, Message

pytestmark = pytest.mark.integration

QUESTION = {"messages": [{"role": "user", "content": "Name a colour."}], "temperature": 0, "seed": 1}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    server = LlamaServer(find_demo_model(), tmp_path_factory.mktemp("llama") / "log")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def proxy(llama, books):
    proxy = books.start(llama.url)
    yield proxy
    proxy.stop(0)
    assert proxy.uncounted == 0


def said(answer):
    status, body = answer
    assert status == 200
    return json.loads(body)["choices"][0]["message"]["content"]


def test_the_answer_is_the_same_and_counted(llama, proxy, books):
    body = QUESTION | {"max_tokens": 12}
    direct = said(ask(llama.url.removeprefix("http://"), "POST", "/v1/chat/completions", body))
    assert said(ask(proxy.address, "POST", "/v1/chat/completions", body)) == direct
    books.settled(1)
    (counted,) = books.predictions
    assert counted.output_tokens == 12
    assert counted.prompt_tokens > 5
    assert counted.finish_reason == "length"
    assert counted.tokens_per_second > 0
    assert counted.timed_by == "server"
    assert counted.time_to_first_token_seconds > 0


def test_a_stream_is_counted_as_the_client_measures_it(proxy, books):
    config = Server(name="desk", url=f"http://{proxy.address}")
    session = open_session(config)
    try:
        request = ChatRequest("any", (Message("user", "Name a colour."),), 12)
        answer = LmStudioClient(config, session, SystemClock()).chat(request, deadline_seconds=60, api="openai")
    finally:
        session.close()
    books.settled(1)
    (counted,) = books.predictions
    assert (counted.prompt_tokens, counted.output_tokens) == (answer.prompt_tokens, answer.output_tokens)
    assert counted.time_to_first_token_seconds == pytest.approx(answer.time_to_first_token_seconds, abs=0.1)
    assert counted.tokens_per_second == pytest.approx(answer.tokens_per_second, rel=0.2)


def test_a_prompt_that_does_not_fit_is_an_overflow(proxy, books):
    body = {"messages": [{"role": "user", "content": "word " * 4000}], "max_tokens": 5}
    assert ask(proxy.address, "POST", "/v1/chat/completions", body)[0] == 400
    books.settled(1)
    assert [reason for _, reason in books.failures] == ["context_overflow"]


def test_a_client_that_leaves_frees_the_slot(llama, proxy, books):
    host, _, port = proxy.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps(QUESTION | {"max_tokens": 1500, "stream": True}))
    assert connection.getresponse().readline().startswith(b"data: ")
    connection.sock.close()
    connection.close()
    books.settled(1)
    assert [reason for _, reason in books.failures] == ["cancelled"]

    def idle():
        status, body = ask(llama.url.removeprefix("http://"), "GET", "/slots")
        assert status == 200
        return not any(slot["is_processing"] for slot in json.loads(body))

    eventually(idle, seconds=30, what="llama.cpp stopped")


def test_a_server_that_is_killed_cuts_the_stream_and_is_found_again(llama, proxy, books):
    host, _, port = proxy.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps(QUESTION | {"max_tokens": 1500, "stream": True}))
    response = connection.getresponse()
    assert response.readline().startswith(b"data: ")
    llama.kill()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()
    assert ask(proxy.address, "GET", "/v1/models")[0] == 502
    llama.start()
    assert said(ask(proxy.address, "POST", "/v1/chat/completions", QUESTION | {"max_tokens": 4}))
    books.settled(2)
    assert [reason for _, reason in books.failures] == ["stream_cut"]
