"""Who answers the questions of a measurement: nobody, a server, a recording, or a script."""

import contextlib
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from exporter.clock import SystemClock
from exporter.config.durations import format_duration
from exporter.config.model import Server
from exporter.errors import BadDataError, ConfigError, RefusedError, TransientError
from exporter.evaluation.scripted import SCRIPTED, SERVER, ScriptedModel, Situation
from exporter.lmstudio.asking import LaneSession, Listeners, Seat
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import AUTO, Lane, open_lane
from exporter.lmstudio.wire import ChatRequest, Model, Prediction
from exporter.reasoning.replay import Recorder, Replayer, recording
from exporter.sources.http import Cancel

NONE: Final = "none"
CONFIGURED: Final = "config"
"""The servers of the configuration, where there is one."""
_REPLAY, _SCRIPTED = "replay:", "scripted:"
_SCHEMES = ("http://", "https://")
_SERVER_NAME: Final = "eval"
_EXAMPLES = (NONE, "http://127.0.0.1:1234", f"{_REPLAY}FILE", *(_SCRIPTED + name for name in SCRIPTED))
DEADLINE_SECONDS: Final = 120.0
"""For one call to a server."""
_NOBODY_LISTENS = Listeners(lambda *_: None, lambda *_: None, lambda _: None)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What `--model` names."""

    kind: Literal["none", "config", "server", "replay", "scripted"]
    where: str = ""
    """The URL, the file, or the name of the script."""
    model: str = AUTO
    """Of a server: the model's key or identifier; `auto` takes a chat model that is loaded already."""

    def __str__(self) -> str:
        """As it is written on the command line."""
        prefix = {"none": NONE, "config": CONFIGURED, "server": "", "replay": _REPLAY, "scripted": _SCRIPTED}[self.kind]
        return prefix + self.where + (f"#{self.model}" if self.model != AUTO else "")


@dataclass(frozen=True, slots=True)
class Respondent:
    """Somebody who answers, ready to be asked. One question at a time."""

    server: str
    model: Model
    answer: Callable[[ChatRequest, Situation], Prediction]
    """Raises ModelFailure where a single call fails, another LmwatchError where going on makes no sense."""


def parse_model(text: str, *, configured: bool = False) -> ModelChoice:
    """Read `none`, a server's URL (with `#model` where not the one that is loaded is meant), `replay:FILE` or `scripted:NAME`.

    Args:
        text: what was typed.
        configured: whether there is a configuration, so that `config` may be meant.

    Raises:
        ConfigError: it is nothing of that; names what is nearest.
    """
    if text == NONE:
        return ModelChoice("none")
    if text == CONFIGURED and configured:
        return ModelChoice("config")
    if text.startswith(_SCHEMES):
        url, _, model = text.partition("#")
        return ModelChoice("server", url, model or AUTO)
    if text.startswith(_REPLAY) and text != _REPLAY:
        return ModelChoice("replay", text.removeprefix(_REPLAY))
    if text.startswith(_SCRIPTED) and text.removeprefix(_SCRIPTED) in SCRIPTED:
        return ModelChoice("scripted", text.removeprefix(_SCRIPTED))
    raise ConfigError(f"--model {text}: no such model{_meant(text)}")


@contextlib.contextmanager
def open_model(
    choice: ModelChoice,
    *,
    record: Path | None = None,
    seed: int = 0,
    deadline_seconds: float = DEADLINE_SECONDS,
    api_token_file: Path | None = None,
    servers: Sequence[Server] = (),
) -> Iterator[Respondent | None]:
    """Whoever was chosen, for as long as the context lasts; None for nobody.

    Args:
        choice: who.
        record: where to append every call; replaying it gives the same answers and the same failures.
        seed: of the scripted models.
        deadline_seconds: for one call to a server, everything included.
        api_token_file: the server's API token.
        servers: of the configuration; the first of them that has a model is asked.

    Raises:
        ConfigError: the URL or a file cannot be used, or there is nothing to record.
        BadDataError: the recording cannot be read.
        TransientError: the server does not answer.
        RefusedError: it has no model to ask.
    """
    with contextlib.ExitStack() as stack:
        if choice.kind == "config":
            respondent: Respondent | None = _first_of(servers, stack)
        else:
            respondent = _respondent(choice, seed, deadline_seconds, api_token_file, stack)
        if record is not None:
            if respondent is None:
                raise ConfigError(f"--record {record}: without a model there are no calls to record")
            respondent = _recorded(respondent, stack.enter_context(_recorder(record)))
        yield respondent


def _respondent(
    choice: ModelChoice, seed: int, deadline_seconds: float, api_token_file: Path | None, stack: contextlib.ExitStack
) -> Respondent | None:
    match choice.kind:
        case "none" | "config":
            return None
        case "scripted":
            scripted = ScriptedModel(choice.where, seed)
            return Respondent(SERVER, scripted.model, scripted.answer)
        case "replay":
            return _replaying(Path(choice.where))
        case "server":
            config = _server(choice, deadline_seconds, api_token_file)
            return stack.enter_context(_asking(config))


def _first_of(servers: Sequence[Server], stack: contextlib.ExitStack) -> Respondent:
    """The first server that answers and has a model; where none has, what is wrong with each."""
    troubles: list[str] = []
    for server in servers:
        try:
            return stack.enter_context(_asking(server.model_copy(update={"rpc": "off", "log_stream": "off"})))
        except (TransientError, RefusedError) as error:
            troubles.append(str(error))
    if not troubles:
        raise ConfigError(f"--model {CONFIGURED}: the configuration has no servers; name a URL")
    raise TransientError("; ".join(troubles))


def _replaying(path: Path) -> Respondent:
    try:
        replayer = Replayer(path)
    except OSError as error:
        raise ConfigError(f"--model {_REPLAY}{path}: cannot read it: {error.strerror or error}") from error
    if replayer.subject is None:
        raise BadDataError(f"{path} does not say which model answered: record it with `lmwatch eval --record`")
    server, model = replayer.subject
    return Respondent(server, model, lambda request, _situation: replayer.ask(request))


def _recorder(path: Path) -> Recorder:
    try:
        return Recorder(path)
    except OSError as error:
        raise ConfigError(f"--record {path}: cannot write it: {error.strerror or error}") from error


def _recorded(respondent: Respondent, recorder: Recorder) -> Respondent:
    """The same, with every call appended to the recording."""
    recorder.describe(respondent.server, respondent.model)

    def answer(request: ChatRequest, situation: Situation) -> Prediction:
        ask = recording(lambda one: respondent.answer(one, situation), recorder, failures=True)
        return ask(request)

    return Respondent(respondent.server, respondent.model, answer)


def _server(choice: ModelChoice, deadline_seconds: float, api_token_file: Path | None) -> Server:
    keys: dict[str, Any] = {
        "name": _SERVER_NAME,
        "url": choice.where,
        "model": choice.model,
        "deadline": format_duration(deadline_seconds),
        "rpc": "off",
        "log_stream": "off",
        "api_token_file": api_token_file,
    }
    try:
        return Server.model_validate(keys)
    except ValidationError as error:
        # Without the URL itself: a password may stand in it.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise ConfigError(f"--model: {first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}") from None


@contextlib.contextmanager
def _asking(config: Server) -> Iterator[Respondent]:
    """The model of a server, found and asked as the program does, one call after the other."""
    clock, cancel = SystemClock(), Cancel()
    lane = open_lane(config, clock, cancel)
    try:
        health = lane.poll()
        if not health.up:
            raise TransientError(f"{config.url} does not answer: {health.detail}")
        model = lane.choose_model()
        if model is None:
            wanted = "chat model" if config.model == AUTO else f"model {config.model}"
            raise RefusedError(f"{config.url} has no {wanted} loaded: load one, or name another as {config.url}#MODEL")
        yield Respondent(config.name, model, partial(_ask_once, lane, model, cancel))
    finally:
        cancel.cancel()
        lane.close()


def _ask_once(lane: Lane, model: Model, cancel: Cancel, request: ChatRequest, _situation: Situation) -> Prediction:
    """One call with a deadline of its own; none any more once the server's breaker has opened."""
    session = LaneSession(Seat(lane, model), SystemClock(), cancel, _NOBODY_LISTENS, lambda _: None)
    try:
        return session.ask(request)
    except ModelFailure as failure:
        if lane.breaker.would_admit():
            raise
        raise TransientError(f"{lane.config.url} keeps failing, so measuring stops here: {failure}") from failure


def _meant(text: str) -> str:
    """What was probably meant, else all that there is."""
    if Path(text).is_file():
        return f", did you mean {_REPLAY}{text}?"
    if ":" in text and not text.startswith((_REPLAY, _SCRIPTED)) and "//" not in text:
        return f", did you mean http://{text}?"
    near = {one: one for one in _EXAMPLES} | {name: _SCRIPTED + name for name in SCRIPTED}
    found = difflib.get_close_matches(text, near, n=1)
    return f", did you mean {near[found[0]]}?" if found else f"; there are {', '.join(_EXAMPLES)}"
