"""The kinds of answers: pages, lines of text, JSON."""

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response


def html(page: str, code: int = 200) -> Response:
    """A page."""
    return Response(page, status=code, content_type="text/html; charset=utf-8")


def text(words: str, code: int = 200) -> Response:
    """Lines for people at a terminal."""
    return Response(words, status=code, content_type="text/plain; charset=utf-8")


def success(data: Any) -> Response:
    """`{"status": "success", "data": …}`."""
    return document({"status": "success", "data": data})


def failure(code: int, words: str) -> Response:
    """`{"status": "error", "error": …}`."""
    return document({"status": "error", "error": words}, code)


def document(content: Mapping[str, Any], code: int = 200) -> Response:
    """A JSON document, in ASCII: text from outside may hold what UTF-8 cannot, like half a surrogate pair."""
    body = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(body + "\n", status=code, content_type="application/json; charset=utf-8")
