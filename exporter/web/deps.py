"""What the web application needs of the rest of lmwatch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.alerting.alert import Alert
from exporter.board import Board
from exporter.clock import Clock, SystemClock
from exporter.metrics.exposition import Exposition
from exporter.screening.result import ScreenedGroup
from exporter.series.labels import Labels
from exporter.web.kept import VerdictStore
from exporter.web.windows import GroupsOf


def _no_groups(_watch: str, _wanted: Callable[[Labels], bool]) -> Sequence[ScreenedGroup]:
    return ()


def _no_webhook(_body: bytes) -> tuple[int, str]:
    return 404, "there is no webhook"


@dataclass(frozen=True)
class WebDeps:
    """What the application needs of the rest."""

    board: Callable[[], Board]
    exposition: Exposition
    journal: VerdictStore
    reload: Callable[[], None]
    """Reads the configuration again; raises LmwatchError when it cannot be used."""
    config_text: Callable[[], str]
    """The running configuration as YAML, without secrets."""
    groups: GroupsOf = _no_groups
    """The wanted groups of a watch with the histories of their most anomalous series."""
    alerts: Callable[[], Sequence[Alert]] = tuple
    """The alerts that are pending or firing."""
    webhook: Callable[[bytes], tuple[int, str]] = _no_webhook
    """Takes the body of a notification; gives the status of the answer and its text."""
    webhook_token: Callable[[], Path | None] = lambda: None
    """The file with the bearer token of the webhook."""
    notifications: Callable[[int], Sequence[Mapping[str, Any]]] = lambda _: ()
    """What came in by webhook, the newest first, at most so many."""
    external_url: str = ""
    """Under which address people reach lmwatch; its path goes in front of every link."""
    clock: Clock = field(default_factory=SystemClock)
