"""Calls to a model, recorded and replayed: tests, evaluation and audits run without one.

A recording is a file of JSON lines, one a call: the key of the request, what it was about in short, the prediction or
the failure. A line may also say which model was asked: its context decides what a question holds.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from exporter.errors import BadDataError, LmwatchError
from exporter.lmstudio.failures import REASONS, ModelFailure
from exporter.lmstudio.wire import ChatRequest, Model, Prediction

Ask = Callable[[ChatRequest], Prediction]
"""One call to a model."""

_INSTANCE = re.compile(r":\d+$")


class Subject(NamedTuple):
    """Who answers the calls of a recording."""

    server: str
    model: Model


class NotRecordedError(LmwatchError):
    """A request that the recording holds no answer to."""


def request_key(request: ChatRequest) -> str:
    """SHA-256 of everything that decides the answer, in canonical JSON; equal for equal requests.

    The model counts, since a recording may hold several models' answers to one question, but not which of its
    instances is asked: `qwen3-4b:2` is `qwen3-4b`. The order of a schema's properties counts, since it is the order in
    which a model writes. Of an image its hash stands for it.
    """
    messages = tuple(replace(message, image=None) for message in request.messages)
    content = asdict(replace(request, schema=None, model=_INSTANCE.sub("", request.model), messages=messages))
    for told, message in zip(content["messages"], request.messages, strict=True):
        del told["image"]
        if message.image is not None:
            told["image"] = message.image.sha256
    content["schema"] = None if request.schema is None else json.dumps(dict(request.schema), separators=(",", ":"))
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Recorder:
    """Appends calls to a recording. Safe to use from several threads; close it when done.

    A line is written with one call of the operating system. A line that a crash left unfinished at the end of the file is
    removed on opening.
    """

    def __init__(self, path: Path) -> None:
        """Open a recording, new or to be continued.

        Raises:
            OSError: the file cannot be written.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()
        self._closed = False
        os.ftruncate(self._file, _end_of_lines(path))

    def record(self, request: ChatRequest, prediction: Prediction) -> None:
        """Append one call.

        Raises:
            ValueError: the recording is closed.
            OSError: the line could not be written whole.
        """
        self._append({**_about(request), "prediction": asdict(prediction)})

    def record_failure(self, request: ChatRequest, failure: ModelFailure) -> None:
        """Append one call that brought no answer; raises as `record` does."""
        told = {"reason": failure.reason, "detail": failure.detail, "status": failure.status, "url": failure.url}
        self._append({**_about(request), "failure": told})

    def describe(self, server: str, model: Model) -> None:
        """Say who answers the calls that follow; raises as `record` does."""
        self._append({"about": {"server": server, "model": asdict(model)}})

    def _append(self, entry: dict[str, Any]) -> None:
        line = (json.dumps(entry, separators=(",", ":")) + "\n").encode()
        with self._lock:
            if self._closed:
                raise ValueError("the recording is closed")
            written = os.write(self._file, line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes of a call could be recorded")

    def close(self) -> None:
        """Close the file; more than once is fine."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._file)

    def __enter__(self) -> Self:
        """The recorder itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()


class Replayer:
    """Answers requests from a recording; where the same request was recorded twice, with the newer answer.

    Attributes:
        subject: whom the recording names last as having answered; None where it names nobody.
    """

    def __init__(self, path: Path) -> None:
        """Read a recording whole; an unfinished last line is passed over.

        Raises:
            BadDataError: another line is no recorded call; names file and line.
            OSError: the file cannot be read.
        """
        self._path = path
        self.subject: Subject | None = None
        self._answers: dict[str, Prediction | ModelFailure] = {}
        for number, line in enumerate(path.read_bytes()[: _end_of_lines(path)].splitlines(), start=1):
            read = _read_line(line, f"{path}:{number}")
            if isinstance(read, Subject):
                self.subject = read
            else:
                self._answers[read[0]] = read[1]

    def __len__(self) -> int:
        """How many different requests it can answer."""
        return len(self._answers)

    def ask(self, request: ChatRequest) -> Prediction:
        """The recorded answer to this request.

        Raises:
            NotRecordedError: there is none; names the request's key.
            ModelFailure: it failed when it was recorded.
        """
        key = request_key(request)
        answer = self._answers.get(key)
        if answer is None:
            raise NotRecordedError(
                f"{self._path} holds no answer to request {key} to {request.model!r}: record it with the same prompt,"
                " model and settings"
            )
        if isinstance(answer, ModelFailure):
            raise ModelFailure(answer.reason, answer.detail, status=answer.status, url=answer.url)
        return answer


def recording(ask: Ask, recorder: Recorder, *, failures: bool = False) -> Ask:
    """`ask`, with every answer recorded; failures pass through, and leave a line only where they are asked for."""

    def ask_and_record(request: ChatRequest) -> Prediction:
        try:
            prediction = ask(request)
        except ModelFailure as failure:
            if failures:
                recorder.record_failure(request, failure)
            raise
        recorder.record(request, prediction)
        return prediction

    return ask_and_record


def _about(request: ChatRequest) -> dict[str, Any]:
    return {
        "key": request_key(request),
        "request": {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "characters": sum(len(message.content) for message in request.messages),
        },
    }


def _read_line(line: bytes, where: str) -> Subject | tuple[str, Prediction | ModelFailure]:
    try:
        entry: Any = json.loads(line)
        if "about" in entry:
            return TypeAdapter(Subject).validate_python(entry["about"])
        if "failure" in entry:
            return str(entry["key"]), _failure(entry["failure"])
        return str(entry["key"]), TypeAdapter(Prediction).validate_python(entry["prediction"])
    except (ValueError, TypeError, KeyError, ValidationError) as error:
        raise BadDataError(f"{where}: no recorded call: {str(error).splitlines()[0]}") from error


def _failure(told: Any) -> ModelFailure:
    reason = str(told["reason"])
    if reason not in REASONS:
        raise ValueError(f"{reason!r} is no reason that a call fails for")
    return ModelFailure(reason, str(told["detail"]), status=told["status"], url=str(told["url"]))


def _end_of_lines(path: Path) -> int:
    """Bytes up to and including the last newline."""
    return path.read_bytes().rfind(b"\n") + 1
