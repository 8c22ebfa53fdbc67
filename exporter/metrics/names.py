"""Which models get series of their own: as many as a person could look at, however many names a server or its clients invent."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.lmstudio.wire import Model, ServerHealth

OTHER = "other"
"""The label `model` of all models beyond the limits."""
MAX_MODELS = 200
"""Models of one server that are told apart."""
MAX_DOWNLOADED = 100
"""Models of a list up to which those that are not loaded count as well, so that their first load is an increase from 0."""
MAX_UNLISTED = 50
"""Of them those that the server does not list: names that clients made up, aliases of a gateway."""
MAX_LENGTH = 200
"""Characters of a label value that a server chose."""
KEPT_SECONDS = 3600.0
"""How long the counters of a model stay after the server stopped listing it. With just-in-time loading off, LM Studio lists
only what is loaded, and an unload must be counted where a scrape can still see it."""


@dataclass(slots=True)
class _Name:
    listed: bool = False
    """Whether the server ever listed it."""
    key: str = ""
    """Of the model that it is an instance of: `qwen:2` belongs to `qwen`."""
    gone_at: float | None = None
    """Unix seconds when the server stopped listing it."""
    in_use: bool = True
    """Whether something was noted under it since it was last found not to be loaded."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Labels after a poll."""

    listed: frozenset[str]
    """Of models in the server's list, as far as they have series of their own."""
    loaded: frozenset[str]
    """Of them those that are loaded for certain."""
    unloaded: frozenset[str]
    """Of models whose last values end: they are no longer loaded. What was counted stays."""
    gone: frozenset[str]
    """Of models that the server no longer has: all their series end."""


class ModelNames:
    """The values of the label `model`, by server. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, dict[str, _Name]] = {}

    def label(self, server: str, model: str) -> str:
        """The label of this model, which has something to show now; `OTHER` where the limits are reached. Nothing stays nothing."""
        if not model:
            return ""
        model = clip(model)
        with self._lock:
            names = self._servers.setdefault(server, {})
            name = names.get(model)
            if name is None:
                if len(names) >= MAX_MODELS or sum(not known.listed for known in names.values()) >= MAX_UNLISTED:
                    return OTHER
                name = names[model] = _Name()
            name.in_use = True
            return model

    def seen(self, health: ServerHealth) -> Seen:
        """Take in what a poll found: what is loaded, what is still listed. A server that is down has nothing loaded."""
        with self._lock:
            names = self._servers.setdefault(health.server, {})
            models = health.models if health.up else ()
            usable = _names_of(model for model in models if model.loaded is not False)
            gone = self._take_list(names, health, usable) if health.up else frozenset()
            # A name that the server never listed may be an alias of what is loaded, as long as the server is there.
            unloaded = frozenset(
                label
                for label, name in names.items()
                if name.in_use and label not in usable and (name.listed or not health.up)
            )
            for label in unloaded:
                names[label].in_use = False
            for label in gone:
                del names[label]
            return Seen(
                listed=frozenset(clip(model.id) for model in models) & names.keys(),
                loaded=frozenset(clip(model.id) for model in models if model.loaded) & names.keys(),
                unloaded=unloaded,
                gone=gone,
            )

    def forget(self, server: str) -> None:
        """The server left the configuration."""
        with self._lock:
            self._servers.pop(server, None)

    def _take_list(self, names: dict[str, _Name], health: ServerHealth, usable: Mapping[str, str]) -> frozenset[str]:
        """Bring the names up to date with the server's list; returns those that are gone for good."""
        listed = _names_of(health.models)
        few = len(listed) <= MAX_DOWNLOADED
        for label, key in listed.items():
            if label not in names and (few or label in usable) and len(names) < MAX_MODELS:
                names[label] = _Name(in_use=False)
            if label in names:
                names[label].listed = True
                names[label].key = key
                names[label].gone_at = None
        gone = set()
        for label, name in names.items():
            if not name.listed or label in listed or name.key in listed:
                continue
            name.gone_at = health.polled_at if name.gone_at is None else name.gone_at
            if health.polled_at - name.gone_at >= KEPT_SECONDS:
                gone.add(label)
        return frozenset(gone)


def clip(text: str) -> str:
    """A text that a server chose, as a label value: at most `MAX_LENGTH` characters."""
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"


def _names_of(models: Iterable[Model]) -> dict[str, str]:
    """Labels that predictions of these models may carry, with the models' keys."""
    found: dict[str, str] = {}
    for model in models:
        key = clip(model.key)
        found[key] = found[clip(model.id)] = key
    return found
