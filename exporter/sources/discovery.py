"""Targets that are found rather than listed: `file_sd` and `http_sd`, in Prometheus' formats."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.clock import Clock
from exporter.config.document import parse_document
from exporter.config.model import FileDiscovery, HttpDiscovery
from exporter.errors import BadDataError, LmwatchError
from exporter.series.labels import Labels, labels_of
from exporter.sources.http import Cancel, HttpSession

MAX_BYTES = 32 * 1024**2
"""Longest document that is read."""
_HTTP_DEADLINE = 30.0
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s/?#@:\[\]]+)(?::[0-9]{1,5})?")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_JSON = re.compile(r'application/json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A target as it was listed or discovered. Two equal ones are the same target."""

    address: str
    """`host:port`."""
    labels: Labels = ()
    """Without those that begin with two underscores."""
    scheme: str | None = None
    """From `__scheme__`; None where the source's own holds."""
    path: str | None = None
    """From `__metrics_path__`, likewise."""
    params: Labels = ()
    """From `__param_<name>`: one value each, in place of the source's own."""


def checked_address(address: Any, where: str) -> str:
    """The address if it is `host` or `host:port`.

    Raises:
        BadDataError: it is something else; says what, and where it stands.
    """
    if not (isinstance(address, str) and address.isprintable() and _ADDRESS.fullmatch(address)):
        raise BadDataError(f"{where}: {str(address)[:100]!r} is no target; write host:port, without scheme and path")
    return address


def parse_groups(document: Any, where: str) -> tuple[Endpoint, ...]:
    """The endpoints of `[{"targets": ["host:port"], "labels": {"name": "value"}}]`.

    Args:
        document: what came out of JSON or YAML.
        where: names the document in errors.

    Raises:
        BadDataError: anything in it is not as it should be; nothing of it is to be used.
    """
    if not isinstance(document, list):
        raise BadDataError(f"{where}: a list of target groups was expected, not {_kind(document)}")
    return tuple(
        endpoint for index, group in enumerate(document) for endpoint in _group(group, f"{where}: entry {index + 1}")
    )


def _group(group: Any, where: str) -> Iterator[Endpoint]:
    if not isinstance(group, Mapping):
        raise BadDataError(f"{where}: a mapping with targets and labels was expected, not {_kind(group)}")
    if unknown := sorted(str(key) for key in group.keys() - {"targets", "labels"}):
        raise BadDataError(f"{where}: unknown key {unknown[0][:100]!r}; only targets and labels are allowed")
    targets = group.get("targets") or []
    if not isinstance(targets, list):
        raise BadDataError(f"{where}: targets must be a list, not {_kind(targets)}")
    pairs = _pairs(group.get("labels") or {}, where)
    special = {name: value for name, value in pairs.items() if name.startswith("__") and value}
    labels = labels_of({name: value for name, value in pairs.items() if not name.startswith("__")})
    params = {name.removeprefix("__param_"): value for name, value in special.items() if name.startswith("__param_")}
    scheme, path = special.get("__scheme__"), special.get("__metrics_path__")
    if scheme not in (None, "http", "https"):
        raise BadDataError(f"{where}: __scheme__ must be http or https, not {scheme[:100]!r}")
    for target in targets:
        yield Endpoint(checked_address(target, where), labels, scheme, path, labels_of(params))


def _pairs(labels: Any, where: str) -> dict[str, str]:
    if not isinstance(labels, Mapping):
        raise BadDataError(f"{where}: labels must be a mapping, not {_kind(labels)}")
    pairs: dict[str, str] = {}
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            raise BadDataError(f"{where}: {str(name)[:100]!r} is no label name")
        # A whole number loses nothing on its way through YAML; 1.10 and yes do.
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BadDataError(f"{where}: the value of label {name} must be text; put it into quotes")
        pairs[name] = str(value)
    return pairs


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)


def parse_json(text: str | bytes, where: str) -> Any:
    """A JSON document.

    Raises:
        BadDataError: it is none; says where it stops being one.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadDataError(f"{where}: no valid JSON ({error})") from None


@dataclass(frozen=True)
class _File:
    """What one file said when it was last good."""

    stamp: tuple[int, int, int] = (0, 0, 0)
    endpoints: tuple[Endpoint, ...] = ()
    error: str = ""
    read_at: float = field(default=-float("inf"))


class FileTargets:
    """The targets in a set of files.

    A file that changed is read again at the next `refresh`, and in any case after `refresh_interval`. What can't
    be understood leaves the file's last good targets in place; a file that is gone takes its targets with it.
    """

    def __init__(self, config: FileDiscovery, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._files: dict[Path, _File] = {}
        self._missing: tuple[str, ...] = ()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All targets, file by file in the order of their names."""
        return tuple(endpoint for path in sorted(self._files) for endpoint in self._files[path].endpoints)

    @property
    def errors(self) -> tuple[str, ...]:
        """What is wrong with which file."""
        return (*self._missing, *(known.error for known in self._files.values() if known.error))

    def refresh(self) -> None:
        """Look for changes."""
        present: dict[Path, _File] = {}
        missing: list[str] = []
        for pattern in self._config.files:
            for path in sorted(pattern.parent.glob(pattern.name)) if _is_glob(pattern) else [pattern]:
                try:
                    present[path] = self._file(path)
                except FileNotFoundError:
                    missing.append(f"{path}: there is no such file; create it, or correct file_sd")
        self._files = present
        self._missing = tuple(missing)

    def _file(self, path: Path) -> _File:
        known = self._files.get(path) or _File()
        now = self._clock.monotonic()
        try:
            about = path.stat()
            stamp = (about.st_mtime_ns, about.st_size, about.st_ino)
            if stamp == known.stamp and now - known.read_at < self._config.refresh_interval:
                return known
            return _File(stamp, _read_file(path), "", now)
        except FileNotFoundError:
            raise
        except OSError as error:
            return _File((0, 0, 0), known.endpoints, f"{path}: cannot be read ({error.strerror or error})", now)
        except LmwatchError as error:
            return _File(stamp, known.endpoints, str(error), now)


def _is_glob(path: Path) -> bool:
    return any(char in path.name for char in "*?[")


def _read_file(path: Path) -> tuple[Endpoint, ...]:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BadDataError(f"{path}: longer than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadDataError(f"{path}: not UTF-8 text") from None
    if path.suffix == ".json":
        return parse_groups(parse_json(text, str(path)), str(path))
    if path.suffix not in (".yml", ".yaml"):
        raise BadDataError(f"{path}: the name must end in .json, .yml or .yaml")
    document = parse_document(text, file=str(path))
    if document.mistakes:
        raise BadDataError(document.mistakes[0].line(str(path)))
    return parse_groups(document.data if text.strip() else [], str(path))


class HttpTargets:
    """The targets that a URL lists; the last good answer counts while it does not."""

    def __init__(self, config: HttpDiscovery, clock: Clock, cancel: Cancel) -> None:
        self._config = config
        self._clock = clock
        self._cancel = cancel
        self._session = HttpSession(config, pool_size=1)
        self._due = -float("inf")
        self.endpoints: tuple[Endpoint, ...] = ()
        self.errors: tuple[str, ...] = ()

    def refresh(self) -> None:
        """Ask again if `refresh_interval` has passed."""
        if self._clock.monotonic() < self._due:
            return
        self._due = self._clock.monotonic() + self._config.refresh_interval
        try:
            self.endpoints = self._fetch()
            self.errors = ()
        except LmwatchError as error:
            self.errors = (str(error),)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _fetch(self) -> tuple[Endpoint, ...]:
        url = self._config.url
        answer = self._session.get(
            url,
            deadline_seconds=min(self._config.refresh_interval, _HTTP_DEADLINE),
            max_bytes=MAX_BYTES,
            headers={
                "Accept": "application/json",
                "X-Prometheus-Refresh-Interval-Seconds": f"{self._config.refresh_interval:g}",
            },
            cancel=self._cancel,
        )
        if answer.status != 200:
            raise BadDataError(f"{url}: answered {answer.status} where 200 with a list of targets was expected")
        content_type = answer.headers.get("Content-Type", "").strip()
        if not _JSON.fullmatch(content_type):
            raise BadDataError(f"{url}: answered {content_type[:100]!r} where application/json was expected")
        return parse_groups(parse_json(answer.body, url), url)
