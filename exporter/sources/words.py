"""What an answer that was not expected says about itself, short enough for an error message."""

from exporter.sources.http import Answer

_LONGEST = 200


def media_type(answer: Answer) -> str:
    """The media type without parameters, in lower case; empty where the answer names none."""
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def excerpt(answer: Answer) -> str:
    """`: ` and the first line of a plain text answer; empty for anything else, which is not for reading."""
    if media_type(answer) != "text/plain":
        return ""
    lines = answer.body[: 4 * _LONGEST].decode("utf-8", "replace").strip().splitlines()
    return f": {readable(lines[0])}" if lines else ""


def readable(text: str) -> str:
    """Text from elsewhere on one short line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in text[:_LONGEST]).strip()
