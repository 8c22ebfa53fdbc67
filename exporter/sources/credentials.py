"""The Authorization header of a request, with secrets read from their files at each use so that they rotate."""

import base64
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from exporter.config.http import HttpClient
from exporter.config.secrets import read_secret
from exporter.errors import ConfigError
from exporter.sources.failures import HttpError


def authorization_header(settings: HttpClient, override: Callable[[], str] | None, url: str) -> str | None:
    """The value of the Authorization header; None where the configuration asks for none.

    Args:
        settings: basic_auth or authorization are taken from here.
        override: gives the value in their place.
        url: for the error's text.

    Raises:
        HttpError: kind `credentials`: a secret cannot be read, or does not fit into a header; names its file.
    """
    try:
        value = override() if override is not None else _from_settings(settings)
    except ConfigError as error:
        raise HttpError("credentials", url, f"{error}; put the secret there as one line of text") from None
    if value is not None and not (value.isascii() and value.isprintable()):
        raise HttpError("credentials", url, "the credentials hold a line break or a character outside ASCII")
    return value


def _from_settings(settings: HttpClient) -> str | None:
    if (basic := settings.basic_auth) is not None:
        pair = f"{basic.username}:{_secret(basic.password, basic.password_file)}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
    if (given := settings.authorization) is not None:
        return f"{given.type} {_secret(given.credentials, given.credentials_file)}"
    return None


def _secret(value: SecretStr | None, file: Path | None) -> str:
    if file is not None:
        return read_secret(file)
    return value.get_secret_value() if value is not None else ""
