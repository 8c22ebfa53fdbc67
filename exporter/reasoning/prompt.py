"""The words that go to a model: the same system message for every call, then the snapshot, then what to do with it.

The system message is byte-identical whatever is asked, and a repeated question is the first one with a note at its end:
a server that caches prompts reads the instructions once. The last line repeats the two rules that small models forget
over a page of numbers: to answer with the object, and to leave the numbers to the facts. A chart stands behind all of the
text, with one sentence about it before the last line.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from exporter.lmstudio.wire import ChatRequest, Image, Message
from exporter.reasoning.clean import quoted
from exporter.reasoning.snapshot import Snapshot

_PROBLEM_LIMIT = 160
_MESSAGE_HEAD = re.compile(r"^\[(system|user|assistant)\]\n", re.MULTILINE)
_IMAGE_LINE = re.compile(r"\n\[chart image, \d+ bytes, sha256 [0-9a-f]{64}\](?=\n\n|\Z)")


def system_prompt() -> str:
    """The instructions with their worked example."""
    return _prompt_file("system.txt")


def build_request(
    snapshot: Snapshot,
    model_id: str,
    *,
    max_tokens: int,
    schema: Mapping[str, Any],
    reasoning_effort: Literal["low"] | None = None,
    problem: str = "",
    image: Image | None = None,
) -> ChatRequest:
    """The question about one group.

    Args:
        snapshot: what is shown.
        model_id: the instance to ask.
        max_tokens: what the answer may take.
        schema: the shape that the answer is forced into.
        reasoning_effort: for models that take it.
        problem: what was wrong with the answer before, in words, when the model is asked again.
        image: the chart of the series; None sends none.
    """
    note = f"\n{_prompt_file('again.txt').format(problem=quoted(problem, _PROBLEM_LIMIT))}" if problem else ""
    chart = f"{_prompt_file('chart.txt')}\n" if image else ""
    question = f"{snapshot.text}\n\n{chart}{_prompt_file('ask.txt')}{note}"
    return ChatRequest(
        model=model_id,
        messages=(Message("system", system_prompt()), Message("user", question, image)),
        max_tokens=max_tokens,
        schema=schema,
        reasoning_effort=reasoning_effort,
    )


def transcript(request: ChatRequest) -> str:
    """The messages of a request as people read them; of an image its size and its SHA-256."""
    return "\n\n".join(f"[{message.role}]\n{message.content}{_image_line(message)}" for message in request.messages)


def messages_of(transcribed: str) -> tuple[Message, ...]:
    """The messages that `transcript` wrote, without images.

    No text from outside can hold a line that begins a message: `quoted` leaves no bracketed word in it.
    """
    parts = _MESSAGE_HEAD.split(transcribed)[1:]
    texts = (_IMAGE_LINE.sub("", text).removesuffix("\n\n") for text in parts[1::2])
    return tuple(
        Message(role, text)  # type: ignore[arg-type]  # the pattern lets only roles through
        for role, text in zip(parts[::2], texts, strict=True)
    )


def image_of(request: ChatRequest) -> Image | None:
    """The image that goes with a request."""
    return next((message.image for message in request.messages if message.image), None)


def _image_line(message: Message) -> str:
    if message.image is None:
        return ""
    return f"\n[chart image, {len(message.image.data)} bytes, sha256 {message.image.sha256}]"


@cache
def _prompt_file(name: str) -> str:
    return (files("exporter.reasoning") / "prompts" / name).read_text(encoding="utf-8").strip()
