"""Secrets: where they may come from, how they are read, and how they are kept out of everything that is printed."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from exporter.errors import ConfigError

HIDDEN = "<secret>"
"""What stands in the place of a secret wherever a configuration is shown."""

_LONGEST = 64 * 1024
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_CREDENTIAL = re.compile(
    r"auth(?!ors?(?:$|[-_]))|token|secret|passw|passphrase|cookie|credential|session|signature|api[-_]?key|(?:^|[-_])key(?:$|[-_])",
    re.IGNORECASE,
)


def read_secret(path: Path) -> str:
    """The secret that a `*_file` key names, without the newline at its end.

    Files are read when the secret is used, so that a rotated one needs no reload.

    Raises:
        ConfigError: the file cannot be read, is empty, longer than 64 KiB, or not one line of text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    if len(content) > _LONGEST:
        raise ConfigError(f"{path} is longer than 64 KiB: that is no secret")
    try:
        return checked_secret(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    except ValueError as error:
        raise ConfigError(f"{path} {error}") from None


def checked_secret(text: str) -> str:
    """The secret without newlines at its end.

    Raises:
        ValueError: it is empty, or holds control characters that would break out of an HTTP header.
    """
    secret = text.rstrip("\r\n")
    if not secret:
        raise ValueError("is empty")
    if not all(character.isprintable() for character in secret):
        raise ValueError("holds more than one line, or control characters")
    return secret


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with each `${NAME}` replaced by that environment variable.

    Raises:
        ValueError: a variable is not set, is empty, or holds more than one line; the text names the variable only.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise ValueError(f"the environment variable {match[1]} is not set")
        try:
            return checked_secret(environ[match[1]])
        except ValueError as error:
            raise ValueError(f"the environment variable {match[1]} {error}") from None

    return _VARIABLE.sub(value, text)


def names_variable(text: str) -> bool:
    """Whether `${NAME}` stands somewhere in the text."""
    return _VARIABLE.search(text) is not None


def is_variable(text: str) -> bool:
    """Whether the whole text is one `${NAME}`."""
    return _VARIABLE.fullmatch(text) is not None


def looks_like_credential(name: str) -> bool:
    """Whether a header, parameter or key of this name usually holds a secret."""
    return _CREDENTIAL.search(name) is not None


def redact_url(url: str) -> str:
    """The URL with user and password, and the values of parameters that look like credentials, hidden."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = "&".join(_redact_parameter(pair) for pair in parts.query.split("&"))
    return urlunsplit(parts._replace(netloc=f"{HIDDEN if user else ''}{at}{host}", query=query))


def redact_path(url: str) -> str:
    """Scheme and host of a URL whose path is the secret, as with the webhooks of chat services."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/{HIDDEN}"


def redact_values(pairs: Mapping[str, str]) -> dict[str, str]:
    """The pairs, with the values of names that look like credentials hidden."""
    return {name: HIDDEN if looks_like_credential(name) else value for name, value in pairs.items()}


def redact_lists(pairs: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """As `redact_values`, for parameters that may be given more than once."""
    return {
        name: [HIDDEN if looks_like_credential(name) else value for value in values] for name, values in pairs.items()
    }


def _redact_parameter(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={HIDDEN}" if equals and looks_like_credential(name) else pair
