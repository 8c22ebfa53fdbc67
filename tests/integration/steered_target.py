"""A target whose series a test makes anomalous when it wants."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from exporter.embedded.exposition_text import CONTENT_TYPE
from exporter.embedded.studio_http import Call, Listener


def metric(part: str) -> str:
    """The name of a part's series."""
    return f"steered_{part}"


class SteeredTarget:
    """Exposes one gauge for each part: calm and a little noisy, ten times as high while it is planted."""

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts = tuple(parts)
        self._planted: set[str] = set()
        self._lock = threading.Lock()
        self._listener = Listener(0, self._answer)

    @property
    def address(self) -> str:
        """`host:port`, as a scrape target is written."""
        return f"127.0.0.1:{self._listener.port}"

    def plant(self, part: str) -> None:
        """Let a part be anomalous from now on."""
        assert part in self._parts, part
        with self._lock:
            self._planted.add(part)

    def calm(self, part: str) -> None:
        """Let it be calm again."""
        with self._lock:
            self._planted.discard(part)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.stop()

    def _answer(self, call: Call) -> None:
        second = int(time.time())
        with self._lock:
            planted = set(self._planted)
        lines: list[str] = []
        for number, part in enumerate(self._parts):
            noise = (7 * second + 3 * number) % 11
            value = 1000 + noise if part in planted else 100 + noise
            name = metric(part)
            lines += [f"# HELP {name} Orders that wait.", f"# TYPE {name} gauge", f"{name} {value}"]
        call.send_text(200, CONTENT_TYPE, "\n".join([*lines, ""]))
