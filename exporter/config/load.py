"""Reading `lmwatch.yml`: all mistakes of the file at once, each with file, line, column and key."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from exporter.config.base import Section, Surroundings
from exporter.config.crosscheck import crosscheck
from exporter.config.document import Document, Loc, Mistake, config_error, parse_document, path_of
from exporter.config.keys import KeyCheck
from exporter.config.model import Config
from exporter.config.secrets import read_secret
from exporter.config.show import redacted_yaml, summarise
from exporter.config.wording import describe
from exporter.errors import ConfigError

__all__ = [
    "Check",
    "default_config",
    "load_config",
    "parse_config",
    "parse_section",
    "read_secret",
    "read_text",
    "redacted_yaml",
    "summarise",
]

Check = Callable[[Config], Iterable[tuple[Loc, str]]]
"""A check that the configuration cannot make itself: where each mistake stands, as keys from the root, and what it is."""

AnySection = TypeVar("AnySection", bound=Section)
DataCheck = Callable[[Any], Iterable[tuple[Loc, str]]]

_LONGEST_FILE = 4 * 1024**2


def default_config() -> Config:
    """What lmwatch does without a file: watch the health of an LM Studio on this machine, nothing else."""
    return Config()


def load_config(path: Path, environ: Mapping[str, str], checks: Sequence[Check] = ()) -> Config:
    """The configuration in a file.

    Args:
        path: the file; relative paths in it are taken from its folder.
        environ: where `${NAME}` is looked up.
        checks: further checks, made when the file is right as far as this package can see.

    Raises:
        ConfigError: one line for each mistake.
    """
    return parse_config(read_text(path), file=str(path), directory=path.parent, environ=environ, checks=checks)


def parse_config(
    text: str,
    *,
    file: str,
    directory: Path,
    environ: Mapping[str, str],
    checks: Sequence[Check] = (),
) -> Config:
    """The configuration in a text. An empty text is the default configuration.

    Args:
        text: the YAML.
        file: what errors call it.
        directory: where relative paths are taken from.
        environ: where `${NAME}` is looked up.
        checks: further checks, made when the text is right as far as this package can see.

    Raises:
        ConfigError: one line for each mistake.
    """
    document = parse_document(text, file=file)
    config = parse_section(Config, document, Surroundings(directory, environ), crosscheck)
    found = [document.mistake(loc, message) for check in checks for loc, message in check(config)]
    if found:
        raise config_error(file, found)
    return config


def parse_section(
    section: type[AnySection],
    document: Document,
    surroundings: Surroundings,
    check: DataCheck = lambda _: (),
) -> AnySection:
    """A document as a section of a model.

    Args:
        section: what the whole document is.
        document: the parsed file.
        surroundings: where relative paths and `${NAME}` lead.
        check: looks at the plain data, whether or not the model accepts them.

    Raises:
        ConfigError: one line for each mistake.
    """
    if document.data is not None and not isinstance(document.data, dict):
        raise config_error(document.file, [document.mistake((), "the file must hold keys and values")])
    keys = KeyCheck(document)
    data = keys.cleaned(section, document.data or {})
    mistakes = [*document.mistakes, *keys.mistakes]
    mistakes += [document.mistake(loc, text) for loc, text in check(data)]
    try:
        value = section.model_validate(data, context=surroundings)
    except ValidationError as error:
        mistakes += _mistakes(error, document, keys.meant)
        # The original error is not chained: it may hold secrets.
        raise config_error(document.file, mistakes) from None
    if mistakes:
        raise config_error(document.file, mistakes)
    return value


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: it cannot be read, is no UTF-8, or is larger than 4 MiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > _LONGEST_FILE:
        raise ConfigError(f"{path}: is larger than 4 MiB: that is no configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}:1: not UTF-8 text") from None


def _mistakes(error: ValidationError, document: Document, meant: set[Loc]) -> Iterable[Mistake]:
    """What pydantic found, without what only follows from a mistake that is reported already."""
    known = {mistake.path for mistake in document.mistakes}
    for detail in error.errors(include_url=False):
        loc, at_key = detail["loc"], False
        if loc and loc[-1] == "[key]":  # pydantic's mark for the key of a mapping
            loc, at_key = loc[:-1], True
        follows = (
            detail["type"] == "default_factory_not_called"
            or (detail["type"] == "missing" and loc in meant)
            or (detail["type"] == "value_error" and any(place[:-1] == loc for place in meant))
            or path_of(loc) in known
        )
        if follows:
            continue
        yield document.mistake(loc, describe(detail, present=loc in document.values), at_key=at_key)
