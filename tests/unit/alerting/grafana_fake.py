"""A Grafana on a real socket that keeps annotations as the real one does, behaves as it is told, and accepts nothing malformed."""

import json
import re
import threading
from urllib.parse import parse_qs, urlsplit

from http_end import Handler, HttpEnd

PATIENCE = 20.0
TOKEN = "glsa_secret"


class FakeGrafana(HttpEnd):
    """Answers POST, PATCH and GET of /api/annotations.

    Attributes:
        answers: what it does with the next requests, one each: a status; "lost" does what is asked and closes the
            connection without an answer; "hang" answers nothing until `released` is set, and then breaks off; "page"
            answers with HTML.
        retry_after: the header of answers that are only a status; none where empty.
        kept: the annotations by id.
        asked: method and path of each request.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.answers: list[int | str] = []
        self.kept: dict[int, dict] = {}
        self.asked: list[tuple[str, str]] = []
        self.retry_after = ""
        self.released = threading.Event()
        self.start()

    @property
    def url(self) -> str:
        return f"{super().url}/grafana"

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]

    def stop(self) -> None:
        self.released.set()
        super().stop()

    def create(self, annotation: dict) -> dict:
        number = len(self.kept) + 1
        self.kept[number] = annotation
        return {"message": "Annotation added", "id": number}

    def change(self, number: int, annotation: dict) -> tuple[int, dict]:
        if number not in self.kept:
            return 404, {"message": "Could not find annotation to update"}
        self.kept[number] |= annotation
        return 200, {"message": "Annotation patched"}

    def listed(self, query: dict[str, list[str]]) -> list[dict]:
        begins, ends = int(query["from"][0]), int(query["to"][0])
        return [
            {"id": number, "alertId": 0, **one}
            for number, one in self.kept.items()
            if one["time"] <= ends and one["timeEnd"] >= begins and set(query["tags"]) <= set(one["tags"])
        ]


def problems(annotation: dict) -> list[str]:
    """What is wrong with an annotation, by the documentation of the API."""
    found = [f"unknown field {name}" for name in annotation.keys() - {"time", "timeEnd", "tags", "text"}]
    found += [f"{name} {annotation[name]!r}" for name in ("time", "timeEnd") if type(annotation[name]) is not int]
    if not 1e12 < annotation["time"] <= annotation["timeEnd"]:
        found.append(f"from {annotation['time']} to {annotation['timeEnd']}")
    if not isinstance(annotation["text"], str) or not annotation["text"]:
        found.append(f"text {annotation['text']!r}")
    found += [f"tag {tag!r}" for tag in annotation["tags"] if not isinstance(tag, str) or not tag]
    if re.search(r"<(?!/?a\b)", annotation["text"]):
        found.append(f"markup in {annotation['text']!r}")
    return found


class _Handler(Handler):
    def do_POST(self):
        self._take(self._annotation())

    def do_PATCH(self):
        self._take(self._annotation())

    def do_GET(self):
        self._take(None)

    def _annotation(self) -> dict:
        fake = self.server.end
        if self.headers["Content-Type"] != "application/json":
            fake.malformed.append(f"Content-Type {self.headers['Content-Type']}")
        annotation = json.loads(self.body() or b"{}")
        fake.malformed += problems(annotation)
        return annotation

    def _take(self, annotation: dict | None) -> None:
        fake = self.server.end
        path = urlsplit(self.path)
        fake.asked.append((self.command, path.path))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            fake.malformed.append(f"Authorization {self.headers['Authorization']}")
        how = fake.answers.pop(0) if fake.answers else 200
        if how == "hang":
            fake.released.wait(PATIENCE)
            self.close_connection = True
            return
        if how == "page":
            self.reply(200, b"<html>Log in</html>", **{"Content-Type": "text/html"})
            return
        if how not in (200, "lost"):
            told = {"Retry-After": fake.retry_after} if fake.retry_after else {}
            self.reply(how, json.dumps({"message": "the reason"}).encode(), **told)
            return
        status, document = self._done(annotation, path)
        if how == "lost":
            self.close_connection = True
            return
        self.reply(status, json.dumps(document).encode())

    def _done(self, annotation, path):
        fake = self.server.end
        match self.command, path.path.removeprefix("/grafana/api/annotations"):
            case "POST", "":
                return 200, fake.create(annotation)
            case "PATCH", number if re.fullmatch(r"/\d+", number):
                return fake.change(int(number[1:]), annotation)
            case "GET", "":
                return 200, fake.listed(parse_qs(path.query))
            case _:
                fake.malformed.append(f"{self.command} {self.path}")
                return 404, {"message": "Not found"}
