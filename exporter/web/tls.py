"""TLS of our own server, as the web configuration file asks for it."""

import ipaddress
import ssl
from collections.abc import Mapping
from types import MappingProxyType

from exporter.errors import ConfigError
from exporter.web.webconfig import CIPHERS, TlsServerConfig, WebConfig

_VERSIONS: Mapping[str, ssl.TLSVersion] = MappingProxyType(
    {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3},
)


def ssl_context(config: WebConfig) -> ssl.SSLContext | None:
    """What the server offers to a new connection; None where the file does not ask for TLS.

    Raises:
        ConfigError: certificate, key or CA cannot be used; names the file.
    """
    tls = config.tls_server_config
    if tls.cert_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS.get(tls.min_version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _VERSIONS[tls.max_version]
    if tls.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    chosen = [CIPHERS[name] for name in tls.cipher_suites if CIPHERS[name]]
    if chosen:
        context.set_ciphers(":".join(chosen))
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_passphrase)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConfigError(f"cannot use certificate {tls.cert_file} with key {tls.key_file}: {reason}") from None
    _ask_for_certificates(context, tls)
    return context


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted; give one without a passphrase")


def _ask_for_certificates(context: ssl.SSLContext, tls: TlsServerConfig) -> None:
    context.verify_mode = tls.client_certificate
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise ConfigError(f"cannot use client_ca_file {tls.client_ca_file}: {reason}") from None
    if tls.client_allowed_sans:
        context.sslsocket_class = _socket_for(frozenset(tls.client_allowed_sans))


def _socket_for(allowed: frozenset[str]) -> type[ssl.SSLSocket]:
    """A socket whose handshake fails for clients without one of these names in their certificate."""

    class NamedClientsOnly(ssl.SSLSocket):
        """Checks the names as soon as the certificate is verified."""

        def do_handshake(self, block: bool = False) -> None:
            """Shake hands, then look who it is.

            Raises:
                SSLError: the handshake failed, or the client has none of the names.
            """
            super().do_handshake(block)
            certificate = self.getpeercert() or {}
            if not allowed.intersection(_name(*entry) for entry in certificate.get("subjectAltName", ())):
                raise ssl.SSLError("no subject alternative name of the client's certificate is in client_allowed_sans")

    return NamedClientsOnly


def _name(kind: str, value: str) -> str:
    """A name as people write it: OpenSSL spells IPv6 addresses out."""
    return str(ipaddress.ip_address(value.strip())) if kind == "IP Address" else value


def file_states(tls: TlsServerConfig) -> tuple[object, ...]:
    """What changes when a certificate, key or CA file is replaced.

    Raises:
        ConfigError: a file is gone.
    """
    files = [file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file is not None]
    try:
        return tuple((state.st_mtime_ns, state.st_size, state.st_ino) for state in (file.stat() for file in files))
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from None
