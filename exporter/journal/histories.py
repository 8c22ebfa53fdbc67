"""What is remembered over a restart: one file for each target of each watch and one for the watch's groups, beside the journal.

A file holds hourly summaries of metric values, so only its owner may read it. It is written anew as a whole: what a crash
leaves behind is either the old file or the new one.
"""

import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from exporter.errors import BadDataError, TransientError
from exporter.journal import habits_file, history_file
from exporter.journal.habits_file import RememberedGroups
from exporter.journal.history_file import Remembered
from exporter.logs import fields

__all__ = ["Histories", "Remembered", "RememberedGroups", "WatchHistories"]

logger = logging.getLogger(__name__)

_SUFFIX = ".history"
_Kept = TypeVar("_Kept")


class Histories:
    """Keeps histories and finds them again. Any thread may call any method.

    Args:
        folder: where the files are; made when the first is saved. None keeps what is saved in memory until it is loaded:
            it passes from one configuration to the next.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._in_memory: dict[tuple[str, str], Remembered] = {}
        self._groups_in_memory: dict[str, RememberedGroups] = {}
        self._writing = threading.Lock()
        """One file at a time: two saves of the same target would write into each other."""

    def of(self, watch: str) -> "WatchHistories":
        """The histories of one watch."""
        return WatchHistories(self, watch)

    def load(self, watch: str, target: str) -> Remembered | None:
        """What was saved; None where nothing was, or nothing that can be read: that is set aside, and the log says so."""
        if self._folder is None:
            return self._in_memory.pop((watch, target), None)
        path = _path(self._folder, watch, target)
        return _read(path, lambda data: history_file.decoded(data, watch, target), {"watch": watch, "target": target})

    def save(self, watch: str, target: str, remembered: Remembered) -> None:
        """Keep a history in the place of what was there.

        Raises:
            TransientError: it could not be written; what was there still is.
        """
        if self._folder is None:
            self._in_memory[watch, target] = remembered
            return
        path = _path(self._folder, watch, target)
        self._write(path, lambda file: history_file.write(file, watch, target, remembered))

    def load_groups(self, watch: str) -> RememberedGroups | None:
        """What was saved of a watch's groups; None as for `load`."""
        if self._folder is None:
            return self._groups_in_memory.pop(watch, None)
        path = _groups_path(self._folder, watch)
        return _read(path, lambda data: habits_file.decoded(data, watch), {"watch": watch})

    def save_groups(self, watch: str, remembered: RememberedGroups) -> None:
        """Keep what is remembered of a watch's groups in the place of what was there.

        Raises:
            TransientError: it could not be written; what was there still is.
        """
        if self._folder is None:
            self._groups_in_memory[watch] = remembered
            return
        self._write(_groups_path(self._folder, watch), lambda file: habits_file.write(file, watch, remembered))

    def prune(self, older_than: float) -> int:
        """Remove what was saved last before this time (Unix seconds). Returns how many files there were.

        Raises:
            TransientError: a file could not be removed.
        """
        if self._folder is None:
            return 0
        removed = 0
        try:
            for path in self._folder.glob(f"*{_SUFFIX}*"):
                with contextlib.suppress(FileNotFoundError):
                    if path.is_file() and path.stat().st_mtime < older_than:
                        path.unlink()
                        removed += 1
        except OSError as error:
            raise TransientError(f"histories {self._folder}: {error}") from error
        return removed

    def _write(self, path: Path, write: Callable[[BinaryIO], None]) -> None:
        try:
            with self._writing, _replacing(path) as file:
                write(file)
        except OSError as error:
            raise TransientError(f"history {path}: {error}") from error


@dataclass(frozen=True)
class WatchHistories:
    """Keeps the histories of one watch's targets, and its groups' habits."""

    histories: Histories
    watch: str

    def load(self, target: str) -> Remembered | None:
        """As `Histories.load`."""
        return self.histories.load(self.watch, target)

    def save(self, target: str, remembered: Remembered) -> None:
        """As `Histories.save`."""
        self.histories.save(self.watch, target, remembered)

    def load_groups(self) -> RememberedGroups | None:
        """As `Histories.load_groups`."""
        return self.histories.load_groups(self.watch)

    def save_groups(self, remembered: RememberedGroups) -> None:
        """As `Histories.save_groups`."""
        self.histories.save_groups(self.watch, remembered)


def _path(folder: Path, watch: str, target: str) -> Path:
    """A name that any file system takes, whatever a target is called; the watch is in it for people."""
    return folder / f"{watch}-{_digest(watch, target)}{_SUFFIX}"


def _groups_path(folder: Path, watch: str) -> Path:
    return folder / f"{watch}-{_digest(watch)}-groups{_SUFFIX}"


def _digest(*names: str) -> str:
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _read(path: Path, decoded: Callable[[bytes], _Kept], of_whom: dict[str, str]) -> _Kept | None:
    """What a file holds; None where there is none. One that cannot be used is set aside, and the log says so."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("a history cannot be read", extra=fields(**of_whom, error=str(error)))
        return None
    try:
        return decoded(data)
    except BadDataError as error:
        _set_aside(path, of_whom, str(error))
        return None


def _set_aside(path: Path, of_whom: dict[str, str], why: str) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
    except OSError as error:
        why = f"{why}; it cannot be moved: {error}"
    logger.warning(
        "a history cannot be used and is set aside; it begins anew",
        extra=fields(**of_whom, moved_to=str(aside), error=why),
    )


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of another once it is on disk; what a crash leaves of one is overwritten by the next."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the new name on disk too, where the system can be asked for that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
