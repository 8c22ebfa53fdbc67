"""The building blocks of the configuration model: a strict section, and the scalar types of the file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, SecretStr, ValidationInfo

from exporter.config.durations import format_duration, parse_duration
from exporter.config.secrets import HIDDEN, expand, is_variable, names_variable, redact_path, redact_url

_SIZE_UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}

_LISTEN_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s\[\]:/@]*):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file's values are read against. Without it (values made by the program) nothing outside is looked at."""

    directory: Path
    """Relative paths are taken from here."""
    environ: Mapping[str, str] = field(repr=False)
    """Where `${NAME}` is looked up."""


class Section(BaseModel):
    """A mapping in the file: unknown keys are errors, values keep their type, nothing changes after loading.

    What it prints, by `str`, `repr` or `model_dump`, holds no secret.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The serialised values: serialisers hide secrets, attributes do not."""
        return self.model_dump(by_alias=True).items()


def matching(pattern: str, says: str) -> AfterValidator:
    """A check that a text matches the whole of a pattern; `says` completes "must ..."."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"must {says}")
        return value

    return AfterValidator(check)


def at_least(shortest: str) -> AfterValidator:
    """A check that a duration is not shorter than this one."""
    seconds = parse_duration(shortest)

    def check(value: float) -> float:
        if value < seconds:
            raise ValueError(f"must be at least {shortest}, not {format_duration(value)}")
        return value

    return AfterValidator(check)


def at_most(longest: str) -> AfterValidator:
    """A check that a duration is not longer than this one."""
    seconds = parse_duration(longest)

    def check(value: float) -> float:
        if value > seconds:
            raise ValueError(f"must be at most {longest}, not {format_duration(value)}")
        return value

    return AfterValidator(check)


def _more_than_nothing(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than 0")
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError("write a duration with its unit, like 30s, 5m or 1h30m")


def _size(value: Any) -> Any:
    if value == 0 and not isinstance(value, bool):
        return 0
    match = re.fullmatch(r"([0-9]{1,15})\s*([A-Za-z]+)?", value) if isinstance(value, str) else None
    if match is None or (match[2] or "B").upper() not in _SIZE_UNITS:
        raise ValueError("write a size with its unit, like 512KB, 50MB or 1GB; 0 is no limit")
    return int(match[1]) * _SIZE_UNITS[(match[2] or "B").upper()]


def _format_size(size: int) -> str:
    for unit in ("GB", "MB", "KB"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return f"{size}B" if size else "0"


def _parts(value: Any) -> SplitResult:
    """The parts of an http URL. Errors never repeat the text: it may hold a password."""
    says = "write an http or https URL with a host, like http://127.0.0.1:1234"
    if not isinstance(value, str) or not value.isprintable() or " " in value or "${" in value:
        raise ValueError(says)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(says)
    return parts


def _without_credentials(value: Any) -> SplitResult:
    parts = _parts(value)
    if "@" in parts.netloc:
        raise ValueError("a user or password must not stand in a URL: use basic_auth with password_file")
    return parts


def _base_url(value: Any) -> Any:
    parts = _without_credentials(value)
    if parts.query or parts.fragment:
        raise ValueError("must be a URL without ? and #: paths are appended to it")
    return value.rstrip("/")


def _expanded(value: Any, info: ValidationInfo) -> Any:
    """The value with its `${NAME}` replaced; None where it has none."""
    if isinstance(info.context, Surroundings) and isinstance(value, str) and names_variable(value):
        return expand(value, info.context.environ)
    return None


def _page_url(value: Any, info: ValidationInfo) -> Any:
    given = _expanded(value, info) or value
    _without_credentials(given)
    return given


def _proxy_url(value: Any, info: ValidationInfo) -> Any:
    given = _expanded(value, info)
    if given is None:
        return _base_url(value)
    _parts(given)
    return given.rstrip("/")


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path) or value == "":
        raise ValueError("write the path of a file")
    directory = info.context.directory if isinstance(info.context, Surroundings) else Path()
    try:
        return directory / Path(value).expanduser()
    except RuntimeError:
        raise ValueError("the home directory that ~ stands for is not known") from None


def _readable(path: Path, info: ValidationInfo) -> Path:
    if isinstance(info.context, Surroundings):
        try:
            with path.open("rb") as file:
                file.read(1)
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror or error}") from None
    return path


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, SecretStr):
        return value
    given = _expanded(value, info) if isinstance(value, str) and is_variable(value) else None
    if given is None:
        raise ValueError(
            "a secret must not stand in the file: put it into a file of its own and name that with the *_file key, "
            "or write ${NAME_OF_AN_ENVIRONMENT_VARIABLE}",
        )
    return SecretStr(given)


def _target(value: str) -> str:
    if "://" in value or "/" in value or "@" in value:
        raise ValueError("write host:port alone; scheme and path are keys of their own")
    if not value or not value.isprintable() or " " in value:
        raise ValueError("write host:port, like 127.0.0.1:9100 or [::1]:9100")
    return value


def _listen_address(value: str) -> str:
    match = _LISTEN_ADDRESS.fullmatch(value)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError("write host:port or :port, like 127.0.0.1:1235 or [::1]:1235")
    return value


def _auto_on_off(value: Any) -> Any:
    # YAML 1.2 readers keep on/off as text, YAML 1.1 habits write true/false: both mean the same here.
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


longer_than_nothing = AfterValidator(_more_than_nothing)
"""A check that a duration is not 0."""
Duration = Annotated[float, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)]
"""Seconds; written as in Prometheus."""
AutoOnOff = Annotated[Literal["auto", "on", "off"], BeforeValidator(_auto_on_off)]
"""`auto`, or a switch written as a word or as a boolean."""
Size = Annotated[int, BeforeValidator(_size), PlainSerializer(_format_size, return_type=str)]
"""Bytes; written like 50MB, with 1024 as the step as in Prometheus."""
Url = Annotated[str, BeforeValidator(_base_url)]
"""An http or https address to which paths are appended: no trailing slash, no query, no credentials."""
PageUrl = Annotated[str, BeforeValidator(_page_url), PlainSerializer(redact_url, return_type=str)]
"""An http or https address taken as it is; it may hold `${NAME}`, but no credentials in front of the host."""
SecretUrl = Annotated[str, BeforeValidator(_page_url), PlainSerializer(redact_path, return_type=str)]
"""As PageUrl, but whoever knows its path may use it: only scheme and host are printed."""
ProxyUrl = Annotated[str, BeforeValidator(_proxy_url), PlainSerializer(redact_url, return_type=str)]
"""The address of an HTTP proxy; a password in it comes from the environment as `${NAME}`."""
FilePath = Annotated[Path, BeforeValidator(_path), PlainSerializer(str, return_type=str)]
"""A path; a relative one is taken from the folder of the configuration file."""
InputFile = Annotated[FilePath, AfterValidator(_readable)]
"""A file that must exist and be readable when the configuration is loaded; it is read when it is used."""
Secret = Annotated[SecretStr, BeforeValidator(_secret), PlainSerializer(lambda _: HIDDEN, return_type=str)]
"""A value that only the environment may hold, written as `${NAME}`; prints as <secret>."""
Target = Annotated[str, AfterValidator(_target)]
"""The address of a scrape target: `host:port`."""
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
"""Where a server of this program listens: `host:port`, or `:port` for all addresses."""
Name = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}",
        "begin with a letter or digit and hold only letters, digits, '_', '.' and '-', at most 100",
    ),
]
"""A name that ends up in labels and addresses."""
LabelName = Annotated[str, matching(r"[a-zA-Z_][a-zA-Z0-9_]*", "be a label name: letters, digits and '_'")]
