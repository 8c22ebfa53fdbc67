"""A receiver of Alertmanager's webhooks on a real socket, as strict as one can be."""

import json
import threading

from http_end import Handler, HttpEnd
from webhook_payload import problems

OURS = {"lmwatch_summary", "lmwatch_cause", "lmwatch_url"}


class StrictReceiver(HttpEnd):
    """Takes what Alertmanager would send, with an idempotency key of lmwatch, and nothing else.

    Attributes:
        answers: statuses of the next answers; 200 when there are no more. 0 closes the connection without one, -1 keeps
            it until the end.
        retry_after: the header of answers other than 200; none where empty.
        taken: payloads that were answered with 200.
        bodies: of all requests.
        headers: of all requests, by names in lower case.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.answers: list[int] = []
        self.retry_after = ""
        self.taken: list[dict] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        return f"{super().url}/hook?token=secret"

    def stop(self) -> None:
        self.ending.set()
        super().stop()

    def check(self, headers, body: bytes) -> None:
        payload = json.loads(body)
        # Keys of other versions pass through lmwatch, so they are no fault of it.
        found = [problem for problem in problems(payload) if not problem.startswith("unknown key")]
        if headers["Content-Type"] != "application/json":
            found.append(f"Content-Type {headers['Content-Type']!r}")
        if not headers.get("Idempotency-Key", "").startswith("lmwatch-"):
            found.append(f"Idempotency-Key {headers.get('Idempotency-Key')!r}")
        self.malformed += [f"{problem}: {body[:500]!r}" for problem in found]
        if not found:
            self.taken.append(payload)


class _Handler(Handler):
    def do_POST(self) -> None:
        receiver, body = self.server.end, self.body()
        if body is None:
            return
        status = receiver.answers.pop(0) if receiver.answers else 200
        receiver.bodies.append(body)
        receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
        if status == 200:
            receiver.check(self.headers, body)
        if status > 0:
            told = {"Retry-After": receiver.retry_after} if status != 200 and receiver.retry_after else {}
            self.reply(status, **told)
            return
        if status < 0:
            receiver.ending.wait()
        self.close_connection = True


def annotations(payload: dict) -> list[dict[str, str]]:
    """Our annotations of each alert and the common ones."""
    holders = [*(alert["annotations"] for alert in payload["alerts"]), payload["commonAnnotations"]]
    return [{name: text for name, text in holder.items() if name in OURS} for holder in holders]
