"""What endpoints look up: pages and API answer from the same."""

import logging
from collections.abc import Sequence

from werkzeug.exceptions import NotFound

from exporter.board import WatchPicture
from exporter.errors import LmwatchError
from exporter.lmstudio.wire import ServerHealth
from exporter.metrics.reading import FIGURE_METRICS, read_figures
from exporter.web.deps import WebDeps
from exporter.web.kept import Brief, Happened, Kept
from exporter.web.revision import Seen, revision
from exporter.web.servers import SHOWN_SECONDS, ServerDetail, server_detail

logger = logging.getLogger(__name__)

_NO_ANSWER = ("llm_error", "timeout", "invalid")
_EVENTS = 200
_FAILURES = 20
_TIMELINE = 400
"""Verdicts on a timeline at most."""
TIMELINE_SECONDS = 86_400.0


class Reading:
    """Looks things up for endpoints.

    Args:
        deps: where.
    """

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps

    def picture(self, name: str) -> WatchPicture:
        """A watch on the board.

        Raises:
            NotFound: there is none of this name.
        """
        picture = self._deps.board().watches.get(name)
        if picture is None:
            raise NotFound(f"there is no watch named {name!r}, or it was not screened yet")
        return picture

    def kept(self, name: str) -> Kept:
        """A verdict in the journal.

        Raises:
            NotFound: there is none with this id.
        """
        kept = self._deps.journal.get(name)
        if kept is None:
            raise NotFound(f"there is no verdict {name!r}; the journal keeps them for its retention time only")
        return kept

    def latest(self, limit: int, watch: str | None = None) -> Sequence[Kept] | None:
        """The newest verdicts; None where the journal cannot be read: the rest of a page is worth showing without them."""
        try:
            return self._deps.journal.list(watch=watch, limit=limit)
        except LmwatchError as error:
            logger.warning("cannot read verdicts: %s", error)
            return None

    def seen(self) -> Seen:
        """What whoever reads now will see at least."""
        newest = next((kept.id for kept in self.latest(1) or ()), "")
        return Seen(revision(self._deps.board(), newest, self._deps.alerts()), newest)

    def briefs(self, watch: str) -> Sequence[Brief]:
        """The verdicts of the last day on a watch in short, the newest first; none where the journal cannot be read."""
        since = self._deps.clock.now() - TIMELINE_SECONDS
        try:
            return self._deps.journal.briefs(watch=watch, since=since, limit=_TIMELINE)
        except LmwatchError as error:
            logger.warning("cannot read verdicts: %s", error)
            return ()

    def health(self, name: str) -> ServerHealth:
        """A server on the board.

        Raises:
            NotFound: there is none of this name.
        """
        health = self._deps.board().servers.get(name)
        if health is None:
            raise NotFound(f"there is no server named {name!r}, or it was not polled yet")
        return health

    def server(self, name: str) -> ServerDetail:
        """A server, as far as the journal can be read whole.

        Raises:
            NotFound: there is none of this name.
        """
        health = self.health(name)
        _, headers, body = self._deps.exposition.respond("", "", FIGURE_METRICS)
        figures = read_figures(body, dict(headers)["Content-Type"])
        now = self._deps.clock.now()
        began = self._deps.board().started_at
        return server_detail(health, figures.get(name), self._happened(name, now), watched_since=began, now=now)

    def _happened(self, server: str, now: float) -> tuple[Sequence[Happened], Sequence[Kept]] | None:
        journal, since = self._deps.journal, now - SHOWN_SECONDS
        try:
            events = journal.events(server=server, since=since, limit=_EVENTS)
            failed = [
                kept
                for outcome in _NO_ANSWER
                for kept in journal.list(server=server, since=since, outcome=outcome, limit=_FAILURES)
            ]
        except LmwatchError as error:
            logger.warning("cannot read events: %s", error)
            return None
        return events, sorted(failed, key=lambda kept: kept.at, reverse=True)[:_FAILURES]
