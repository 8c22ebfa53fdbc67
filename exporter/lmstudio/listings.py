"""The model lists of LM Studio's three APIs and of llama.cpp, parsed tolerantly into `Model` values.

Each parser is given a JSON document and says by its content whether it is that API's list: a status of 200 proves nothing,
llama.cpp's OpenAI list has a `models` array too, and a gateway may serve one list under every path.
Unknown fields are ignored, unknown words become `unknown`, what is missing stays None.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from exporter.lmstudio.fields import count, mapping, number, rows, text
from exporter.lmstudio.wire import Model, ModelStatus

MAX_MODELS = 1000
"""Models taken from one list; each becomes a set of time series."""

_Kind = Literal["llm", "vlm", "embedding", "unknown"]
_KINDS: Mapping[str, _Kind] = {
    "llm": "llm",
    "vlm": "vlm",
    "embedding": "embedding",
    "embeddings": "embedding",
}
_INSTANCE_NUMBER = re.compile(r":\d+$")
_NAMED_EMBEDDING = re.compile(r"(^|[/_-])(text-)?embed(ding)?s?([/_-]|$)", re.IGNORECASE)


def parse_v1(document: Any) -> tuple[Model, ...] | None:
    """The models of `GET /api/v1/models`; None if the document is no such list.

    Each loaded instance is one Model, and each downloaded model without an instance is one that is not loaded.
    """
    if not _is_list(document, "models") or _is_list(document, "data"):
        return None
    found = rows(document, "models")
    if document["models"] and not any(text(row, "key") for row in found):
        return None
    return _distinct(model for row in found if text(row, "key") for model in _v1_models(row))


def parse_v0(document: Any) -> tuple[Model, ...] | None:
    """The models of `GET /api/v0/models`; None if the document is no such list."""
    if not _is_list(document, "data"):
        return None
    found = rows(document, "data")
    if document["data"] and not any(isinstance(row.get("state"), str) for row in found):
        return None
    return _distinct(_v0_model(row) for row in found if text(row, "id"))


def parse_openai(document: Any) -> tuple[Model, ...] | None:
    """The models of `GET /v1/models` of any OpenAI-compatible server; None if the document is no such list."""
    if not _is_list(document, "data"):
        return None
    found = rows(document, "data")
    if document["data"] and not any(text(row, "id") for row in found):
        return None
    return _distinct(_openai_model(row) for row in found if text(row, "id"))


def is_llama_cpp(document: Any) -> bool:
    """Whether an OpenAI list comes from llama.cpp's server, which tells more under `/props`."""
    return any(row.get("owned_by") == "llamacpp" for row in rows(document, "data"))


def with_props(models: tuple[Model, ...], props: Mapping[str, Any]) -> tuple[Model, ...]:
    """The models of a llama.cpp server with what its `/props` tell.

    They speak of the model that is loaded, so they are used only where there is one model.
    """
    if len(models) != 1:
        return models
    (model,) = models
    context = count(mapping(props, "default_generation_settings"), "n_ctx")
    vision = mapping(props, "modalities").get("vision") is True
    return (
        replace(
            model,
            context_length=context or model.context_length,
            parallel_slots=count(props, "total_slots") or model.parallel_slots,
            vision=vision or model.vision,
            kind="vlm" if vision and model.kind == "unknown" else model.kind,
        ),
    )


def _is_list(document: Any, key: str) -> bool:
    return isinstance(document, dict) and isinstance(document.get(key), list)


def _v1_models(row: Mapping[str, Any]) -> Iterable[Model]:
    key = text(row, "key")
    downloaded = Model(
        id=key,
        key=key,
        kind=_KINDS.get(text(row, "type"), "unknown"),
        loaded=False,
        publisher=text(row, "publisher"),
        architecture=text(row, "architecture"),
        quantization=text(mapping(row, "quantization"), "name"),
        format=text(row, "format"),
        size_bytes=count(row, "size_bytes"),
        max_context_length=count(row, "max_context_length"),
        vision=mapping(row, "capabilities").get("vision") is True,
    )
    instances = rows(row, "loaded_instances")
    if not instances:
        yield downloaded
    for instance in instances:
        config = mapping(instance, "config")
        yield replace(
            downloaded,
            id=text(instance, "id") or key,
            loaded=True,
            context_length=count(config, "context_length"),
            parallel_slots=count(config, "parallel"),
            ttl_remaining_seconds=number(instance, "remaining_ttl_seconds"),
        )


def _v0_model(row: Mapping[str, Any]) -> Model:
    identifier = text(row, "id")
    state = text(row, "state")
    status: ModelStatus | None = None
    if state == "loading":
        status = "loading"
    elif state not in ("loaded", "not-loaded"):
        status = "unknown"
    context = count(row, "loaded_context_length")
    kind: _Kind = _KINDS.get(text(row, "type"), "unknown")
    capabilities = row.get("capabilities")
    return Model(
        id=identifier,
        key=_INSTANCE_NUMBER.sub("", identifier) or identifier,
        kind=kind,
        loaded=state == "loaded" or (status == "unknown" and context is not None),
        publisher=text(row, "publisher"),
        architecture=text(row, "arch"),
        quantization=text(row, "quantization"),
        format=text(row, "compatibility_type"),
        context_length=context,
        max_context_length=count(row, "max_context_length"),
        vision=kind == "vlm" or (isinstance(capabilities, list) and "vision" in capabilities),
        status=status,
    )


def _openai_model(row: Mapping[str, Any]) -> Model:
    identifier = text(row, "id")
    meta = mapping(row, "meta")
    state = text(mapping(row, "status"), "value")
    modalities = mapping(row, "architecture").get("input_modalities")
    return Model(
        id=identifier,
        key=identifier,
        kind="embedding" if _NAMED_EMBEDDING.search(identifier) else "unknown",
        # llama.cpp describes a model only once it is in memory; its router names the state of each.
        loaded=state == "loaded" if state else (True if meta else None),
        quantization=text(meta, "ftype"),
        format="gguf" if identifier.lower().endswith(".gguf") else "",
        size_bytes=count(meta, "size"),
        context_length=count(meta, "n_ctx") or count(row, "max_model_len"),
        max_context_length=count(meta, "n_ctx_train") or count(row, "max_model_len"),
        vision=isinstance(modalities, list) and "image" in modalities,
        status="loading" if state == "loading" else None,
    )


def _distinct(models: Iterable[Model]) -> tuple[Model, ...]:
    """One Model an id; of several rows for one id the one that is furthest on its way to being loaded."""
    chosen: dict[str, Model] = {}
    for model in models:
        before = chosen.get(model.id)
        better = len(chosen) < MAX_MODELS if before is None else _rank(model) > _rank(before)
        if better:
            chosen[model.id] = model
    return tuple(chosen.values())


def _rank(model: Model) -> int:
    return 2 if model.loaded else int(model.status == "loading")
