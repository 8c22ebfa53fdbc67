"""What is there: the model lists of the three APIs, embeddings, and the greeting."""

import hashlib
import math
import struct
from collections.abc import Mapping
from typing import Any

from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_errors import ApiError, bad_value, no_models_loaded
from exporter.embedded.studio_http import Call
from exporter.embedded.studio_models import Instance
from exporter.embedded.studio_predict import Ask, Route, Service, ttl_of

_DIMENSIONS = 256
_V0_KINDS = {"llm": "llm", "vlm": "vlm", "embedding": "embeddings"}


def greeting(_: Service, call: Call) -> None:
    """GET /lmstudio-greeting"""
    call.send_json(200, {"lmstudio": True})


def models_v1(service: Service, call: Call) -> None:
    """GET /api/v1/models: everything on disk, with what is loaded of it."""
    loaded = service.store.instances()
    models = [_describe_v1(service, model, loaded) for model in service.store.models]
    call.send_json(200, {"models": models})


def _describe_v1(service: Service, model: DownloadedModel, loaded: tuple[Instance, ...]) -> dict[str, Any]:
    facts, language = model.facts, model.kind != "embedding"
    document: dict[str, Any] = {
        "type": "llm" if language else "embedding",
        "publisher": facts.publisher,
        "key": facts.key,
        "display_name": facts.display_name or facts.key,
        "quantization": {"name": facts.quantization, "bits_per_weight": facts.bits_per_weight},
        "size_bytes": facts.size_bytes,
        "params_string": facts.params_string or None,
        "loaded_instances": [_describe_instance(service, each) for each in loaded if each.model.key == model.key],
        "max_context_length": facts.max_context_length,
        "format": model.format,
    }
    if language:
        document |= {
            "architecture": facts.architecture,
            "capabilities": {"vision": model.kind == "vlm", "trained_for_tool_use": model.tool_use},
            "description": None,
        }
    return document


def load_config(instance: Instance) -> dict[str, Any]:
    """The settings of a loaded model, as the list and the load route give them."""
    config: dict[str, Any] = {"context_length": instance.context_length}
    if instance.model.kind != "embedding":
        config |= {
            "eval_batch_size": 512,
            "physical_batch_size": 512,
            "parallel": instance.parallel,
            "flash_attention": True,
            "offload_kv_cache_to_gpu": True,
        }
    return config


def _describe_instance(service: Service, instance: Instance) -> dict[str, Any]:
    document: dict[str, Any] = {"id": instance.id, "config": load_config(instance)}
    left = service.store.ttl_left(instance)
    return document if left is None else document | {"remaining_ttl_seconds": left}


def models_v0(service: Service, call: Call) -> None:
    """GET /api/v0/models: with just-in-time loading everything on disk, else what is loaded."""
    call.send_json(200, {"object": "list", "data": _rows_v0(service)})


def model_v0(service: Service, call: Call, name: str) -> None:
    """GET /api/v0/models/{name}; a name that is not there gets an error with status 200."""
    for row in _rows_v0(service):
        if row["id"] == name:
            call.send_json(200, row)
            return
    raise ApiError(200, f"Model not found: {name}")


def _rows_v0(service: Service) -> list[dict[str, Any]]:
    loaded = service.store.instances()
    rows = [_row_v0(instance.model, instance) for instance in loaded]
    if service.store.jit:
        keys = {instance.model.key for instance in loaded}
        rows += [_row_v0(model, None) for model in service.store.models if model.key not in keys]
    return rows


def _row_v0(model: DownloadedModel, instance: Instance | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": instance.id if instance else model.key,
        "object": "model",
        "type": _V0_KINDS[model.kind],
        "publisher": model.facts.publisher,
        "arch": model.facts.architecture,
        "compatibility_type": model.format,
        "quantization": model.facts.quantization,
        "state": "loaded" if instance else "not-loaded",
        "max_context_length": model.facts.max_context_length,
    }
    if instance:
        row["loaded_context_length"] = instance.context_length
    if model.tool_use:
        row["capabilities"] = ["tool_use"]
    return row


def models_openai(service: Service, call: Call) -> None:
    """GET /v1/models: the ids that a request may name, and nothing else."""
    rows = [{"id": row["id"], "object": "model", "owned_by": "organization_owner"} for row in _rows_v0(service)]
    call.send_json(200, {"object": "list", "data": rows})


def embeddings(service: Service, call: Call) -> None:
    """POST /v1/embeddings: vectors made from a hash, usage always zero."""
    call.send_json(200, _embed(service, call, ""))


def embeddings_v0(service: Service, call: Call) -> None:
    """POST /api/v0/embeddings: likewise; the model's name carries its quantization."""
    call.send_json(200, _embed(service, call, "@"))


def _embed(service: Service, call: Call, suffix: str) -> dict[str, Any]:
    body = call.body()
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise bad_value("input", "'input' field must be a string or an array of strings")
    found = service.store.find(str(body.get("model", "")))
    model = found.model if isinstance(found, Instance) else found
    if found is None or model is None or model.kind != "embedding":
        raise no_models_loaded()
    if isinstance(found, DownloadedModel) and not service.store.jit:
        raise no_models_loaded()
    instance, _ = service.ready(found, Ask(model.key, (), ttl_seconds=ttl_of(body)))
    with service.store.slot(instance, service.habits.slot_wait_seconds, call.wait):
        data = [
            {"object": "embedding", "embedding": hashed_vector(text), "index": index}
            for index, text in enumerate(texts)
        ]
    name = instance.id + (f"{suffix}{model.facts.quantization.lower()}" if suffix else "")
    return {"object": "list", "data": data, "model": name, "usage": {"prompt_tokens": 0, "total_tokens": 0}}


def hashed_vector(text: str) -> list[float]:
    """A vector of length 1 in 256 dimensions: the same for the same text, unrelated for any other."""
    raw = hashlib.shake_256(text.encode()).digest(2 * _DIMENSIONS)
    values = [number - 32767.5 for number in struct.unpack(f"<{_DIMENSIONS}H", raw)]
    length = math.hypot(*values)
    return [value / length for value in values]


ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/lmstudio-greeting"): greeting,
    ("GET", "/api/v1/models"): models_v1,
    ("GET", "/api/v0/models"): models_v0,
    ("GET", "/v1/models"): models_openai,
    ("POST", "/v1/embeddings"): embeddings,
    ("POST", "/api/v0/embeddings"): embeddings_v0,
}
