"""Who notifications are sent on to, over HTTP."""

import contextlib

from exporter.config.alerting import Webhook
from exporter.sources.http import Cancel, HttpError, HttpSession
from exporter.sources.retrying import retry_after

_SECONDS = 10.0
"""How long the receiver may take for one request."""
_LONGEST_ANSWER = 1 << 16


class HttpReceiver:
    """The receiver that `forward_to` names.

    Args:
        url: where to send.
        settings: authentication, TLS and proxy are taken from its `forward_http_config`.
    """

    def __init__(self, url: str, settings: Webhook) -> None:
        self._url = url
        self._session = HttpSession(settings.forward_http_config)
        self._cancel = Cancel()

    def post(self, body: bytes, key: str) -> tuple[int, float]:
        """Send a body under an idempotency key; the status that is answered, and `Retry-After` in seconds.

        Raises:
            HttpError: there was no answer.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        with self._session.stream(
            "POST", self._url, deadline_seconds=_SECONDS, data=body, headers=headers, cancel=self._cancel
        ) as answer:
            # The status decides, whatever becomes of the rest.
            with contextlib.suppress(HttpError):
                answer.read(_LONGEST_ANSWER)
            return answer.status, retry_after(answer.headers)

    def close(self) -> None:
        """End requests under way and close all connections."""
        self._cancel.cancel()
        self._session.close()
