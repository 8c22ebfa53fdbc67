"""One Grafana: its API for annotations, and what can go wrong there.

Facts about Grafana that shape this (https://grafana.com/docs/grafana/latest/developers/http_api/annotations/): times are
milliseconds; an annotation without a dashboard belongs to the organisation and shows wherever its tags are asked for;
one with an end is a region; PATCH changes what it names; nothing in a request makes a repeated POST the same annotation.
"""

import json
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from exporter.config.model import Grafana
from exporter.config.secrets import read_secret
from exporter.errors import RefusedError, TransientError
from exporter.sources.http import Cancel, HttpError, HttpSession, Kind
from exporter.sources.retrying import may_help, retry_after
from exporter.sources.words import readable

REASONS: tuple[str, ...] = (*get_args(Kind), "rejected", "unauthorized", "rate_limited", "server_error", "bad_answer")
"""Why an annotation was not written: what can go wrong on the way, and what Grafana answers."""

_DEADLINE_SECONDS = 10.0
_MAX_ANSWER = 1 << 20
_FOUND_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Annotation:
    """What Grafana shows for one episode; times are Unix milliseconds."""

    time: int
    time_end: int
    tags: tuple[str, ...]
    text: str

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        return {"time": self.time, "timeEnd": self.time_end, "tags": list(self.tags), "text": self.text}


class NotTakenError(RefusedError):
    """Grafana will never take it; has the reason from the closed list."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class NotReachedError(TransientError):
    """Another attempt may succeed.

    Attributes:
        reason: from the closed list.
        not_before: seconds that Grafana wants to be left alone.
    """

    def __init__(self, reason: str, text: str, not_before: float = 0.0) -> None:
        super().__init__(text)
        self.reason = reason
        self.not_before = not_before


class GrafanaClient:
    """Writes annotations. Not for two threads at a time, except `close`.

    Args:
        settings: address, authentication, TLS.
        deadline_seconds: for one request.
    """

    def __init__(self, settings: Grafana, *, deadline_seconds: float = _DEADLINE_SECONDS) -> None:
        self._endpoint = f"{settings.url.rstrip('/')}/api/annotations"
        self._deadline = deadline_seconds
        self._cancel = Cancel()
        token = settings.token_file
        bearer = None if token is None else lambda: f"Bearer {read_secret(token)}"
        self._session = HttpSession(settings, authorization=bearer, pool_size=1)

    def create(self, annotation: Annotation) -> int:
        """Write a new annotation and return its id.

        Raises:
            NotTakenError: Grafana will not take it.
            NotReachedError: it may be there or not.
        """
        answer = self._call("POST", self._endpoint, annotation.body())
        number = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(number, int):
            raise NotTakenError("bad_answer", f"{self._endpoint}: the answer names no id; is this a Grafana?")
        return number

    def update(self, number: int, annotation: Annotation) -> None:
        """Change an annotation.

        Raises:
            NotTakenError: it is gone, or Grafana will not take it.
            NotReachedError: it may be changed or not.
        """
        self._call("PATCH", f"{self._endpoint}/{number}", annotation.body())

    def find(self, annotation: Annotation) -> int | None:
        """The id of an annotation that begins at the same time and has the same tags; None where there is none.

        Raises:
            NotTakenError: as `create`.
            NotReachedError: as `create`.
        """
        asked = [("from", annotation.time), ("to", annotation.time), ("limit", _FOUND_AT_MOST), ("type", "annotation")]
        query = urlencode([*asked, *(("tags", tag) for tag in annotation.tags)])
        listed = self._call("GET", f"{self._endpoint}?{query}", None)
        for one in listed if isinstance(listed, list) else ():
            same = isinstance(one, dict) and one.get("time") == annotation.time
            if same and set(one.get("tags") or ()) == set(annotation.tags) and isinstance(one.get("id"), int):
                return int(one["id"])
        return None

    def close(self) -> None:
        """End a call under way and close the connection."""
        self._cancel.cancel()
        self._session.close()

    def _call(self, method: str, url: str, body: dict[str, Any] | None) -> Any:
        try:
            with self._session.stream(
                method, url, deadline_seconds=self._deadline, json=body, cancel=self._cancel
            ) as stream:
                status, text, alone = stream.status, stream.read(_MAX_ANSWER), retry_after(stream.headers)
        except HttpError as error:
            raise NotReachedError(error.kind, str(error)) from None
        if not 200 <= status < 300:
            raise _failure(status, f"{url.partition('?')[0]}: answered {status}{_said(text)}", alone)
        try:
            return json.loads(text)
        except ValueError:
            said = f"{url.partition('?')[0]}: the answer is not JSON; is this a Grafana?"
            raise NotTakenError("bad_answer", said) from None


def _failure(status: int, said: str, not_before: float) -> NotTakenError | NotReachedError:
    if may_help(status):
        return NotReachedError("rate_limited" if status == 429 else "server_error", said, not_before)
    if status in (401, 403):
        advice = "; the token needs the permissions annotations:create, annotations:write and annotations:read"
        return NotTakenError("unauthorized", said + advice)
    return NotTakenError("rejected", said)


def _said(text: bytes) -> str:
    """Grafana's own words for what is wrong: `message` of a JSON object."""
    try:
        message = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {readable(str(message))}"


def milliseconds(seconds: float) -> int:
    """Unix milliseconds."""
    return round(seconds * 1000)
