"""Where results go beside the table, and what the user typed for them."""

import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.config.secrets import HIDDEN, redact_url
from exporter.errors import ConfigError

STANDARD_OUTPUT: Final = ("-", "/dev/stdout")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the result goes beside the table."""

    json: str | None = None
    """A path; `-` is standard output, and the table goes to standard error then."""
    report: Path | None = None


def command_line(typed: Sequence[str]) -> str:
    """What the user typed, as a shell takes it, without credentials in URLs."""
    return shlex.join(["lmwatch", *map(without_credentials, typed)])


def without_credentials(argument: str) -> str:
    """An argument of the command line; where a URL stands in it, its user, password and keys are hidden."""
    found = _SCHEME.search(argument)
    if found is None:
        return argument
    try:
        return argument[: found.start()] + redact_url(argument[found.start() :])
    except ValueError:
        return argument[: found.end()] + HIDDEN


def check_writable(option: str, path: Path) -> None:
    """Raise ConfigError now rather than after minutes of work."""
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"{option} {path}: there is no folder {path.parent}; make it first")
    if path.exists():
        return
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ConfigError(
            f"{option} {path}: no file can be made in {path.parent}: {error.strerror or error}"
        ) from error
