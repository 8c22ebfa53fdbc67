"""What happened to a server and its models between two polls. LM Studio reports no events, so they are inferred.

The rules, each with what it cannot know. "Fact sheet" is what is known about LM Studio's API; see sections 2.2, 5.3, 6.3 there.

- `loaded`: an instance is in the list that was not there at the poll before. What goes and comes back between two polls
  with the same context is not seen.
- `unloaded`, by reason:
  - `ttl`: the time it had left at the last poll has passed since. LM Studio resets that time at each request (5.3).
  - `evicted`: it had a time to live, so a request had loaded it, and another model is loaded at the same time or within
    `EVICTION_SECONDS`: LM Studio keeps only the last model that a request loaded, and lets the old one go
    before the new one is read from disk (5.3). A user who swaps two such models by hand looks the same.
  - `unexpected`: gone, not due, nothing took its place: a crash, of which LM Studio keeps no record (6.3), or somebody
    unloaded it by hand: lmwatch never does. Builds before 0.4.24 do not tell the time left (2.2); with the v1
    API alone an expiry there looks like this.
  - `unknown`: as before, but v0 without the websocket tells no times to live, so an expiry looks like a crash.
- `context_changed`: a model is loaded with another context than it had before, as after a crash followed by a load for a
  request, which uses the default of 4096 (5.3). A second instance of a model is none.
- `server_down`, `server_up`: the model list stopped or began to come. What vanishes with its server is not unloaded.
- `server_restarted`: another process id or version than before; where the process id is not known, also a server that
  comes back after it was unreachable, which a broken network path looks like. A server that was only slow was not restarted.
- `version_changed`: both versions are known and differ.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from exporter.lmstudio.wire import Model, ServerHealth

EventKind = Literal[
    "loaded", "unloaded", "context_changed", "server_up", "server_down", "server_restarted", "version_changed"
]
UnloadReason = Literal["ttl", "evicted", "unexpected", "unknown"]
UNLOAD_REASONS: tuple[UnloadReason, ...] = get_args(UnloadReason)

EVICTION_SECONDS = 120.0
"""How long the model that pushed another one out may take to load before that one counts as lost."""
TTL_SLACK_SECONDS = 5.0
"""How much earlier than announced a model may go, and how long a poll may take."""
REMEMBERED_SECONDS = 86_400.0
"""How long the context of a model that is no longer loaded is remembered."""


@dataclass(frozen=True, slots=True)
class HealthEvent:
    """One thing that happened."""

    server: str
    at: float
    """Unix seconds of the poll that showed it first; it happened after the poll before."""
    kind: EventKind
    detail: str
    """What happened, in words for people."""
    model: str = ""
    """The instance; empty where it is about the server."""
    key: str = ""
    reason: UnloadReason | None = None
    """Of an unload."""

    @property
    def serious(self) -> bool:
        """Whether somebody may want to look after it."""
        return self.reason == "unexpected" or self.kind in ("context_changed", "server_down", "server_restarted")

    def to_document(self) -> dict[str, Any]:
        """As JSON values, for the journal."""
        return {
            "server": self.server,
            "at": self.at,
            "kind": self.kind,
            "model": self.model or None,
            "key": self.key or None,
            "reason": self.reason,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class _Gone:
    """A model that is no longer loaded and was not due: perhaps another one takes its place."""

    id: str
    key: str
    at: float
    otherwise: UnloadReason
    """The reason if none does."""
    evictable: bool


@dataclass(frozen=True, slots=True)
class _Context:
    tokens: int
    at: float
    """Unix seconds when it was last seen."""


@dataclass(frozen=True, slots=True)
class Tracker:
    """What the polls of one server have shown so far, as far as the next events depend on it. A fresh one knows nothing."""

    last: ServerHealth | None = None
    """The newest poll that found the server up."""
    down: bool = False
    unreachable: bool = False
    """Whether the server could not be reached at all since `last`."""
    settling: bool = False
    """A restart was seen, and what answers now has told neither process id nor version yet."""
    pid: int | None = None
    version: str = ""
    """The last one that was told."""
    gone: tuple[_Gone, ...] = ()
    contexts: Mapping[str, _Context] = field(default_factory=dict)
    """By model key: what it was loaded with."""


def events_between(before: Tracker, after: ServerHealth) -> tuple[tuple[HealthEvent, ...], Tracker]:
    """The events that a poll shows, and what to pass as `before` with the next poll of the same server.

    Args:
        before: what the polls so far have shown; `Tracker()` before the first, which shows what is and so has no events.
        after: the newest poll.
    """
    if not after.up:
        return _down(before, after)
    step = _Step(before, after)
    return tuple(step.events()), step.tracker()


def _down(before: Tracker, after: ServerHealth) -> tuple[tuple[HealthEvent, ...], Tracker]:
    unreachable = before.unreachable or after.failure == "unreachable"
    tracker = replace(before, down=True, unreachable=unreachable, gone=())
    if before.last is None or before.down:
        return (), tracker
    alive = "; its process runs" if after.process_up else ""
    detail = f"the server is down: {after.detail or after.failure or 'no model list'}{alive}"
    return (HealthEvent(after.server, after.polled_at, "server_down", detail),), tracker


class _Step:
    """One poll of a server that is up, held against what was known."""

    def __init__(self, before: Tracker, after: ServerHealth) -> None:
        self._before = before
        self._after = after
        self._pid = pid = after.process_id
        self._gone: tuple[_Gone, ...] = ()
        last = before.last
        self._ttl_told = last is not None and (last.rpc_up is True or last.api != "v0")
        comparable = last is not None and last.api == after.api
        self._old = _loaded(last) if last is not None and comparable else {}
        self._new = _loaded(after)
        self._untold = {model.id for model in after.models if model.loaded is None}
        self._elapsed = max(0.0, after.polled_at - last.polled_at) if last is not None else 0.0
        self._other_version = bool(before.version and after.version and before.version != after.version)
        both = before.pid is not None and pid is not None
        self._other_process = both and before.pid != pid
        self._same_process = both and before.pid == pid and not self._other_version
        self._arrived: tuple[Model, ...] = ()
        if comparable:
            known = {} if self._replaced else self._old
            self._arrived = tuple(model for model in self._new.values() if not _same(known.get(model.id), model))

    @property
    def _replaced(self) -> bool:
        """Whether another process answers for certain, and it was not counted yet."""
        return (self._other_process or self._other_version) and not self._before.settling

    @property
    def _restarted(self) -> bool:
        return self._replaced or (self._before.down and self._before.unreachable and not self._same_process)

    def events(self) -> Iterator[HealthEvent]:
        if self._before.down:
            yield self._event("server_up", "the server is up")
        if self._before.last is None:
            return
        yield from self._of_the_server()
        yield from self._unloads()
        for model in self._arrived:
            context = f" with a context of {model.context_length} tokens" if model.context_length else ""
            yield self._event("loaded", f"the model was loaded{context}", model)
            yield from self._context_change(model)

    def tracker(self) -> Tracker:
        """What to remember; to be asked once all events are taken."""
        after = self._after
        seen = {m.key: _Context(m.context_length, after.polled_at) for m in self._new.values() if m.context_length}
        recent = {
            key: context
            for key, context in self._before.contexts.items()
            if after.polled_at - context.at < REMEMBERED_SECONDS
        }
        return Tracker(
            last=after,
            settling=(self._restarted or self._before.settling) and self._pid is None and not after.version,
            pid=self._before.pid if self._pid is None and not self._restarted else self._pid,
            version=after.version or self._before.version,
            gone=self._gone,
            contexts={**recent, **seen},
        )

    def _of_the_server(self) -> Iterator[HealthEvent]:
        before, after = self._before, self._after
        if self._restarted:
            why = "it was unreachable and came back"
            if self._other_process:
                why = f"its process was {before.pid} and is {self._pid}"
            elif self._other_version:
                why = "it has another version"
            yield self._event("server_restarted", f"the server was restarted: {why}")
        if self._other_version:
            yield self._event("version_changed", f"the version was {before.version} and is {after.version}")

    def _unloads(self) -> Iterator[HealthEvent]:
        if self._replaced:
            return
        missing = [model for model in self._old.values() if model.id not in self._new.keys() | self._untold]
        due = [model for model in missing if self._is_due(model)]
        # Of a server that may have been restarted only what was due is known to have gone by itself.
        others = [] if self._restarted else [model for model in missing if model not in due]
        yield from (self._unload(self._gone_now(model), "ttl") for model in due)
        waiting = []
        for gone in (*self._before.gone, *map(self._gone_now, others)):
            reason = self._fate(gone)
            if reason is None:
                waiting.append(gone)
            else:
                yield self._unload(gone, reason)
        self._gone = tuple(waiting)

    def _is_due(self, model: Model) -> bool:
        left = model.ttl_remaining_seconds
        return left is not None and left <= self._elapsed + TTL_SLACK_SECONDS

    def _gone_now(self, model: Model) -> _Gone:
        evictable = model.ttl_remaining_seconds is not None or not self._ttl_told
        otherwise: UnloadReason = (
            "unexpected" if model.ttl_remaining_seconds is not None or self._ttl_told else "unknown"
        )
        return _Gone(model.id, model.key, self._after.polled_at, otherwise, evictable)

    def _fate(self, gone: _Gone) -> UnloadReason | None:
        """Why a model went that was not due; None while it is not clear."""
        if not gone.evictable:
            return gone.otherwise
        if self._successor(gone.key):
            return "evicted"
        back = any(model.key == gone.key for model in self._arrived)
        over = self._after.polled_at - gone.at >= EVICTION_SECONDS
        return gone.otherwise if back or over else None

    def _successor(self, key: str) -> str:
        """The model that takes the place of one with this key: it has just been loaded, or is being loaded."""
        loading = [model for model in self._after.models if model.status == "loading"]
        return next((model.id for model in (*self._arrived, *loading) if model.key != key), "")

    def _unload(self, gone: _Gone, reason: UnloadReason) -> HealthEvent:
        detail = {
            "ttl": "the model was unloaded: nobody used it for as long as it was to stay",
            "evicted": f"the model was unloaded: {self._successor(gone.key)} took its place",
            "unexpected": "the model is gone and was not due: it crashed, or somebody unloaded it",
            "unknown": "the model was unloaded; the server tells no times to live, so it is not known why",
        }[reason]
        return HealthEvent(self._after.server, gone.at, "unloaded", detail, gone.id, gone.key, reason)

    def _context_change(self, model: Model) -> Iterator[HealthEvent]:
        remembered = self._before.contexts.get(model.key)
        if remembered is None or model.context_length in (None, remembered.tokens):
            return
        if self._after.polled_at - remembered.at >= REMEMBERED_SECONDS:
            return
        if _has_another(self._old.values(), model) and not self._replaced:
            return
        detail = f"the model had a context of {remembered.tokens} tokens and is loaded with {model.context_length}"
        yield self._event("context_changed", detail, model)

    def _event(self, kind: EventKind, detail: str, model: Model | None = None) -> HealthEvent:
        named = (model.id, model.key) if model is not None else ("", "")
        return HealthEvent(self._after.server, self._after.polled_at, kind, detail, *named)


def _loaded(health: ServerHealth) -> dict[str, Model]:
    """What is loaded for certain; nothing on a server that does not tell."""
    return {model.id: model for model in health.models if model.loaded}


def _same(old: Model | None, new: Model) -> bool:
    """Whether it can be the same instance: a loaded one cannot change its context."""
    if old is None:
        return False
    return None in (old.context_length, new.context_length) or old.context_length == new.context_length


def _has_another(models: Collection[Model], model: Model) -> bool:
    return any(other.key == model.key and other.id != model.id for other in models)
