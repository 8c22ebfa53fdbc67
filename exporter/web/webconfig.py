"""The web configuration file as typed, frozen values.

The format is that of Prometheus' exporter-toolkit, so that one file serves all exporters of a host. Where Python's
TLS cannot do what a key asks for, the stricter thing happens and `WebConfig.warnings` says so.
"""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr, model_validator

from exporter.config.base import Duration, InputFile, Section, Surroundings
from exporter.config.document import parse_document
from exporter.config.http import TlsVersion
from exporter.config.load import parse_section, read_text
from exporter.config.secrets import HIDDEN
from exporter.config.similar import suggestion

HeaderName = Literal[
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Content-Security-Policy",
]
ClientAuth = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]

_HEADER_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"X-Content-Type-Options": ("nosniff",), "X-Frame-Options": ("deny", "sameorigin")},
)
BCRYPT_HASH = re.compile(r"\$2[aby]\$(?P<cost>0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
CIPHERS: Mapping[str, str] = MappingProxyType(
    {
        "TLS_AES_128_GCM_SHA256": "",
        "TLS_AES_256_GCM_SHA384": "",
        "TLS_CHACHA20_POLY1305_SHA256": "",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    },
)
"""The suites of Go's crypto/tls.CipherSuites, by the names of OpenSSL; those of TLS 1.3 are always on."""


def _cipher(name: str) -> str:
    if name not in CIPHERS:
        raise ValueError(f"{name!r} is no cipher suite that can be chosen{suggestion(name, CIPHERS, noun='there are')}")
    return name


class TlsServerConfig(Section):
    """TLS of our own server; off as long as nothing here is set."""

    cert_file: InputFile | None = None
    key_file: InputFile | None = None
    client_ca_file: InputFile | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: list[str] = Field(default_factory=list)
    min_version: TlsVersion = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    cipher_suites: list[Annotated[str, AfterValidator(_cipher)]] = Field(default_factory=list)
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[Literal["CurveP256", "CurveP384", "CurveP521", "X25519", "X25519MLKEM768"]] = Field(
        default_factory=list,
    )

    @property
    def enabled(self) -> bool:
        """Whether the file asks for TLS."""
        files = (self.cert_file, self.key_file, self.client_ca_file)
        return any(file is not None for file in files) or self.client_auth_type != "NoClientCert"

    @property
    def client_certificate(self) -> ssl.VerifyMode:
        """What a client has to show. Python's TLS asks for certificates only to verify them."""
        if self.client_auth_type in ("RequireClientCert", "RequireAnyClientCert", "RequireAndVerifyClientCert"):
            return ssl.CERT_REQUIRED
        return ssl.CERT_OPTIONAL if self.client_auth_type == "VerifyClientCertIfGiven" else ssl.CERT_NONE

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.enabled and (self.cert_file is None or self.key_file is None):
            raise ValueError("TLS needs both cert_file and key_file")
        if self.min_version > self.max_version:
            raise ValueError(f"min_version {self.min_version} is above max_version {self.max_version}")
        verifies = self.client_certificate is not ssl.CERT_NONE
        if self.client_ca_file is not None and self.client_auth_type == "NoClientCert":
            raise ValueError(
                "client_ca_file needs a client_auth_type: RequireAndVerifyClientCert asks for certificates"
            )
        if verifies and self.client_ca_file is None:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file")
        if self.client_allowed_sans and self.client_certificate is not ssl.CERT_REQUIRED:
            raise ValueError("client_allowed_sans needs client_auth_type RequireAndVerifyClientCert")
        return self


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        allowed = _HEADER_VALUES.get(name, (value, ""))
        if value and value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        if not value.isprintable():
            raise ValueError(f"{name} holds control characters")
    return {name: value for name, value in headers.items() if value}


class HttpServerConfig(Section):
    """Headers of all answers."""

    http2: bool | None = None
    headers: Annotated[dict[HeaderName, str], AfterValidator(_headers)] = Field(default_factory=dict)


class RateLimit(Section):
    """Accepted so that files can be shared; not enforced."""

    interval: Duration = 0.0
    burst: Annotated[int, Field(ge=0)] = 0


def _hash(value: Any) -> Any:
    if isinstance(value, str) and BCRYPT_HASH.fullmatch(value):
        return SecretStr(value)
    raise ValueError("write the password's bcrypt hash, as `htpasswd -nBC 10 NAME` prints it after the colon")


PasswordHash = Annotated[SecretStr, BeforeValidator(_hash), PlainSerializer(lambda _: HIDDEN, return_type=str)]


class WebConfig(Section):
    """The file as a whole."""

    tls_server_config: TlsServerConfig = TlsServerConfig()
    http_server_config: HttpServerConfig = HttpServerConfig()
    basic_auth_users: dict[str, PasswordHash] = Field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()

    @classmethod
    def load(cls, path: Path) -> "WebConfig":
        """Read the file; relative paths in it are taken from its folder.

        Raises:
            ConfigError: one line for each mistake, with file, line, column and key.
        """
        return cls.parse(read_text(path), path)

    @classmethod
    def parse(cls, text: str, path: Path) -> "WebConfig":
        """As `load`, from a text that was read already.

        Raises:
            ConfigError: one line for each mistake, with file, line, column and key.
        """
        return parse_section(cls, parse_document(text, file=str(path)), Surroundings(path.parent, MappingProxyType({})))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the file asks for and does not get."""
        tls = self.tls_server_config
        found = {
            "http_server_config.http2: HTTP/2 is not supported": self.http_server_config.http2,
            "rate_limit: is not enforced": self.rate_limit.interval > 0,
            "tls_server_config.curve_preferences: are ignored": tls.curve_preferences,
            "tls_server_config.min_version: nothing below TLS12 is offered": tls.min_version in ("TLS10", "TLS11"),
            "tls_server_config.client_auth_type: certificates are not asked for": (
                tls.client_auth_type == "RequestClientCert"
            ),
            "tls_server_config.client_auth_type: certificates are verified too": (
                tls.client_auth_type in ("RequireClientCert", "RequireAnyClientCert")
            ),
        }
        return tuple(text for text, applies in found.items() if applies)
