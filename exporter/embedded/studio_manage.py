"""Loading, unloading and downloading models: `/api/v1/models/…`."""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from exporter.embedded.contract import ModelFacts
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_errors import ApiError, missing_parameter
from exporter.embedded.studio_http import Call
from exporter.embedded.studio_lists import load_config
from exporter.embedded.studio_models import Instance
from exporter.embedded.studio_predict import Route, Service

_DOWNLOAD_BYTES = 400_000_000
_DOWNLOAD_BYTES_PER_SECOND = 50_000_000


def load(service: Service, call: Call) -> None:
    """POST /api/v1/models/load: answers when the model is loaded; asked again it loads another instance."""
    body = call.body()
    model = _downloaded(service, _required(body, "model"))
    instance, seconds = service.store.load(model, context_length=body.get("context_length"))
    document: dict[str, Any] = {
        "type": "embedding" if model.kind == "embedding" else "llm",
        "instance_id": instance.id,
        "load_time_seconds": seconds,
        "status": "loaded",
    }
    if body.get("echo_load_config"):
        document["load_config"] = load_config(instance)
    call.send_json(200, document)


def _downloaded(service: Service, key: str) -> DownloadedModel:
    for model in service.store.models:
        if model.key == key:
            return model
    raise ApiError(404, f"Model not found: {key}", "model_not_found")


def unload(service: Service, call: Call) -> None:
    """POST /api/v1/models/unload, by the id of the instance."""
    identifier = _required(call.body(), "instance_id")
    if not service.store.unload(identifier):
        raise ApiError(404, f"No loaded instance with id: {identifier}", "model_not_found")
    call.send_json(200, {"instance_id": identifier})


def _required(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise missing_parameter(name)
    return value


@dataclass(frozen=True, slots=True)
class _Job:
    model: str
    started_at: float


@dataclass
class Downloads:
    """Download jobs of the stand-in: each takes eight seconds of its clock and adds a model that cannot be loaded."""

    _jobs: dict[str, _Job] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, service: Service, call: Call) -> None:
        """POST /api/v1/models/download"""
        key = _required(call.body(), "model")
        if isinstance(service.store.find(key), DownloadedModel | Instance):
            call.send_json(200, {"status": "already_downloaded"})
            return
        job_id, job = f"job_{secrets.token_hex(8)}", _Job(key, service.clock.now())
        with self._lock:
            self._jobs[job_id] = job
        document = {"job_id": job_id, "status": "downloading", "total_size_bytes": _DOWNLOAD_BYTES}
        call.send_json(200, document | {"started_at": _iso(job.started_at)})

    def status(self, service: Service, call: Call, job_id: str) -> None:
        """GET /api/v1/models/download/status/{job_id}"""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise ApiError(404, f"Job not found: {job_id}", "job_not_found")
        document: dict[str, Any] = {
            "job_id": job_id,
            "total_size_bytes": _DOWNLOAD_BYTES,
            "started_at": _iso(job.started_at),
        }
        done = (service.clock.now() - job.started_at) * _DOWNLOAD_BYTES_PER_SECOND
        ends_at = job.started_at + _DOWNLOAD_BYTES / _DOWNLOAD_BYTES_PER_SECOND
        if done < _DOWNLOAD_BYTES:
            document |= {
                "status": "downloading",
                "downloaded_bytes": int(done),
                "bytes_per_second": _DOWNLOAD_BYTES_PER_SECOND,
                "estimated_completion": _iso(ends_at),
            }
        else:
            if service.store.find(job.model) is None:
                service.store.add(DownloadedModel(ModelFacts(job.model, size_bytes=_DOWNLOAD_BYTES)))
            document |= {"status": "completed", "downloaded_bytes": _DOWNLOAD_BYTES, "completed_at": _iso(ends_at)}
        call.send_json(200, document)


def _iso(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/api/v1/models/load"): load,
    ("POST", "/api/v1/models/unload"): unload,
}
