"""The official clients, `openai` and `lmstudio`, talk through the metering proxy and notice nothing of it."""

import asyncio
import time

import lmstudio
import openai
import pytest
from proxy_books import Books
from proxy_channels import WORDS, channel_server
from real_programs import eventually

from exporter.embedded.scripted import Reply, ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault

TEXT = "All is calm today, and it will stay so for a while."
MESSAGES = [{"role": "user", "content": "Is that normal?"}]
MODEL = "scripted-1b"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def engine():
    return ScriptedEngine(lambda _: Reply(TEXT, reasoning="Let me see."), tokens_per_second=500, pause=time.sleep)


@pytest.fixture
def studio(engine):
    with StudioServer([engine]) as server:
        yield server


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def proxy(studio, books):
    proxy = books.start(studio.url)
    yield proxy
    proxy.stop(0)
    assert proxy.uncounted == 0


@pytest.fixture
def client(proxy):
    with openai.OpenAI(base_url=f"http://{proxy.address}/v1", api_key="sk-x", max_retries=0, timeout=60) as client:
        yield client


def stream(client, **options):
    return client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, **options)


class TestOpenAI:
    def test_chats(self, client, books):
        answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
        assert answer.choices[0].message.content == TEXT
        books.settled(1)
        assert books.predictions[0].output_tokens == answer.usage.completion_tokens

    def test_streams(self, client, books):
        chunks = list(stream(client, stream_options={"include_usage": True}))
        assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == TEXT
        books.settled(1)
        (counted,) = books.predictions
        assert counted.output_tokens == chunks[-1].usage.completion_tokens
        assert counted.time_to_first_token_seconds < counted.duration_seconds

    def test_cancels(self, client, books, engine, studio):
        studio.faults.inject(Fault("hang", after_pieces=4))
        answer = stream(client)
        next(answer)
        answer.close()
        books.settled(1)
        assert books.failures == [(MODEL, "cancelled")]
        eventually(lambda: engine.abandoned == 1, what="the model stopped")

    def test_times_out(self, client, books, studio):
        studio.faults.inject(Fault("hang", after_pieces=0))
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=1.5).chat.completions.create(model=MODEL, messages=MESSAGES)
        books.settled(1)
        assert books.failures == [(MODEL, "cancelled")]

    def test_uses_the_other_routes(self, client, books):
        assert [model.id for model in client.models.list()] == [MODEL]
        assert client.responses.create(model=MODEL, input="Is that normal?").output_text == TEXT
        kinds = [event.type for event in client.responses.create(model=MODEL, input="Is that normal?", stream=True)]
        assert kinds[-1] == "response.completed"
        assert client.completions.create(model=MODEL, prompt="Is that normal?").choices[0].text == TEXT
        books.settled(3)
        assert not books.failures
        assert {prediction.model for prediction in books.predictions} == {MODEL}

    def test_brings_tools(self, client, books):
        answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[TOOL], tool_choice="auto")
        assert answer.choices[0].finish_reason == "stop"
        with pytest.raises(openai.BadRequestError, match="tool_choice"):
            client.chat.completions.create(
                model=MODEL,
                messages=MESSAGES,
                tools=[TOOL],
                tool_choice={"type": "function", "function": {"name": "f"}},
            )
        books.settled(2)
        assert books.failures == [(MODEL, "invalid_request")]

    def test_hears_of_errors(self, client, books, studio):
        with pytest.raises(openai.BadRequestError, match="messages"):
            client.chat.completions.create(model=MODEL, messages=[])
        with pytest.raises(openai.BadRequestError, match="No models loaded"):
            client.embeddings.create(model=MODEL, input=["a", "b"])
        books.settled(2)
        assert [reason for _, reason in books.failures] == ["invalid_request", "no_model_loaded"]
        studio.stop()
        with pytest.raises(openai.InternalServerError, match="lmwatch: server 'desk' at ") as refused:
            client.chat.completions.create(model=MODEL, messages=MESSAGES)
        assert refused.value.status_code == 502
        assert refused.value.code == "upstream_unreachable"

    def test_hears_of_a_cut_as_it_does_from_the_server(self, client, books, studio):
        def cut(asked):
            studio.faults.inject(Fault("reset_mid_stream"))
            with pytest.raises(openai.APIConnectionError) as raised:
                list(stream(asked))
            return type(raised.value), str(raised.value)

        with openai.OpenAI(base_url=f"{studio.url}/v1", api_key="x", max_retries=0, timeout=60) as direct:
            assert cut(client) == cut(direct)
        books.settled(1)
        assert books.failures == [(MODEL, "stream_cut")]

    def test_asks_many_things_at_once(self, proxy, books):
        async def ask():
            async with openai.AsyncOpenAI(base_url=f"http://{proxy.address}/v1", api_key="x", max_retries=0) as client:
                create = client.chat.completions.create
                return await asyncio.gather(*[create(model=MODEL, messages=MESSAGES) for _ in range(12)])

        assert [answer.choices[0].message.content for answer in asyncio.run(ask())] == [TEXT] * 12
        books.settled(12)
        assert not books.failures


class TestLmStudio:
    @pytest.fixture
    def server(self):
        with channel_server() as server:
            yield server

    @pytest.fixture
    def client(self, server, books):
        proxy = books.start(server.url)
        with lmstudio.Client(proxy.address) as client:
            yield client
        proxy.stop(0)
        assert proxy.uncounted == 0

    def test_lists_models_of_the_stand_in(self, proxy):
        assert lmstudio.Client.is_valid_api_host(proxy.address)
        with lmstudio.Client(proxy.address) as client:
            assert [model.identifier for model in client.llm.list_loaded()] == [MODEL]

    def test_lists_models(self, client):
        assert [model.identifier for model in client.list_loaded_models("llm")] == [MODEL]
        assert client.llm.model(MODEL).get_info().context_length == 4096

    def test_answers(self, client):
        answer = client.llm.model(MODEL).respond("Is that normal?")
        assert answer.content == "".join(WORDS)
        assert answer.stats.stop_reason == "eosFound"

    def test_streams(self, client):
        fragments = [fragment.content for fragment in client.llm.model(MODEL).respond_stream("Is that normal?")]
        assert fragments == WORDS

    def test_cancels(self, client, server):
        answer = client.llm.model(MODEL).respond_stream("endless")
        for number, _ in enumerate(answer):
            if number == 5:
                answer.cancel()
        assert answer.result().stats.stop_reason == "userStopped"
        assert server.cancelled.is_set()

    def test_calls_tools(self, client):
        called = []

        def add_numbers(a: int, b: int) -> int:
            """Add two numbers."""
            called.append((a, b))
            return a + b

        said = []
        client.llm.model(MODEL).act("What is 2 + 3?", [add_numbers], on_message=said.append)
        assert called == [(2, 3)]
        assert len(said) == 3

    def test_embeds(self, client):
        assert client.embedding.model(MODEL).embed("text") == [0.25, -0.5, 1.0]

    def test_hears_of_errors(self, client):
        with pytest.raises(lmstudio.LMStudioPredictionError, match="The model has crashed"):
            client.llm.model(MODEL).respond("fail")

    def test_hears_that_the_server_is_gone(self, client, server):
        model = client.llm.model(MODEL)
        server.close()
        with pytest.raises(lmstudio.LMStudioError):
            model.respond("Is that normal?")

    def test_is_counted_by_its_upgrades(self, client, books):
        """What passes on a websocket is not looked into."""
        client.llm.model(MODEL).respond("Is that normal?")
        assert ("", 101) in books.responses
        assert not books.predictions
