"""How to reach another HTTP server: the vocabulary of Prometheus' `http_config`, so that blocks can be pasted."""

from typing import Literal, Self

from pydantic import Field, model_validator

from exporter.config.base import FilePath, Secret, Section, Url


class BasicAuth(Section):
    """User and password."""

    username: str
    password: Secret | None = None
    password_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file exclude each other")
        return self


class Authorization(Section):
    """An Authorization header."""

    type: str = "Bearer"
    credentials: Secret | None = None
    credentials_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.credentials is None) == (self.credentials_file is None):
            raise ValueError("authorization needs either credentials_file or credentials")
        return self


class TlsConfig(Section):
    """TLS towards the other server."""

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False
    min_version: Literal["TLS10", "TLS11", "TLS12", "TLS13"] | None = None

    @model_validator(mode="after")
    def _cert_with_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


class HttpClient(Section):
    """Authentication, TLS, proxy and headers of outgoing requests."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: TlsConfig = TlsConfig()
    proxy_url: Url | None = None
    proxy_from_environment: bool = False
    follow_redirects: bool = True
    http_headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_authentication(self) -> Self:
        if self.basic_auth is not None and self.authorization is not None:
            raise ValueError("basic_auth and authorization exclude each other")
        return self
