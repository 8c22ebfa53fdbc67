"""What is loaded when: just-in-time loading, times to live, eviction, explicit loading, other names."""

from collections.abc import Callable

import pytest
from embedded_support import Client, Gate, chat, wait_until

from exporter.clock import ManualClock
from exporter.embedded.contract import ModelFacts
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import DownloadedModel, other_models
from exporter.errors import BadDataError, LmwatchError

MakeStudio = Callable[..., StudioServer]
CHAT = "/v1/chat/completions"
NOMIC = "text-embedding-nomic-embed-text-v1.5"


def model(key: str, engine: ScriptedEngine | None = None) -> DownloadedModel:
    """On disk, not loaded."""
    engine = engine or ScriptedEngine(lambda _: f"I am {key}.")
    return DownloadedModel(ModelFacts(key, max_context_length=8192), load=engine.resized)


def loaded_of(client: Client) -> dict[str, dict]:
    models = client.get("/api/v1/models").json["models"]
    return {instance["id"]: instance for each in models for instance in each["loaded_instances"]}


def test_the_first_request_loads_its_model_with_a_time_to_live(make_studio: MakeStudio) -> None:
    client = Client(make_studio(model("alpha"), ttl_seconds=600).port)
    assert loaded_of(client) == {}
    answered = client.post(CHAT, chat(model="alpha"))
    assert (answered.json["model"], answered.json["choices"][0]["message"]["content"]) == ("alpha", "I am alpha.")
    assert loaded_of(client)["alpha"]["remaining_ttl_seconds"] == 600
    assert loaded_of(client)["alpha"]["config"]["context_length"] == 4096


def test_a_request_resets_the_time_to_live(make_studio: MakeStudio, clock: ManualClock) -> None:
    client = Client(make_studio(model("alpha"), ttl_seconds=600).port)
    client.post(CHAT, chat(model="alpha"))
    clock.advance(599)
    assert loaded_of(client)["alpha"]["remaining_ttl_seconds"] == pytest.approx(1)
    client.post(CHAT, chat(model="alpha"))
    clock.advance(599)
    assert "alpha" in loaded_of(client)
    clock.advance(1)
    assert loaded_of(client) == {}


def test_a_request_may_choose_the_time_to_live_of_what_it_loads(make_studio: MakeStudio, clock: ManualClock) -> None:
    client = Client(make_studio(model("alpha")).port)
    client.post(CHAT, chat(model="alpha", ttl=30))
    client.post(CHAT, chat(model="alpha", ttl=9000))
    assert loaded_of(client)["alpha"]["remaining_ttl_seconds"] == 30
    clock.advance(30)
    assert loaded_of(client) == {}


@pytest.mark.parametrize(
    ("path", "body"), [(CHAT, chat(model="alpha")), ("/v1/embeddings", {"model": NOMIC, "input": "a"})]
)
@pytest.mark.parametrize("ttl", ["60", [60], True])
def test_a_time_to_live_that_is_no_number_is_refused_and_loads_nothing(
    make_studio: MakeStudio, path: str, body: dict, ttl: object
) -> None:
    client = Client(make_studio(model("alpha"), *other_models()).port)
    answered = client.post(path, body | {"ttl": ttl})
    assert (answered.status, answered.json["error"]["param"]) == (400, "ttl")
    assert loaded_of(client) == {}


def test_a_model_at_work_is_not_idle(make_studio: MakeStudio, clock: ManualClock, gate: Gate) -> None:
    client = Client(make_studio(model("alpha", ScriptedEngine(lambda _: "a b c", pause=gate)), ttl_seconds=10).port)
    with client.stream(CHAT, chat(model="alpha")) as stream:
        gate.let(1)
        next(iter(stream))
        clock.advance(100)
        assert loaded_of(client)["alpha"]["remaining_ttl_seconds"] == 10
        gate.open()
        assert list(stream)[-1].data is None
    wait_until(lambda: loaded_of(client)["alpha"]["remaining_ttl_seconds"] == 10, "the timer starts when it is done")


def test_a_model_whose_time_is_over_gives_its_memory_back(make_studio: MakeStudio, clock: ManualClock) -> None:
    engine = ScriptedEngine(lambda _: "x")
    client = Client(make_studio(model("alpha", engine), ttl_seconds=10).port)
    client.post(CHAT, chat(model="alpha"))
    clock.advance(10)
    client.get("/v1/models")
    assert engine.closed == 1


def test_loading_the_next_model_evicts_the_previous_one(make_studio: MakeStudio) -> None:
    client = Client(make_studio(model("alpha"), model("beta"), *other_models()).port)
    client.post("/v1/embeddings", {"model": NOMIC, "input": "a"})
    client.post(CHAT, chat(model="alpha"))
    client.post(CHAT, chat(model="beta"))
    assert set(loaded_of(client)) == {"beta", NOMIC}


def test_without_eviction_both_stay(make_studio: MakeStudio) -> None:
    client = Client(make_studio(model("alpha"), model("beta"), evict=False).port)
    client.post(CHAT, chat(model="alpha"))
    client.post(CHAT, chat(model="beta"))
    assert set(loaded_of(client)) == {"alpha", "beta"}


def test_a_model_loaded_on_purpose_is_never_evicted(make_studio: MakeStudio, clock: ManualClock) -> None:
    studio = make_studio(model("alpha"), model("beta"))
    client = Client(studio.port)
    assert studio.load("alpha") == "alpha"
    client.post(CHAT, chat(model="beta"))
    clock.advance(1e6)
    assert set(loaded_of(client)) == {"alpha"}
    assert "remaining_ttl_seconds" not in loaded_of(client)["alpha"]


def test_eviction_cuts_off_an_answer(make_studio: MakeStudio, gate: Gate) -> None:
    client = Client(make_studio(model("alpha", ScriptedEngine(lambda _: "a b c", pause=gate)), model("beta")).port)
    with client.stream(CHAT, chat(model="alpha")) as stream:
        gate.let(1)
        events = iter(stream)
        next(events)
        client.post(CHAT, chat(model="beta"))
        gate.open()
        rest = list(events)
    assert rest[-1].kind == "error"
    assert rest[-1].data["error"]["message"] == "Model is unloaded."


def test_an_unknown_name_is_answered_by_what_is_loaded(client: Client) -> None:
    assert client.post(CHAT, chat(model="gpt-4o")).json["model"] == "scripted-1b"


def test_an_unknown_name_with_nothing_loaded_is_refused(make_studio: MakeStudio) -> None:
    client = Client(make_studio(model("alpha")).port)
    answered = client.post(CHAT, chat(model="gpt-4o"))
    error = answered.json["error"]
    assert (answered.status, error["code"], error["param"]) == (400, "model_not_found", "model")
    assert "Invalid model identifier" in error["message"]


def test_streamed_that_is_terminated_inside_a_200(make_studio: MakeStudio) -> None:
    client = Client(make_studio(model("alpha")).port)
    with client.stream(CHAT, chat(model="gpt-4o")) as stream:
        assert [(event.kind, event.data) for event in stream] == [("error", {"error": {"message": "terminated"}})]
    assert stream.status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_without_jit_nothing_is_loaded_for_a_request(make_studio: MakeStudio, stream: bool) -> None:
    client = Client(make_studio(model("alpha"), jit=False).port)
    answered = client.post(CHAT, chat(model="alpha", stream=stream))
    assert answered.status == 400
    assert "No models loaded" in answered.json["error"]["message"]
    assert answered.json["error"]["code"] is None


def test_a_model_without_an_engine_is_refused_by_the_guardrails(client: Client) -> None:
    answered = client.post(CHAT, chat(model="qwen2.5-7b-instruct"))
    assert answered.status == 400
    assert answered.json["error"]["message"].startswith('Failed to load model "qwen2.5-7b-instruct"')
    assert "insufficient system resources" in answered.json["error"]["message"]


def test_an_engine_that_cannot_load_says_why(make_studio: MakeStudio) -> None:
    def broken(_: int) -> ScriptedEngine:
        raise BadDataError("alpha.gguf: not a usable GGUF file")

    client = Client(make_studio(DownloadedModel(ModelFacts("alpha"), load=broken)).port)
    assert "not a usable GGUF file" in client.post(CHAT, chat(model="alpha")).json["error"]["message"]


def test_loading_over_the_api_stacks_instances_that_are_unloaded_by_id(make_studio: MakeStudio) -> None:
    client = Client(make_studio(model("alpha")).port)
    body = {"model": "alpha", "context_length": 2048, "echo_load_config": True}
    first, second = (client.post("/api/v1/models/load", body).json for _ in range(2))
    assert (first["instance_id"], second["instance_id"]) == ("alpha", "alpha:2")
    assert (first["type"], first["status"], first["load_time_seconds"]) == ("llm", "loaded", 0)
    assert first["load_config"]["context_length"] == 2048
    assert client.post(CHAT, chat(model="alpha:2")).json["model"] == "alpha:2"
    assert client.post("/api/v1/models/unload", {"instance_id": "alpha"}).json == {"instance_id": "alpha"}
    assert set(loaded_of(client)) == {"alpha:2"}
    assert client.post("/api/v1/models/unload", {"instance_id": "alpha"}).status == 404


def test_the_context_asked_for_is_capped_and_counts(make_studio: MakeStudio) -> None:
    client = Client(make_studio(model("alpha")).port)
    echo = {"model": "alpha", "echo_load_config": True}
    assert (
        client.post("/api/v1/models/load", echo | {"context_length": 1 << 20}).json["load_config"]["context_length"]
        == 8192
    )
    small = client.post("/api/v1/models/load", echo | {"context_length": 16}).json["instance_id"]
    answered = client.post(CHAT, chat("word " * 20, model=small))
    assert "exceeds the available context size (16 tokens)" in answered.json["error"]


@pytest.mark.parametrize(("route", "missing"), [("load", "model"), ("unload", "instance_id"), ("download", "model")])
def test_what_is_missing_is_named(client: Client, route: str, missing: str) -> None:
    answered = client.post(f"/api/v1/models/{route}", {})
    error = answered.json["error"]
    assert (answered.status, error["type"], error["code"], error["param"]) == (
        400, "invalid_request", "missing_required_parameter", missing,
    )  # fmt: skip


def test_loading_an_unknown_model_is_a_404(client: Client) -> None:
    answered = client.post("/api/v1/models/load", {"model": "nothing"})
    assert (answered.status, answered.json["error"]["type"]) == (404, "model_not_found")


def test_an_engine_given_to_the_studio_can_be_unloaded_and_comes_back(studio: StudioServer, client: Client) -> None:
    assert studio.loaded == ("scripted-1b",)
    assert studio.unload("scripted-1b")
    assert (studio.unload("scripted-1b"), studio.loaded) == (False, ())
    assert client.post(CHAT, chat()).json["model"] == "scripted-1b"
    assert loaded_of(client)["scripted-1b"]["remaining_ttl_seconds"] == 3600


def test_loading_by_hand_says_what_is_wrong(studio: StudioServer) -> None:
    with pytest.raises(LmwatchError, match="no model 'nothing'"):
        studio.load("nothing")
    with pytest.raises(LmwatchError, match="insufficient system resources"):
        studio.load("qwen2.5-7b-instruct")


def test_a_download_takes_its_time_and_then_is_on_disk(client: Client, clock: ManualClock) -> None:
    job = client.post("/api/v1/models/download", {"model": "publisher/new"}).json
    assert (job["status"], job["total_size_bytes"], job["started_at"]) == (
        "downloading", 400_000_000, "2023-11-14T22:13:20.000Z",
    )  # fmt: skip
    clock.advance(4)
    status = client.get(f"/api/v1/models/download/status/{job['job_id']}").json
    assert (status["status"], status["downloaded_bytes"]) == ("downloading", 200_000_000)
    assert status["estimated_completion"] == "2023-11-14T22:13:28.000Z"
    clock.advance(4)
    status = client.get(f"/api/v1/models/download/status/{job['job_id']}").json
    assert (status["status"], status["completed_at"]) == ("completed", "2023-11-14T22:13:28.000Z")
    assert "publisher/new" in [each["key"] for each in client.get("/api/v1/models").json["models"]]
    assert client.post("/api/v1/models/download", {"model": "publisher/new"}).json == {"status": "already_downloaded"}


def test_an_unknown_download_is_a_404(client: Client) -> None:
    answered = client.get("/api/v1/models/download/status/job_nothing")
    assert (answered.status, answered.json["error"]["type"]) == (404, "job_not_found")
