"""The building blocks of the configuration model: a strict section, and the scalar types of the file."""

import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr, ValidationInfo

from exporter.config.durations import format_duration, parse_duration

_SIZE_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Section(BaseModel):
    """A mapping in the file: unknown keys are errors, values keep their type, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError("write a duration with its unit, like 30s, 5m or 1h30m")


def _size(value: Any) -> Any:
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]+)?", value) if isinstance(value, str) else None
    if match is None or (match[2] or "B").upper() not in _SIZE_UNITS:
        raise ValueError("write a size with its unit, like 512KB, 50MB or 1GB; 0 is no limit")
    return int(match[1]) * _SIZE_UNITS[(match[2] or "B").upper()]


def _size_or_zero(value: Any) -> Any:
    return 0 if value == 0 and not isinstance(value, bool) else _size(value)


def _ratio(value: Any) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value)):
        return float(match[1]) / 100
    return value


def _url(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("write a URL, like http://127.0.0.1:1234")  # noqa: TRY004 - pydantic reports ValueErrors
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{value!r} is no http or https URL with a host, like http://127.0.0.1:1234")
    if parts.username or parts.password:
        raise ValueError("a URL here must not hold a user or a password; use basic_auth with password_file")
    return value.rstrip("/")


def _path(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str) and value:
        base = (info.context or {}).get("directory", Path())
        return Path(base) / Path(value).expanduser()
    return value


def _secret(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value
    match = _ENV.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "a secret must not stand in the file: put it into a file and name that with the *_file key, or write ${NAME_OF_AN_ENVIRONMENT_VARIABLE}"
        )
    if match[1] not in os.environ:
        raise ValueError(f"the environment variable {match[1]} is not set")
    return SecretStr(os.environ[match[1]])


Duration = Annotated[float, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)]
"""Seconds; written as in Prometheus."""
Size = Annotated[int, BeforeValidator(_size_or_zero), Field(ge=0)]
"""Bytes; written like 50MB, with 1024 as the step as in Prometheus."""
Ratio = Annotated[float, BeforeValidator(_ratio), Field(ge=0)]
"""A share; written as 0.05 or 5%."""
Url = Annotated[str, BeforeValidator(_url)]
"""An http or https address without a trailing slash and without credentials."""
FilePath = Annotated[Path, BeforeValidator(_path), PlainSerializer(str, return_type=str)]
"""A file; a relative one is taken from the folder of the configuration file."""
Secret = Annotated[SecretStr, BeforeValidator(_secret), PlainSerializer(lambda _: "<secret>", return_type=str)]
"""A value that only the environment may hold; prints as <secret>."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", max_length=100)]
"""A name that ends up in labels and addresses."""
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
