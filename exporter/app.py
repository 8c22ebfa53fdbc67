"""The application: the one place that puts the parts together, starts and stops them, and reloads."""

import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from exporter.board import ReloadState
from exporter.clock import Clock, SystemClock
from exporter.config.model import Config
from exporter.config.show import redacted_yaml
from exporter.errors import LmwatchError
from exporter.journal.histories import Histories
from exporter.journal.store import Journal
from exporter.logs import fields
from exporter.reasoning.verdict import Verdict
from exporter.runtime import Runtime
from exporter.screening.result import ScreenedGroup
from exporter.series.labels import Labels
from exporter.services import make_services
from exporter.web.access import webhook_bearer
from exporter.web.connections import Limits
from exporter.web.deps import WebDeps
from exporter.web.routes import create_app
from exporter.web.server import WebServer

logger = logging.getLogger(__name__)

_HOUR = 3600.0


@dataclass(frozen=True)
class StopSeconds:
    """How long each part may take to end. They end one after the other in this order, within a supervisor's usual 10 s."""

    webhook: float = 1.5
    """Notifications that wait are sent on as they are."""
    runtime: float = 2.0
    """What is remembered is saved; calls to models and answers that pass through the proxy are cut off."""
    annotations: float = 0.5
    """Annotations that wait are written."""
    alerts: float = 2.0
    """Alerts that wait are delivered."""
    web: float = 1.5
    """Requests that are being answered may go on, on all addresses together."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.webhook + self.runtime + self.annotations + self.alerts + self.web


STOP_SECONDS = StopSeconds()


@dataclass(frozen=True)
class Options:
    """What the command line decides."""

    listen: tuple[str, ...] = (":9917",)
    web_config: Path | None = None


class App:
    """lmwatch as one object: `start`, `reload`, `stop`.

    Args:
        load: reads the configuration; called at the start and at each reload.
        options: what the command line decides.
        clock: tells the time.
        on_verdict: told each verdict after it was kept.

    Raises:
        ConfigError: the configuration cannot be used; nothing was started.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        options: Options,
        clock: Clock | None = None,
        on_verdict: Callable[[Verdict], None] = lambda _: None,
    ) -> None:
        clock = clock or SystemClock()
        self._load = load
        self._clock = clock
        self._reloading = threading.Lock()
        self._runs = False
        self._cleanup = ExitStack()
        config = load()
        self.journal = Journal(config.journal.path if config.journal else None)
        self._histories = Histories(_history_folder(config))
        external_url = config.web.external_url or ""
        self._services = make_services(
            clock,
            self.journal,
            on_verdict,
            self._histories,
            external_url=external_url,
            base_url=external_url or _own_url(options.listen),
        )
        self.board = self._services.reporter.board
        self.runtime = Runtime(config, self._services)
        deps = WebDeps(
            board=self.board.current,
            exposition=self._services.exposition,
            journal=self.journal,
            reload=self.reload,
            config_text=lambda: redacted_yaml(self.runtime.config),
            groups=self.groups,
            alerts=self._services.alerts.active,
            webhook=self._receive,
            webhook_token=self._webhook_token,
            notifications=self._notifications,
            external_url=external_url,
            clock=clock,
        )
        bearer = webhook_bearer(self._webhook_token, deps.external_url)
        limits = Limits(stop_seconds=STOP_SECONDS.web / len(options.listen))
        self._server = WebServer(create_app(deps), options.listen, options.web_config, limits, bearer=bearer)

    @property
    def addresses(self) -> Sequence[str]:
        """Where the HTTP server listens, `host:port`, once started."""
        return self._server.addresses

    def start(self) -> None:
        """Serve and run. What was begun is undone when something cannot start; a reload that is asked for meanwhile waits."""
        with ExitStack() as undo, self._reloading:
            undo.callback(self.journal.close)
            self._server.start()
            undo.callback(self._server.stop)
            self._services.scheduler.start()
            undo.callback(self._services.scheduler.stop)
            undo.callback(lambda: self._services.alerts.stop(STOP_SECONDS.alerts))
            undo.callback(lambda: self._services.annotations.stop(STOP_SECONDS.annotations))
            undo.callback(lambda: self.runtime.stop(STOP_SECONDS.runtime))
            undo.callback(lambda: self._services.inbox.stop(STOP_SECONDS.webhook))
            self.runtime.start()
            self._services.inbox.start()
            self._housekeeping()
            self._cleanup = undo.pop_all()
            self._runs = True

    def stop(self) -> None:
        """End everything, the last begun first. A second call does nothing."""
        with self._reloading:
            self._runs = False
        self._cleanup.pop_all().close()

    def reload(self) -> None:
        """Read the configuration again and go over to it; one that cannot be used changes nothing.

        Raises:
            LmwatchError: why the new configuration cannot be used.
        """
        with self._reloading:
            if not self._runs:
                raise LmwatchError("lmwatch does not run: it has not started, or is stopping")
            try:
                self._go_over_to(self._load())
            except Exception as error:
                failed = str(error) if isinstance(error, LmwatchError) else repr(error)
                self.board.update(lambda b: replace(b, reload=replace(b.reload, successful=False, error=failed)))
                if isinstance(error, LmwatchError):
                    logger.error("the configuration was not reloaded", extra=fields(error=failed))  # noqa: TRY400 - the text says it
                    raise
                logger.exception("the configuration was not reloaded", extra=fields(error=failed))
                raise LmwatchError(f"the reload failed: {failed}") from error
            now = self._clock.now()
            self.board.update(lambda b: replace(b, reload=ReloadState(True, now)))
            logger.info("the configuration was reloaded")

    def _go_over_to(self, config: Config) -> None:
        successor = Runtime(config, self._services, previous=self.runtime)
        for key in _only_at_start(self.runtime.config, config):
            logger.warning("a changed key takes effect only at the next start", extra=fields(key=key))
        successor.start()
        self.runtime = successor

    def groups(self, watch: str, wanted: Callable[[Labels], bool] = lambda _: True) -> Sequence[ScreenedGroup]:
        """The groups of a watch whose labels are wanted, with their most anomalous series; none where there is no such watch."""
        return self.runtime.groups(watch, wanted)

    def _receive(self, body: bytes) -> tuple[int, str]:
        received = self._services.inbox.receive(body)
        return received.status, received.text

    def _webhook_token(self) -> Path | None:
        return self.runtime.config.alerting.webhook.token_file

    def _notifications(self, limit: int) -> Sequence[Mapping[str, Any]]:
        return [asdict(stored) for stored in self.journal.notifications.list(limit)]

    def _housekeeping(self) -> None:
        def prune() -> None:
            journal = self.runtime.config.journal
            if journal is not None:
                self.journal.prune(self._clock.now() - journal.retention)
                needed = max([journal.retention, *(watch.history for watch in self.runtime.config.watches)])
                self._histories.prune(self._clock.now() - needed)

        def keep() -> None:
            self.runtime.keep()

        scheduler = self._services.scheduler
        scheduler.every(_HOUR, prune, name="journal:prune", kind="housekeeping")
        if self.runtime.config.journal is not None:
            scheduler.every(_HOUR, keep, name="history:keep", kind="housekeeping", offset=_HOUR)


def _history_folder(config: Config) -> Path | None:
    """Where histories are kept: beside the journal."""
    path = config.journal.path if config.journal else None
    return path.with_name(f"{path.name}.history") if path else None


def _own_url(listen: Sequence[str]) -> str:
    """How others may reach us where the configuration does not say it, as Prometheus works it out."""
    return f"http://{socket.gethostname()}:{listen[0].rpartition(':')[2]}" if listen else ""


def _only_at_start(before: Config, after: Config) -> list[str]:
    """The changed keys that a reload does not follow."""
    paths = [config.journal.path if config.journal else None for config in (before, after)]
    changed = {"journal.path": paths[0] != paths[1], "web.external_url": before.web != after.web}
    return [key for key, differs in changed.items() if differs]
