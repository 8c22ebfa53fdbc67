"""The busy world behind a real HTTP server in this process; what it shows can be changed while a browser looks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from busy_world import busy_alerts, busy_board, busy_groups
from prometheus_client import CollectorRegistry
from web_fakes import NOW

from exporter.board import BoardHolder
from exporter.clock import ManualClock
from exporter.journal.store import Journal, Record
from exporter.metrics.collectors import BoardCollector
from exporter.metrics.exposition import Exposition
from exporter.reasoning.document import to_document
from exporter.reasoning.verdict import Verdict
from exporter.web.routes import WebDeps, create_app
from exporter.web.server import WebServer

_CONFIGURATION = "servers:\n- name: desk\n  url: http://127.0.0.1:1234\n  api_token: <secret>\nwatches:\n" + "".join(
    f"- name: watch-{number}\n  context: {'A rather long line about what this is. ' * 6}\n" for number in range(30)
)


class CountingJournal:
    """A journal that counts the rows it hands out."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.rows = 0

    def __getattr__(self, name: str) -> Any:
        """The journal's method, counted where it gives a list."""
        method = getattr(self._journal, name)

        def counted(*args: Any, **named: Any) -> Any:
            result = method(*args, **named)
            self.rows += len(result) if isinstance(result, list) else 1
            return result

        return counted


class BusySite:
    """A running server.

    Args:
        journal: the file of a filled journal.

    Attributes:
        url: without a slash at its end.
        clock: what the server takes for the present.
    """

    def __init__(self, journal: Path) -> None:
        self.clock = ManualClock(NOW)
        self.board = BoardHolder(busy_board())
        self.kept = Journal(journal)
        self.journal = CountingJournal(self.kept)
        groups = busy_groups()
        registry = CollectorRegistry()
        registry.register(BoardCollector(self.board.current))
        deps = WebDeps(
            board=self.board.current,
            exposition=Exposition(registry, self.board.current),
            journal=self.journal,
            reload=lambda: None,
            config_text=lambda: _CONFIGURATION,
            groups=lambda watch, wanted=lambda _: True: [group for group in groups.get(watch, []) if wanted(group.key)],
            alerts=busy_alerts,
            notifications=lambda limit: [asdict(stored) for stored in self.kept.notifications.list(limit)],
            clock=self.clock,
        )
        self.app = create_app(deps)
        self._server = WebServer(self.app, ("127.0.0.1:0",))
        self._server.start()
        self.url = f"http://{self._server.addresses[0]}"

    def judge(self, verdict: Verdict) -> None:
        """A new verdict reaches the journal and the board."""
        self.kept.put(
            Record(verdict.id, verdict.watch, verdict.group, verdict.at, verdict.outcome, to_document(verdict))
        )
        picture = self.board.current().watches[verdict.watch]
        verdicts = {**picture.verdicts, verdict.group: verdict}
        self.board.put_watch(replace(picture, at=self.clock.now(), verdicts=verdicts), {})

    def stop(self) -> None:
        """End it."""
        self._server.stop()
        self.kept.close()


@contextmanager
def busy_site(journal: Path) -> Iterator[BusySite]:
    """A site for the duration of a block, over a journal's file that it may change."""
    site = BusySite(journal)
    try:
        yield site
    finally:
        site.stop()
