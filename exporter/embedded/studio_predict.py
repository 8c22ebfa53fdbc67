"""From a request to the pieces of its answer: which model, which slot, and what goes wrong on the way."""

import base64
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from exporter.clock import Clock
from exporter.embedded.contract import ContextOverflowError, Ending, Engine, Message, Piece
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_errors import (
    bad_image,
    bad_value,
    context_overflow,
    engine_failed,
    model_unloaded,
    no_images,
    no_models_loaded,
    unknown_model,
)
from exporter.embedded.studio_http import Call, ClientGoneError
from exporter.embedded.studio_models import Instance, ModelStore
from exporter.embedded.studio_strikes import disturbed, refuse, reported_name, stub
from exporter.errors import LmwatchError, RefusedError

ApiLevel = Literal["v1", "v0", "openai"]

IMAGE_TOKENS = 256
"""Of the prompt, for each image whatever its size, as Gemma 3 has it."""
_IMAGE_SIGNATURES = {
    "data:image/png": b"\x89PNG\r\n\x1a\n",
    "data:image/jpeg": b"\xff\xd8\xff",
    "data:image/webp": b"RIFF",
}


@dataclass(frozen=True, slots=True)
class Habits:
    """How this server behaves where builds and settings of LM Studio differ."""

    api_level: ApiLevel = "v1"
    api_token: str | None = None
    slot_wait_seconds: float = 120.0
    v0_stream_stats: bool = False
    """Whether the last chunk of a v0 stream carries `stats`: observers disagree."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request wants from a model, whatever route it came by."""

    model: str | None
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float = 0.7
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    images: tuple[str, ...] = ()
    """The address of each image, as it was given; empty where there was none to find."""
    ttl_seconds: float | None = None
    """If this request loads the model: how long it stays."""
    context_length: int | None = None
    """If this request loads the model: with which context."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `model` is the name that the response gives."""

    model: str
    instance: Instance
    load_seconds: float | None
    text: str
    reasoning: str
    ending: Ending


NO_ENDING = Ending("stop", 0, 0, 0, 0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Service:
    """What all routes share."""

    store: ModelStore
    habits: Habits
    clock: Clock

    def created(self) -> int:
        """Unix seconds for `created`."""
        return int(self.clock.now())

    def locate(self, ask: Ask) -> Instance | DownloadedModel:
        """The loaded model that will answer, or the one to load first.

        A name that nobody knows is answered by the model used last, as LM Studio does.

        Raises:
            ApiError: nothing is loaded, and the name leads to nothing that may be loaded; or the model cannot see, or
                not what it was sent.
        """
        located = self._named(ask.model)
        model = located.model if isinstance(located, Instance) else located
        if ask.images and model.kind != "vlm":
            raise no_images(model.key)
        if not all(_is_image(address) for address in ask.images):
            raise bad_image()
        return located

    def _named(self, name: str | None) -> Instance | DownloadedModel:
        found = self.store.find(name) if name else None
        if isinstance(found, Instance) and found.engine is not None:
            return found
        if isinstance(found, DownloadedModel) and self.store.jit and found.kind != "embedding":
            return found
        latest = self.store.latest_chat()
        if latest is not None:
            return latest
        if self.store.jit and name and found is None:
            raise unknown_model(name)
        raise no_models_loaded()

    def ready(self, located: Instance | DownloadedModel, ask: Ask) -> tuple[Instance, float | None]:
        """Load what has to be loaded; the seconds it took are None where it was loaded."""
        if isinstance(located, Instance):
            return located, None
        return self.store.load_for_request(located, ttl_seconds=ask.ttl_seconds, context_length=ask.context_length)

    @contextmanager
    def answering(self, call: Call, ask: Ask, instance: Instance) -> Iterator[Iterator[Piece]]:
        """Occupy a slot and let the model answer; leaving the block stops it.

        Raises:
            ApiError: the request cannot be answered; also from the iterator.
            ClientGoneError: nobody waits any more; also from the iterator.
        """
        engine = instance.engine
        if engine is None:
            raise no_models_loaded()
        refuse(call, instance.context_length)
        with self.store.slot(instance, self.habits.slot_wait_seconds, call.wait):
            stream = _start(call, ask, engine)
            try:
                yield self._watched(call, instance, _seen(stream, len(ask.images)))
            finally:
                stream.close()

    def answer(self, call: Call, ask: Ask) -> Answer:
        """The whole answer at once; see `answering`."""
        instance, load_seconds = self.ready(self.locate(ask), ask)
        text, reasoning, ending = [], [], NO_ENDING
        with self.answering(call, ask, instance) as pieces:
            for piece in pieces:
                text.append(piece.text)
                reasoning.append(piece.reasoning)
                ending = piece.ending or ending
        return Answer(
            reported_name(call, instance.id), instance, load_seconds, "".join(text), "".join(reasoning), ending
        )

    def _watched(self, call: Call, instance: Instance, stream: Generator[Piece, None, None]) -> Iterator[Piece]:
        """The pieces, as long as the model is loaded and somebody listens."""
        speaks = False
        try:
            for piece in disturbed(stream, call, lambda: self.store.unload(instance.id)):
                if instance.gone.is_set():
                    raise model_unloaded()
                if call.client_gone():
                    raise ClientGoneError
                if not speaks and (piece.text or piece.reasoning):
                    speaks = True
                    self.store.speaks(instance, 1)
                yield piece
        except ContextOverflowError as error:
            raise context_overflow(error) from error
        except RefusedError as error:
            raise engine_failed(f"failed to parse grammar: {error}") from error
        except LmwatchError as error:
            raise (model_unloaded() if instance.gone.is_set() else engine_failed(str(error))) from error
        finally:
            if speaks:
                self.store.speaks(instance, -1)


Route = Callable[[Service, Call], None]
"""Answers one call."""


def ttl_of(body: Mapping[str, Any]) -> float | None:
    """The seconds that a request wants its model to stay for, should it load it.

    Raises:
        ApiError: it is no number.
    """
    ttl = body.get("ttl")
    if ttl is None or (isinstance(ttl, int | float) and not isinstance(ttl, bool)):
        return ttl
    raise bad_value("ttl", "'ttl' field must be a number")


def _is_image(address: str) -> bool:
    """Whether this is a whole PNG, JPEG or WebP file as a `data:` address: LM Studio fetches nothing."""
    kind, _, encoded = address.partition(";base64,")
    if kind not in _IMAGE_SIGNATURES:
        return False
    try:
        return base64.b64decode(encoded, validate=True).startswith(_IMAGE_SIGNATURES[kind])
    except ValueError:
        return False


def _seen(stream: Generator[Piece, None, None], images: int) -> Generator[Piece, None, None]:
    """The pieces, with the images counted in the prompt."""
    with closing(stream):
        for piece in stream:
            if piece.ending is None or not images:
                yield piece
                continue
            ending = replace(piece.ending, prompt_tokens=piece.ending.prompt_tokens + images * IMAGE_TOKENS)
            yield replace(piece, ending=ending)


def _start(call: Call, ask: Ask, engine: Engine) -> Generator[Piece, None, None]:
    if call.fault is not None and call.fault.kind == "stub_reply":
        return stub()
    return engine.stream(
        ask.messages, max_tokens=ask.max_tokens, temperature=ask.temperature, seed=ask.seed, schema=ask.schema
    )
