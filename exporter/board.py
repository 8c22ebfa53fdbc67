"""The board: one immutable picture of the present, and the holder that swaps it.

Everything that `/metrics`, the pages and the API show is read from here. Readers take the board once and see
one consistent picture; writers build the next one and swap it in.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeVar

from exporter.lmstudio.wire import ServerHealth
from exporter.reasoning.leaning import UNHEARD, Weight
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels, Series
from exporter.sources.collected import Collected

Key = TypeVar("Key")
Value = TypeVar("Value")

WatchStateName = Literal["warming", "ok", "degraded", "stale", "failed"]
WATCH_STATES: tuple[WatchStateName, ...] = ("warming", "ok", "degraded", "stale", "failed")


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The scores of one target's series in one watch, column by column; NaN where there is no verdict."""

    target: str
    series: tuple[Series, ...]
    """The same object from interval to interval while the target exposes the same series."""
    anomaly: FloatArray
    """[series]: screen and model combined."""
    screen: FloatArray
    llm: FloatArray
    confidence: FloatArray
    kind: tuple[str, ...]
    """[series]: the kind of an active finding, else an empty string."""
    value: FloatArray
    """[series]: newest value in the frame's units; NaN where no band is asked for."""
    expected_lower: FloatArray
    expected_upper: FloatArray


@dataclass(frozen=True, eq=False)
class WatchPicture:
    """What is known of one watch."""

    name: str
    state: WatchStateName
    reason: str
    """Why it is in this state, in words."""
    at: float
    """Unix seconds of the last screening."""
    tables: tuple[ScoreTable, ...] = ()
    verdicts: Mapping[Labels, Verdict] = field(default_factory=dict)
    """The latest verdict of each group, as long as it is not stale."""
    standings: Mapping[Labels, float] = field(default_factory=dict)
    """The screen's score of each group as a whole; none where a group has none."""
    model_weight: Weight = UNHEARD
    prompt_tokens: int | None = None
    """What the last prompt of this watch took, by the server's own count where it gave one."""
    threshold: float = THRESHOLD
    """From which score on a series of this watch is anomalous, 0..1."""
    group_by: tuple[str, ...] = ()
    """The names of the labels whose values make its groups."""


@dataclass(frozen=True, slots=True)
class ReloadState:
    """How the last attempt to load the configuration went."""

    successful: bool
    last_success_at: float
    """Unix seconds."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class HeartbeatState:
    """When lmwatch last found the anomaly that it plants for itself; times are Unix seconds."""

    interval_seconds: float
    """From one planted anomaly to the next."""
    screen_success_at: float
    """When the screen alone was last right; before the first time, when the heartbeat began."""
    success_at: float | None
    """When a model's verdict was last right, or could first be expected; None while no model is asked, to spare it."""


@dataclass(frozen=True, eq=False)
class Board:
    """The present, whole."""

    started_at: float
    reload: ReloadState
    servers: Mapping[str, ServerHealth] = field(default_factory=dict)
    sources: Mapping[tuple[str, str], Collected] = field(default_factory=dict)
    """By (source, target)."""
    watches: Mapping[str, WatchPicture] = field(default_factory=dict)
    rendered: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    """By watch, by metric family: the sample lines in text format, rendered when the watch was published."""
    ready: bool = False
    heartbeat: HeartbeatState | None = None
    """None where it is off."""
    external_url: str = ""
    """Under which address people reach lmwatch; empty where that is not configured."""


class BoardHolder:
    """Holds the present board. Reading needs no lock; one writer at a time swaps."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()

    def current(self) -> Board:
        """The present board."""
        return self._board

    def update(self, change: Callable[[Board], Board]) -> Board:
        """Swap in what `change` makes of the present board. `change` must be quick and do no I/O."""
        with self._lock:
            self._board = change(self._board)
            return self._board

    def put_server(self, health: ServerHealth) -> None:
        """Show what the newest poll of a server found."""
        self.update(lambda board: replace(board, servers=_with(board.servers, health.server, health)))

    def put_source(self, state: Collected) -> None:
        """Show how the newest collection from a target went."""
        self.update(lambda board: replace(board, sources=_with(board.sources, (state.source, state.target), state)))

    def retain_targets(self, source: str, targets: Collection[str]) -> None:
        """Forget the targets of a source that are not among these: they left the configuration or its discovery."""

        def without_others(board: Board) -> Board:
            kept = {key: state for key, state in board.sources.items() if key[0] != source or key[1] in targets}
            return board if len(kept) == len(board.sources) else replace(board, sources=MappingProxyType(kept))

        self.update(without_others)

    def put_watch(self, picture: WatchPicture, rendered: Mapping[str, bytes]) -> None:
        """Show a watch's newest scores and verdicts."""
        self.update(
            lambda board: replace(
                board,
                watches=_with(board.watches, picture.name, picture),
                rendered=_with(board.rendered, picture.name, rendered),
            ),
        )


def _with(mapping: Mapping[Key, Value], key: Key, value: Value) -> Mapping[Key, Value]:
    return MappingProxyType({**mapping, key: value})
