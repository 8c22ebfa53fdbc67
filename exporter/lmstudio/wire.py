"""The values that travel between the LM Studio client and the rest: what is asked, what came back, what is loaded."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Api = Literal["v1", "v0", "openai"]
Origin = Literal["analysis", "probe", "traffic"]
ModelStatus = Literal["idle", "processing_prompt", "generating", "computing_embedding", "loading", "unknown"]
MODEL_STATUSES: tuple[ModelStatus, ...] = (
    "idle",
    "processing_prompt",
    "generating",
    "computing_embedding",
    "loading",
    "unknown",
)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model that can see."""

    data: bytes = field(repr=False)
    """The file. PNG is what every server takes: LM Studio documents JPEG, PNG and WebP, and has refused WebP."""
    media_type: Literal["image/png"] = "image/png"

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat; the image stands behind the text."""

    role: Literal["system", "user", "assistant"]
    content: str
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model. `schema` forces the answer to be JSON of that shape."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    seed: int | None = None
    reasoning_effort: Literal["none", "low", "medium", "high"] | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """One completed answer with its figures. A figure that nobody reported and no clock could give is None."""

    server: str
    model: str
    """The instance that answered, as the server names it; may differ from the one asked for."""
    asked_model: str
    text: str
    reasoning: str
    finish_reason: str
    prompt_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cached_prompt_tokens: int | None
    time_to_first_token_seconds: float | None
    """From sending the request to the first token of any kind, by our clock; the server's own number where the answer came whole."""
    duration_seconds: float
    """The whole call by our clock."""
    tokens_per_second: float | None
    """Output tokens over decode time."""
    timed_by: Literal["server", "clock"]
    """Whose number `tokens_per_second` is."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model instance (or one downloaded model that is not loaded), with whatever its server tells."""

    id: str
    """The instance identifier; the model's key where it is not loaded."""
    key: str
    kind: Literal["llm", "vlm", "embedding", "unknown"]
    loaded: bool | None
    """None where the server's API does not tell (plain OpenAI)."""
    publisher: str = ""
    architecture: str = ""
    quantization: str = ""
    format: str = ""
    size_bytes: int | None = None
    context_length: int | None = None
    max_context_length: int | None = None
    parallel_slots: int | None = None
    ttl_remaining_seconds: float | None = None
    vision: bool = False
    status: ModelStatus | None = None
    queued_requests: int | None = None
    """As the server counts; whether those at work are among them is not documented."""
    ttl_seconds: float | None = None
    """The configured time without use after which it is unloaded; None where it stays, or where that is not told."""
    last_used_at: float | None = None
    """Unix seconds by the server's clock."""


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """What one poll found out about one server."""

    server: str
    url: str
    up: bool
    api: Api | None
    version: str
    models: tuple[Model, ...]
    poll_duration_seconds: float
    polled_at: float
    """Unix seconds."""
    failure: str | None = None
    """A reason of `failures.REASONS` when `up` is False."""
    detail: str = ""
    """The failure in words, for people."""
    rpc_up: bool | None = None
    """Whether the websocket RPC answered; None where it is not used, or not expected to answer. While it is True, times to
    live are known: a model without one stays."""
    rpc_detail: str = ""
    """Why it did not answer, in words for people."""
    process_up: bool | None = None
    """Whether LM Studio's process runs, apart from its HTTP API; None where that cannot be told, as for another host."""
    process_id: int | None = None
    """Of the server, by its own word."""
