"""One Alertmanager: its API for alerts, version 2, and what can go wrong there.

Facts about Alertmanager that shape this: the labels of an alert are its identity and annotations overwrite; a batch with
a bad alert is answered 400 although the good ones were stored; an alert whose `endsAt` has passed is resolved.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from exporter.alerting.alert import Alert
from exporter.alerting.document import rfc3339
from exporter.clock import Clock
from exporter.config.alerting import Alertmanager
from exporter.errors import BadDataError
from exporter.logs import fields
from exporter.metrics.pushing import PushInstruments
from exporter.series.labels import Labels
from exporter.sources.http import Answer, Cancel, HttpError, HttpSession, Kind
from exporter.sources.retrying import may_help, retry_after
from exporter.sources.words import excerpt, readable

logger = logging.getLogger(__name__)

REASONS: tuple[str, ...] = (*get_args(Kind), "rejected", "unauthorized", "client_error", "rate_limited", "server_error")
"""Why alerts were not delivered: what can go wrong on the way, and what Alertmanager answers."""

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MAX_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One alert as it is sent."""

    labels: Labels
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Left:
    """What another attempt may deliver of a batch: all others were accepted or will never be."""

    alerts: tuple[Outgoing, ...] = ()
    not_before: float = 0.0
    """Seconds that the Alertmanager wants to be left alone."""


def outgoing(alert: Alert, now: float, ends_at: float) -> Outgoing:
    """An alert as Alertmanager takes it.

    Args:
        alert: firing or resolved.
        now: Unix seconds.
        ends_at: Unix seconds until which Alertmanager keeps a firing alert when it hears no more of it.

    Raises:
        BadDataError: it has a label that no Alertmanager takes.
    """
    for name, _ in alert.labels:
        if not _LABEL.fullmatch(name):
            raise BadDataError(f"{name[:100]!r} is no label name")
    # Alertmanager refuses an alert that ends before it starts, as after the clock was set back.
    starts_at = min(now if alert.starts_at is None else alert.starts_at, now)
    ends_at = ends_at if alert.resolved_at is None else min(max(alert.resolved_at, starts_at), now)
    body: dict[str, Any] = {
        "labels": {name: _utf8(value) for name, value in alert.labels if value},
        "annotations": {name: _utf8(text) for name, text in alert.words.annotations().items()},
        "startsAt": rfc3339(starts_at),
        "endsAt": rfc3339(ends_at),
    }
    if alert.words.url:
        body["generatorURL"] = alert.words.url
    return Outgoing(alert.labels, body)


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


class AlertmanagerClient:
    """Sends batches to one Alertmanager. Not for two threads at a time, except `close`.

    Args:
        url: its address, without a trailing slash; also the label `alertmanager` of what is counted.
        settings: timeout, authentication, TLS.
        instruments: count what was sent and what failed.
        clock: tells the time.
    """

    def __init__(self, url: str, settings: Alertmanager, instruments: PushInstruments, clock: Clock) -> None:
        self.url = url
        self._endpoint = f"{url}/api/v2/alerts"
        self._timeout = settings.timeout
        self._instruments = instruments
        self._clock = clock
        self._cancel = Cancel()
        self._session = HttpSession(settings, pool_size=1)

    def send(self, batch: Sequence[Outgoing]) -> Left:
        """Send alerts; a batch that is refused for one of them is halved until that one is alone."""
        try:
            answer = self._session.post(
                self._endpoint,
                json=[alert.body for alert in batch],
                deadline_seconds=self._timeout,
                max_bytes=_MAX_ANSWER,
                cancel=self._cancel,
            )
        except HttpError as error:
            return self._again(batch, error.kind, str(error))
        return self._judged(batch, answer)

    def close(self) -> None:
        """End a call under way and close the connection."""
        self._cancel.cancel()
        self._session.close()

    def _judged(self, batch: Sequence[Outgoing], answer: Answer) -> Left:
        status, said = answer.status, f"{self._endpoint}: answered {answer.status}{_said(answer)}"
        if 200 <= status < 300:
            if answer.url != self._endpoint and answer.body.strip():
                return self._again(
                    batch, "redirect", f"{self._endpoint}: redirects to a page; name the address behind it"
                )
            self._instruments.sent(self.url, len(batch), self._clock.now())
            return Left()
        if status in (400, 413):
            return self._halved(batch, said)
        if may_help(status):
            reason = "rate_limited" if status == 429 else "server_error"
            return self._again(batch, reason, said, not_before=retry_after(answer.headers))
        advice = "; check basic_auth or authorization" if status in (401, 403) else "; is url right?"
        self._failed(batch, "unauthorized" if status in (401, 403) else "client_error", said + advice)
        return Left()

    def _halved(self, batch: Sequence[Outgoing], said: str) -> Left:
        if len(batch) == 1:
            self._failed(batch, "rejected", f"{said}; the alert was {dict(batch[0].labels)}")
            return Left()
        middle = len(batch) // 2
        left = self.send(batch[:middle])
        if left.alerts:  # nobody answers any more: what was not tried waits too
            return Left((*left.alerts, *batch[middle:]), left.not_before)
        return self.send(batch[middle:])

    def _again(self, batch: Sequence[Outgoing], reason: str, text: str, *, not_before: float = 0.0) -> Left:
        self._failed(batch, reason, text)
        return Left(tuple(batch), not_before)

    def _failed(self, batch: Sequence[Outgoing], reason: str, text: str) -> None:
        self._instruments.failed(self.url, reason, len(batch))
        extra = fields(alertmanager=self.url, alerts=len(batch), reason=reason, error=text)
        logger.log(
            logging.DEBUG if reason == "cancelled" else logging.WARNING, "alerts were not delivered", extra=extra
        )


def _said(answer: Answer) -> str:
    """What the answer says: Alertmanager writes its reason as a JSON string."""
    plain = excerpt(answer)
    text = readable(answer.body.decode("utf-8", "replace").strip().strip('"'))
    return plain or (f": {text}" if text and not text.startswith("<") else "")
