"""What the pages read of the journal, and where the link of an alert leads."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from exporter.metrics.labelling import beside_ours
from exporter.series.labels import Labels


class OnGroup(Protocol):
    """A verdict, wherever it is kept."""

    @property
    def id(self) -> str:
        """Names the verdict."""
        ...

    @property
    def group(self) -> Labels:
        """What it is about."""
        ...

    @property
    def at(self) -> float:
        """Unix seconds."""
        ...


class Kept(OnGroup, Protocol):
    """A verdict as the journal hands it out."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The whole verdict as JSON types."""
        ...


class Brief(OnGroup, Protocol):
    """A verdict in short."""

    @property
    def watch(self) -> str:
        """The watch it is about."""
        ...

    @property
    def outcome(self) -> str:
        """How the analysis ended."""
        ...

    @property
    def score(self) -> float | None:
        """0..1, of the group; None where no readable answer came."""
        ...

    @property
    def kind(self) -> str:
        """Of its most anomalous finding; empty where there is none."""
        ...


class Happened(Protocol):
    """An event as the journal hands it out."""

    @property
    def server(self) -> str:
        """Which server it happened to."""
        ...

    @property
    def kind(self) -> str:
        """What happened."""
        ...

    @property
    def at(self) -> float:
        """Unix seconds."""
        ...

    @property
    def document(self) -> Mapping[str, Any]:
        """What is known of it as JSON types."""
        ...


class VerdictStore(Protocol):
    """The part of the journal that is read here."""

    def get(self, name: str, /) -> Kept | None:
        """The verdict of this id, or None."""
        ...

    def list(
        self,
        *,
        watch: str | None = None,
        since: float | None = None,
        limit: int = 100,
        before: str | None = None,
        outcome: str | None = None,
        above: float | None = None,
        server: str | None = None,
    ) -> Sequence[Kept]:
        """Verdicts, the newest first; `before` is the id of the last one of the page before, `server` the one that was asked."""
        ...

    def briefs(self, *, watch: str | None = None, since: float | None = None, limit: int = 100) -> Sequence[Brief]:
        """Verdicts in short, the newest first."""
        ...

    def events(self, *, server: str | None = None, since: float | None = None, limit: int = 100) -> Sequence[Happened]:
        """What happened to servers, the newest first."""
        ...


def newest_for(labels: Mapping[str, str], verdicts: Iterable[OnGroup]) -> str | None:
    """The id of the newest verdict on the group that a series with these labels belongs to; None where there is none.

    Args:
        labels: as they are exposed; more than those of the group are no harm.
        verdicts: of one watch, in any order.
    """
    fitting = [one for one in verdicts if set(beside_ours(one.group)) <= set(labels.items())]
    # Where a group without labels takes what lacks them, the one that says more is the series' own.
    return max(fitting, key=lambda one: (len(one.group), one.at)).id if fitting else None
