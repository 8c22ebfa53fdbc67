"""What the websocket RPC tells about a server and its loaded models, parsed tolerantly, and joined with a poll."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from exporter.lmstudio.fields import count, number, text
from exporter.lmstudio.wire import Model, ModelStatus, ServerHealth

MAX_INSTANCES = 100
"""Instances taken of each namespace; each costs a call."""
_STATUSES: Mapping[str, ModelStatus] = MappingProxyType(
    {
        "idle": "idle",
        "processingPrompt": "processing_prompt",
        "generating": "generating",
        "computingEmbedding": "computing_embedding",
        "loading": "loading",
    }
)
_AT_WORK: tuple[ModelStatus, ...] = ("processing_prompt", "generating", "computing_embedding")


@dataclass(frozen=True, slots=True)
class RpcInfo:
    """What a server says of itself."""

    version: str = ""
    pid: int | None = None
    is_daemon: bool | None = None
    """Whether it is llmster, the program without windows; None where that is not told."""


@dataclass(frozen=True, slots=True)
class RpcInstance:
    """One loaded model instance, as the websocket RPC describes it."""

    identifier: str
    reference: str
    """By which the server knows the instance in further calls; empty where it gives none."""
    model_key: str
    status: ModelStatus | None = None
    """None where the server does not tell, `unknown` for a word that is not in the list."""
    queued: int | None = None
    """As the server counts: those that wait and, by LM Studio's own description, the one at work. In one load test it
    counted only those that wait."""
    last_used_at: float | None = None
    """Unix seconds by the server's clock; None if it was never used."""
    ttl_seconds: float | None = None
    """The configured time without use after which it is unloaded; None if it stays."""
    ttl_remaining_seconds: float | None = None
    """How much of that is left."""
    context_length: int | None = None
    parallel: int | None = None
    device: str = ""
    """The machine that runs it, where that is another one (LM Link)."""


@dataclass(frozen=True, slots=True)
class RpcState:
    """What one look at a server found."""

    info: RpcInfo
    instances: tuple[RpcInstance, ...]
    at: float
    """Unix seconds."""


def parse_info(document: Any) -> RpcInfo:
    """The result of `system.info` or `system.version`."""
    if not isinstance(document, Mapping):
        return RpcInfo()
    daemon = document.get("isDaemon")
    return RpcInfo(
        text(document, "version"), count(document, "pid") or None, daemon if isinstance(daemon, bool) else None
    )


def parse_instances(document: Any, now: float) -> tuple[RpcInstance, ...]:
    """The result of `listLoaded`, at most `MAX_INSTANCES` of it; rows without an identifier are left out.

    Args:
        document: the result.
        now: Unix seconds.
    """
    rows = document if isinstance(document, list) else []
    found = [row for row in rows if isinstance(row, Mapping) and text(row, "identifier")]
    return tuple(_instance(row, now) for row in found[:MAX_INSTANCES])


def with_processing(instance: RpcInstance, document: Any) -> RpcInstance:
    """The instance with the result of `getInstanceProcessingState`; one that does no work has its whole time left."""
    if not isinstance(document, Mapping):
        return instance
    said = document.get("status")
    status = _STATUSES.get(said, "unknown") if isinstance(said, str) else None
    left = instance.ttl_seconds if status in _AT_WORK else instance.ttl_remaining_seconds
    return replace(instance, status=status, queued=count(document, "queued"), ttl_remaining_seconds=left)


def merge(health: ServerHealth, state: RpcState, *, present: bool) -> ServerHealth:
    """The poll with what the RPC knows of the same instances. What the poll itself says of times and sizes stays.

    Args:
        health: a poll that found the server up.
        state: the newest look.
        present: whether the look belongs to this poll. Of an older one only what changes slowly is taken.
    """
    known = {instance.identifier: instance for instance in state.instances}
    models = tuple(
        _joined(model, known[model.id], health.polled_at, present=present) if model.id in known else model
        for model in health.models
    )
    return replace(
        health,
        models=models,
        version=health.version or state.info.version,
        process_id=state.info.pid if present else None,
    )


def _joined(model: Model, instance: RpcInstance, now: float, *, present: bool) -> Model:
    if not present:
        instance = replace(instance, status=None, queued=None)
    left = instance.ttl_remaining_seconds
    if not present:
        left = time_left(instance.ttl_seconds, instance.last_used_at, now)
    return replace(
        model,
        status=instance.status or model.status,
        queued_requests=instance.queued if instance.queued is not None else model.queued_requests,
        ttl_seconds=instance.ttl_seconds,
        last_used_at=instance.last_used_at,
        ttl_remaining_seconds=left if model.ttl_remaining_seconds is None else model.ttl_remaining_seconds,
        context_length=model.context_length or instance.context_length,
        parallel_slots=model.parallel_slots or instance.parallel,
    )


def time_left(ttl_seconds: float | None, last_used_at: float | None, now: float) -> float | None:
    """Seconds until an instance is unloaded if nobody uses it: ttl - (now - last use), within 0..ttl.

    All of it while it was never used; None if it stays.
    """
    if ttl_seconds is None or last_used_at is None:
        return ttl_seconds
    return min(ttl_seconds, max(0.0, ttl_seconds - (now - last_used_at)))


def _instance(row: Mapping[str, Any], now: float) -> RpcInstance:
    ttl, used = _seconds(row, "ttlMs"), _seconds(row, "lastUsedTime")
    return RpcInstance(
        identifier=text(row, "identifier"),
        reference=text(row, "instanceReference"),
        model_key=text(row, "modelKey"),
        last_used_at=used,
        ttl_seconds=ttl,
        ttl_remaining_seconds=time_left(ttl, used, now),
        context_length=count(row, "contextLength"),
        parallel=count(row, "parallel") or None,
        device=text(row, "deviceIdentifier"),
    )


def _seconds(row: Mapping[str, Any], key: str) -> float | None:
    """Milliseconds as seconds; None for what is no time: absent, null, 0, negative."""
    value = number(row, key)
    return value / 1000 if value is not None and value > 0 else None
