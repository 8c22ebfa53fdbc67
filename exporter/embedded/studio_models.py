"""The models of the stand-in: what is on disk, what is loaded, and the rules by which that changes.

A request loads its model when just-in-time loading is on. A model loaded so has a time to live that each request
resets, and makes room for the next one loaded so. Models loaded on purpose stay.
"""

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from exporter.clock import Clock
from exporter.embedded.contract import Engine
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_errors import load_failed, model_unloaded, slot_timeout
from exporter.errors import LmwatchError

DEFAULT_CONTEXT = 4096
_WAIT_STEP_SECONDS = 0.05


class Instance:
    """One loaded model. Its figures change under the lock of the store that made it."""

    def __init__(
        self,
        identifier: str,
        model: DownloadedModel,
        engine: Engine | None,
        context_length: int,
        *,
        ttl_seconds: float | None,
        jit: bool,
    ) -> None:
        self.id = identifier
        self.reference = secrets.token_urlsafe(18)
        """What the websocket RPC calls this instance."""
        self.model = model
        self.engine = engine
        self.context_length = context_length
        self.parallel = engine.parallel if engine is not None else 1
        self.ttl_seconds = ttl_seconds
        self.jit = jit
        self.last_used = 0.0
        self.running = 0
        self.speaking = 0
        """How many of those that run have read their prompt."""
        self.waiting = 0
        self.gone = threading.Event()
        """Set when it is unloaded or has crashed, also while it answers."""


class ModelStore:
    """What is downloaded and what is loaded. Safe to use from several threads.

    Args:
        models: on disk; keys differ.
        clock: for times to live.
        jit: whether a request may load its model.
        ttl_seconds: how long a model loaded by a request stays without requests.
        evict: whether a model loaded by a request makes the previous one go.
    """

    def __init__(
        self, models: Sequence[DownloadedModel], *, clock: Clock, jit: bool, ttl_seconds: float, evict: bool
    ) -> None:
        self.jit = jit
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._evict = evict
        self._models = {model.key: model for model in models}
        self._instances: dict[str, Instance] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    @property
    def models(self) -> tuple[DownloadedModel, ...]:
        """All that is on disk."""
        with self._lock:
            return tuple(self._models.values())

    def add(self, model: DownloadedModel) -> None:
        """A download is complete."""
        with self._lock:
            self._models[model.key] = model

    def instances(self) -> tuple[Instance, ...]:
        """All that is loaded, after those whose time is over have gone."""
        self._sweep()
        with self._lock:
            return tuple(self._instances.values())

    def ttl_left(self, instance: Instance) -> float | None:
        """Seconds until it goes if nobody uses it; None when it stays."""
        if instance.ttl_seconds is None:
            return None
        with self._lock:
            idle = 0.0 if instance.running else self._clock.monotonic() - instance.last_used
        return max(0.0, instance.ttl_seconds - idle)

    def find(self, name: str) -> Instance | DownloadedModel | None:
        """A loaded instance by its id, else by its model's key, else the downloaded model of that key."""
        loaded = self.instances()
        for instance in loaded:
            if instance.id == name:
                return instance
        for instance in loaded:
            if instance.model.key == name:
                return instance
        with self._lock:
            return self._models.get(name)

    def latest_chat(self) -> Instance | None:
        """The loaded model that was used last and can chat: it answers for names that nobody knows."""
        chatting = [instance for instance in self.instances() if instance.engine is not None]
        return max(chatting, key=lambda instance: instance.last_used, default=None)

    def load(
        self, model: DownloadedModel, *, context_length: int | None = None, ttl_seconds: float | None = None
    ) -> tuple[Instance, float]:
        """Load a model on purpose, once more if it is loaded already.

        Returns:
            the instance, and how many seconds loading took.

        Raises:
            ApiError: there is no engine for it, or the engine failed.
        """
        with self._loading:
            return self._load(model, context_length, ttl_seconds, jit=False)

    def load_for_request(
        self, model: DownloadedModel, *, ttl_seconds: float | None = None, context_length: int | None = None
    ) -> tuple[Instance, float | None]:
        """Load a model because a request asks for it, unless another request just did; earlier such models go.

        Returns:
            the instance, and how many seconds loading took, None if it was there.

        Raises:
            ApiError: there is no engine for it, or the engine failed.
        """
        with self._loading:
            for instance in self.instances():
                if instance.model.key == model.key:
                    return instance, None
            if self._evict and model.kind != "embedding":
                for instance in self.instances():
                    if instance.jit and instance.model.kind != "embedding":
                        self.unload(instance.id)
            return self._load(
                model, context_length, self._ttl_seconds if ttl_seconds is None else ttl_seconds, jit=True
            )

    def _load(
        self, model: DownloadedModel, context_length: int | None, ttl_seconds: float | None, *, jit: bool
    ) -> tuple[Instance, float]:
        if model.load is None and model.kind != "embedding":
            raise load_failed(model.key, "Model loading was stopped due to insufficient system resources.")
        started = self._clock.monotonic()
        context = min(context_length or DEFAULT_CONTEXT, model.facts.max_context_length)
        try:
            engine = model.load(context) if model.load is not None else None
        except LmwatchError as error:
            raise load_failed(model.key, str(error)) from error
        instance = self.adopt(model, engine, context, ttl_seconds=ttl_seconds, jit=jit)
        return instance, self._clock.monotonic() - started

    def adopt(
        self,
        model: DownloadedModel,
        engine: Engine | None,
        context_length: int,
        *,
        ttl_seconds: float | None = None,
        jit: bool = False,
    ) -> Instance:
        """Take in an engine that is loaded already; its id is the model's key, with `:2`, `:3` behind it if need be."""
        with self._lock:
            number = 1
            while (identifier := model.key if number == 1 else f"{model.key}:{number}") in self._instances:
                number += 1
            instance = Instance(identifier, model, engine, context_length, ttl_seconds=ttl_seconds, jit=jit)
            instance.last_used = self._clock.monotonic()
            self._instances[identifier] = instance
        return instance

    def unload(self, identifier: str) -> bool:
        """Let an instance go, whatever it is doing; False if there is none of that id."""
        with self._lock:
            instance = self._instances.pop(identifier, None)
            if instance is None:
                return False
            instance.gone.set()
        if instance.engine is not None:
            instance.engine.close()
        return True

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        with self._lock:
            over = [
                instance.id
                for instance in self._instances.values()
                if instance.ttl_seconds is not None
                and not instance.running
                and now - instance.last_used >= instance.ttl_seconds
            ]
        for identifier in over:
            self.unload(identifier)

    @contextmanager
    def slot(self, instance: Instance, limit_seconds: float, wait: Callable[[float], None]) -> Iterator[None]:
        """Occupy one of the instance's slots while the block runs.

        Args:
            instance: whose.
            limit_seconds: how long to wait for a free one at most.
            wait: lets the seconds pass that it is given, or raises to give up.

        Raises:
            ApiError: no slot came free in time, or the model went away.
        """
        if not self._occupy(instance):
            self._wait_in_line(instance, limit_seconds, wait)
        try:
            yield
        finally:
            with self._lock:
                instance.running -= 1
                instance.last_used = self._clock.monotonic()

    def _wait_in_line(self, instance: Instance, limit_seconds: float, wait: Callable[[float], None]) -> None:
        with self._lock:
            instance.waiting += 1
        try:
            waited = 0.0
            while waited < limit_seconds:
                wait(_WAIT_STEP_SECONDS)
                waited += _WAIT_STEP_SECONDS
                if self._occupy(instance):
                    return
            raise slot_timeout()
        finally:
            with self._lock:
                instance.waiting -= 1

    def speaks(self, instance: Instance, change: int) -> None:
        """One more answer of the instance has got past its prompt (1), or one of those has ended (-1)."""
        with self._lock:
            instance.speaking += change

    def activity(self, instance: Instance) -> tuple[str, int]:
        """What it is doing, in LM Studio's words, and how many requests it has: those it works on and those that wait."""
        with self._lock:
            running, speaking, requests = instance.running, instance.speaking, instance.running + instance.waiting
        if not running:
            return "idle", requests
        if instance.engine is None:
            return "computingEmbedding", requests
        return ("generating" if speaking else "processingPrompt"), requests

    def _occupy(self, instance: Instance) -> bool:
        with self._lock:
            if instance.gone.is_set():
                raise model_unloaded()
            if instance.running >= instance.parallel:
                return False
            instance.running += 1
            instance.last_used = self._clock.monotonic()
            return True
