"""The TLS side of `tls_config`, with files that are read again when they change."""

import ssl
import threading
from pathlib import Path

import requests.utils

from exporter.config.http import TlsConfig
from exporter.sources.transport import TlsSocket

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}

Stamp = tuple[tuple[int, int, int], ...]


class TlsFilesError(OSError):
    """A file that tls_config names cannot be used."""


class TlsSettings:
    """A TLS context made on first use, and made anew when ca_file, cert_file or key_file changed."""

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._files = tuple(file for file in (config.ca_file, config.cert_file, config.key_file) if file is not None)
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp = ()

    @property
    def server_name(self) -> str | None:
        """The name that the server's certificate must carry, where it is not the host of the URL."""
        return self._config.server_name

    @property
    def shows_certificate(self) -> bool:
        """Whether a client certificate is presented."""
        return self._config.cert_file is not None

    def context(self) -> ssl.SSLContext:
        """The context for the files as they are now; the same object while they don't change.

        Raises:
            TlsFilesError: a file cannot be read, holds no certificate or key, or they don't fit together.
        """
        try:
            stamp = tuple(_stamp(file) for file in self._files)
            with self._lock:
                if self._context is None or stamp != self._stamp:
                    self._context = _context(self._config)
                    self._stamp = stamp
                return self._context
        except (OSError, ValueError) as error:
            named = ", ".join(str(file) for file in self._files)
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise TlsFilesError(f"{reason} (in one of {named})") from None


def _stamp(file: Path) -> tuple[int, int, int]:
    about = file.stat()
    return about.st_mtime_ns, about.st_size, about.st_ino


def _context(config: TlsConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TlsSocket
    if config.min_version is not None:
        context.minimum_version = _VERSIONS[config.min_version]
    if config.ca_file is not None:
        context.load_verify_locations(cafile=config.ca_file)
    elif not config.insecure_skip_verify:
        _load_system_roots(context)
    if config.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.cert_file is not None:
        context.load_cert_chain(config.cert_file, config.key_file, password=_refuse_password)
    return context


def _load_system_roots(context: ssl.SSLContext) -> None:
    """The authorities that the system trusts; those that come with requests where the system has none."""
    context.load_default_certs()
    folder = ssl.get_default_verify_paths().capath
    if not context.get_ca_certs() and not (folder and any(Path(folder).iterdir())):
        context.load_verify_locations(cafile=requests.utils.DEFAULT_CA_BUNDLE_PATH)


def _refuse_password() -> str:
    # Without a callback OpenSSL would ask on the terminal.
    raise ValueError("key_file is encrypted; lmwatch needs a key without a passphrase")
