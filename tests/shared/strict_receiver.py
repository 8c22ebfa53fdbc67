"""A receiver of Alertmanager's webhooks on a real socket, as strict as one can be."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from webhook_payload import problems

OURS = {"lmwatch_summary", "lmwatch_cause", "lmwatch_url"}


class StrictReceiver:
    """Takes what Alertmanager would send, and nothing else; what is wrong with a request is in `wrong`."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        """Statuses of the next answers; 200 when there are no more. 0 closes the connection without one, -1 keeps it."""
        self.retry_after = ""
        """The header of answers other than 200; none where empty."""
        self._ending = threading.Event()
        self.taken: list[dict] = []
        """Payloads that were answered with 200."""
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.wrong: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answers.pop(0) if receiver.answers else 200
                receiver.bodies.append(body)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                if status == 200:
                    receiver.check(self.headers, body)
                if status < 0:
                    receiver._ending.wait()
                elif status:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    if status != 200 and receiver.retry_after:
                        self.send_header("Retry-After", receiver.retry_after)
                    self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?token=secret"

    def check(self, headers, body: bytes) -> None:
        payload = json.loads(body)
        # Keys of other versions pass through lmwatch, so they are no fault of it.
        found = [problem for problem in problems(payload) if not problem.startswith("unknown key")]
        if headers["Content-Type"] != "application/json":
            found.append(f"Content-Type {headers['Content-Type']!r}")
        if not headers.get("Idempotency-Key", "").startswith("lmwatch-"):
            found.append(f"Idempotency-Key {headers.get('Idempotency-Key')!r}")
        self.wrong += [f"{problem}: {body[:500]!r}" for problem in found]
        if not found:
            self.taken.append(payload)

    def close(self) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def receiving():
    """A strict receiver for the time of a block; afterwards nothing may have been wrong."""
    receiver = StrictReceiver()
    try:
        yield receiver
    finally:
        receiver.close()
    assert receiver.wrong == []


def annotations(payload: dict) -> list[dict[str, str]]:
    """Our annotations of each alert and the common ones."""
    holders = [*(alert["annotations"] for alert in payload["alerts"]), payload["commonAnnotations"]]
    return [{name: text for name, text in holder.items() if name in OURS} for holder in holders]
