"""Model lists, embeddings, unknown routes, tokens: what can be asked without a model answering."""

from collections.abc import Callable

import pytest
from embedded_support import Client, chat

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import other_models

MakeStudio = Callable[..., StudioServer]
NOMIC = "text-embedding-nomic-embed-text-v1.5"


def unexpected(method: str, path: str) -> dict[str, str]:
    return {"error": f"Unexpected endpoint or method. ({method} {path})"}


def test_the_greeting(client: Client) -> None:
    assert client.get("/lmstudio-greeting").json == {"lmstudio": True}


def test_headers_are_those_of_express(client: Client) -> None:
    headers = client.get("/v1/models").headers
    assert headers["x-powered-by"] == "Express"
    assert headers["keep-alive"] == "timeout=5"
    assert not {"server", "date"} & headers.keys()


def test_v1_lists_everything_on_disk_with_what_is_loaded(client: Client) -> None:
    models = {model["key"]: model for model in client.get("/api/v1/models").json["models"]}
    assert len(models) == 4
    instance = models["scripted-1b"]["loaded_instances"][0]
    assert instance["id"] == "scripted-1b"
    assert instance["config"]["context_length"] == 4096
    assert instance["config"]["parallel"] == 4
    assert "remaining_ttl_seconds" not in instance
    vision = models["qwen2-vl-7b-instruct"]
    assert (vision["type"], vision["format"], vision["capabilities"]["vision"]) == ("llm", "mlx", True)
    assert vision["quantization"] == {"name": "4bit", "bits_per_weight": 4}
    embedding = models[NOMIC]
    assert (embedding["type"], embedding["loaded_instances"]) == ("embedding", [])
    assert not {"architecture", "description", "capabilities"} & embedding.keys()


def test_v0_says_kind_state_and_loaded_context(client: Client) -> None:
    rows = {row["id"]: row for row in client.get("/api/v0/models").json["data"]}
    assert {row["type"] for row in rows.values()} == {"llm", "vlm", "embeddings"}
    assert (rows["scripted-1b"]["state"], rows["scripted-1b"]["loaded_context_length"]) == ("loaded", 4096)
    assert rows[NOMIC]["state"] == "not-loaded"
    assert "loaded_context_length" not in rows[NOMIC]
    assert rows["qwen2.5-7b-instruct"]["capabilities"] == ["tool_use"]
    assert "capabilities" not in rows[NOMIC]


def test_v0_shows_one_model_unwrapped(client: Client) -> None:
    assert client.get("/api/v0/models/scripted-1b").json["state"] == "loaded"


def test_v0_answers_200_for_a_model_that_is_not_there(client: Client) -> None:
    answered = client.get("/api/v0/models/someone%2Fnothing")
    assert (answered.status, answered.json) == (200, {"error": "Model not found: someone/nothing"})


def test_the_openai_list_has_ids_only(client: Client) -> None:
    document = client.get("/v1/models").json
    assert document["object"] == "list"
    assert len(document["data"]) == 4
    assert all(row.keys() == {"id", "object", "owned_by"} for row in document["data"])


def test_without_jit_the_lists_hold_what_is_loaded(make_studio: MakeStudio, engine: ScriptedEngine) -> None:
    client = Client(make_studio(engine, *other_models(), jit=False).port)
    assert [row["id"] for row in client.get("/v1/models").json["data"]] == ["scripted-1b"]
    assert [row["id"] for row in client.get("/api/v0/models").json["data"]] == ["scripted-1b"]
    assert len(client.get("/api/v1/models").json["models"]) == 4


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/metrics", 200),
        ("GET", "/", 200),
        ("GET", "/v1/nothing", 200),
        ("GET", "/api/v0/nothing", 200),
        ("GET", "/v1/chat/completions", 200),
        ("DELETE", "/v1/models", 200),
        ("GET", "/api/v1/chat", 200),
        ("OPTIONS", "/v1/models", 200),
        ("POST", "/v1/messages/count_tokens", 200),
        ("GET", "/api/v1/health", 404),
        ("GET", "/api/v1/models/scripted-1b", 404),
    ],
)
def test_unknown_routes_answer_200_except_below_api_v1(client: Client, method: str, path: str, status: int) -> None:
    answered = client.ask(method, path)
    assert (answered.status, answered.json) == (status, unexpected(method, path))
    assert answered.headers["content-type"].startswith("application/json")


def test_a_build_before_v1_answers_200_with_an_error_there(make_studio: MakeStudio) -> None:
    client = Client(make_studio(api_level="v0").port)
    answered = client.get("/api/v1/models")
    assert (answered.status, answered.json) == (200, unexpected("GET", "/api/v1/models"))
    assert client.get("/api/v0/models").json["object"] == "list"


def test_another_program_has_only_v1_and_says_404_elsewhere(make_studio: MakeStudio) -> None:
    client = Client(make_studio(api_level="openai").port)
    for path in ("/api/v1/models", "/api/v0/models", "/api/v0/models/scripted-1b", "/lmstudio-greeting"):
        assert client.get(path).status == 404
    answered = client.get("/v1/models")
    assert answered.json["data"][0]["id"] == "scripted-1b"
    assert "x-powered-by" not in answered.headers


def test_a_token_is_asked_for_everywhere_but_at_the_greeting(make_studio: MakeStudio) -> None:
    studio = make_studio(api_token="sk-lm-abcdefgh:0123456789")
    for stranger in (Client(studio.port), Client(studio.port, "wrong")):
        answered = stranger.get("/api/v1/models")
        assert answered.status == 401
        assert (answered.json["error"]["code"], answered.json["error"]["type"]) == (
            "invalid_api_key",
            "invalid_request",
        )
        assert stranger.get("/lmstudio-greeting").status == 200
    assert Client(studio.port, "sk-lm-abcdefgh:0123456789").get("/api/v1/models").status == 200


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"x-api-key": "{token}"}, "/v1/messages", 200),
        ({"x-api-key": "{token}"}, "/v1/chat/completions", 401),
        ({"Authorization": "{token}"}, "/v1/chat/completions", 401),
        ({"Authorization": "Basic {token}"}, "/v1/chat/completions", 401),
        ({"Authorization": "bearer {token}"}, "/v1/chat/completions", 200),
    ],
)
def test_a_token_comes_as_a_bearer_token_or_in_the_header_of_anthropics_route(
    make_studio: MakeStudio, headers: dict[str, str], path: str, status: int
) -> None:
    token = "sk-lm-abcdefgh:0123456789"
    client = Client(make_studio(api_token=token).port)
    body = {"model": "scripted-1b", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    given = {name: value.format(token=token) for name, value in headers.items()}
    assert client.ask("POST", path, body, headers=given).status == status


def test_embeddings_are_repeatable_and_usage_is_zero(client: Client) -> None:
    document = client.post("/v1/embeddings", {"model": NOMIC, "input": ["a", "b", "a"], "dimensions": 4}).json
    first, second, third = (row["embedding"] for row in document["data"])
    assert (first == third, first == second, len(first)) == (True, False, 256)
    assert sum(value * value for value in first) == pytest.approx(1)
    assert document["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert document["model"] == NOMIC


def test_v0_embeddings_name_the_quantization(client: Client) -> None:
    assert client.post("/api/v0/embeddings", {"model": NOMIC, "input": "a"}).json["model"] == f"{NOMIC}@q4_k_m"


@pytest.mark.parametrize("model", ["scripted-1b", "nothing", None])
def test_embeddings_without_an_embedding_model_mislead(client: Client, model: str | None) -> None:
    answered = client.post("/v1/embeddings", {"model": model, "input": "a"})
    assert answered.status == 400
    assert "No models loaded" in answered.json["error"]["message"]


def test_requests_are_kept_as_they_came(studio: StudioServer, client: Client) -> None:
    client.post("/v1/chat/completions", chat("hi"))
    received = studio.received[-1]
    assert (received.method, received.path) == ("POST", "/v1/chat/completions")
    assert received.json()["messages"][0]["content"] == "hi"
    assert received.headers["content-type"] == "application/json"
