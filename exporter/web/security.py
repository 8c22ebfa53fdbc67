"""Who may use our HTTP server: the web configuration file as it is now, and basic authentication against it."""

import hashlib
import hmac
import json
import logging
import secrets
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path

import bcrypt

from exporter.config.load import read_text
from exporter.errors import ConfigError
from exporter.web.tls import file_states, ssl_context
from exporter.web.webconfig import BCRYPT_HASH, WebConfig

logger = logging.getLogger(__name__)

REMEMBERED_PASSWORDS = 100

_FAKE_HASH = "QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
"""Salt and hash that stand in for those of an unknown user; exporter-toolkit publishes the same ones."""
_LONGEST_PASSWORD = 72
"""Bytes of a password that bcrypt looks at."""


class WebConfigFile:
    """The file as it is now: read again whenever it changed, so that users and certificates rotate without a reload.

    Any thread may call any method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[str, WebConfig | ConfigError] | None = None
        self._context: tuple[object, ssl.SSLContext | None] | None = None

    def current(self) -> WebConfig:
        """What the file says.

        Raises:
            ConfigError: it cannot be used as it stands; a request must then be answered with 500.
        """
        text = read_text(self._path)
        known = self._known
        if known is None or known[0] != text:
            known = (text, self._parse(text))
            self._known = known
        if isinstance(known[1], ConfigError):
            raise ConfigError(str(known[1]))
        return known[1]

    def context(self) -> ssl.SSLContext | None:
        """The TLS context for a new connection; None where the file does not ask for TLS.

        Raises:
            ConfigError: the file, or a certificate that it names, cannot be used.
        """
        config = self.current()
        state = (config, file_states(config.tls_server_config))
        known = self._context
        if known is None or known[0] != state:
            known = (state, ssl_context(config))
            self._context = known
        return known[1]

    def _parse(self, text: str) -> WebConfig | ConfigError:
        try:
            config = WebConfig.parse(text, self._path)
        except ConfigError as error:
            return error
        for warning in config.warnings:
            logger.warning("%s: %s", self._path, warning)
        return config


class Authenticator:
    """Basic authentication against the users in the file.

    The file is read again when it changed. A right password is checked with bcrypt once and remembered as a keyed
    hash; unknown users cost as much time as known ones.
    """

    def __init__(self, path: Path) -> None:
        self.file = WebConfigFile(path)
        self._key = secrets.token_bytes(32)
        self._verified: dict[bytes, None] = {}
        # bcrypt is meant to be slow: one at a time leaves the other processor cores alone.
        self._one_at_a_time = threading.Lock()

    @property
    def required(self) -> bool:
        """Whether the file names users, so that requests have to authenticate.

        Raises:
            ConfigError: the file cannot be used; a request must then be answered with 500.
        """
        return bool(self.file.current().basic_auth_users)

    def check(self, user: str, password: str) -> bool:
        """Whether this is the password of a user in the file. Without users nothing is right.

        Raises:
            ConfigError: the file cannot be used; a request must then be answered with 500.
        """
        users = {name: value.get_secret_value() for name, value in self.file.current().basic_auth_users.items()}
        expected = users.get(user) or _fake_hash(users)
        key = hmac.digest(self._key, json.dumps([user, expected, password]).encode(), hashlib.sha256)
        if key in self._verified:
            return True
        with self._one_at_a_time:
            same = bcrypt.checkpw(password.encode("utf-8", "surrogatepass")[:_LONGEST_PASSWORD], expected.encode())
        if not (same and user in users):
            return False
        self._remember(key)
        return True

    def _remember(self, key: bytes) -> None:
        with self._one_at_a_time:
            while len(self._verified) >= REMEMBERED_PASSWORDS:
                del self._verified[secrets.choice(list(self._verified))]
            self._verified[key] = None


def _fake_hash(users: Mapping[str, str]) -> str:
    """A hash that costs as much to check as the most expensive of the users'."""
    costs = [match["cost"] for match in map(BCRYPT_HASH.fullmatch, users.values()) if match is not None]
    return f"$2b${max(costs, default='10')}${_FAKE_HASH}"
