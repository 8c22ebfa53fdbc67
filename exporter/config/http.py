"""How to reach another HTTP server: the vocabulary of Prometheus' `http_config`, so that blocks can be pasted."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, ValidationInfo, model_validator

from exporter.config.base import InputFile, ProxyUrl, Secret, Section, Surroundings
from exporter.config.secrets import expand, looks_like_credential, names_variable, redact_values

TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.1: a field name is a token."""


class BasicAuth(Section):
    """User and password."""

    username: str
    password: Secret | None = None
    password_file: InputFile | None = None

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file exclude each other")
        return self


class Authorization(Section):
    """An Authorization header."""

    type: str = "Bearer"
    credentials: Secret | None = None
    credentials_file: InputFile | None = None

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.credentials is None) == (self.credentials_file is None):
            raise ValueError("give exactly one of credentials_file and credentials")
        return self


class TlsConfig(Section):
    """TLS towards the other server."""

    ca_file: InputFile | None = None
    cert_file: InputFile | None = None
    key_file: InputFile | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False
    min_version: TlsVersion | None = None

    @model_validator(mode="after")
    def _cert_with_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


def _headers(headers: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    return {name: _header(name, value, info.context) for name, value in headers.items()}


def _header(name: str, value: str, context: Any) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an HTTP header")
    if isinstance(context, Surroundings):
        if looks_like_credential(name) and not names_variable(value):
            raise ValueError(
                f"the value of {name} is a secret and must not stand in the file: "
                "write ${NAME_OF_AN_ENVIRONMENT_VARIABLE}",
            )
        try:
            value = expand(value, context.environ)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if not value.isprintable():
        raise ValueError(f"the value of {name} holds more than one line, or control characters")
    return value


Headers = Annotated[
    dict[str, str], AfterValidator(_headers), PlainSerializer(redact_values, return_type=dict[str, str])
]
"""HTTP headers; `${NAME}` in a value is taken from the environment, and for a credential it has to be."""


class HttpClient(Section):
    """Authentication, TLS, proxy and headers of outgoing requests."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: TlsConfig = TlsConfig()
    proxy_url: ProxyUrl | None = None
    proxy_from_environment: bool = False
    follow_redirects: bool = True
    http_headers: Headers = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_authentication(self) -> Self:
        if self.basic_auth is not None and self.authorization is not None:
            raise ValueError("basic_auth and authorization exclude each other")
        return self
