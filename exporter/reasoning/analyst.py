"""One group put to a model: the question, at most one repetition of it, the checked verdict."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import ChatRequest, Model, Prediction
from exporter.reasoning.checks import ParsedAnswer, Problem, parse_answer
from exporter.reasoning.memory import Memory
from exporter.reasoning.prompt import build_request, system_prompt, transcript
from exporter.reasoning.replay import Ask
from exporter.reasoning.room import Room
from exporter.reasoning.schema import answer_schema
from exporter.reasoning.snapshot import Snapshot, fit_snapshot
from exporter.reasoning.verdict import Outcome, Verdict, verdict_id
from exporter.screening.result import ScreenedGroup

MAX_CONTEXT_SHARE = 0.75
"""Of a model's context for one question and its answer. The rest covers errors of the estimate: where a model reads
numbers digit by digit, a snapshot takes up to half as much again as is expected before its server has reported once."""


@dataclass(frozen=True, slots=True)
class _Case:
    """What is judged, and who is asked."""

    group: ScreenedGroup
    context: str
    earlier: tuple[str, ...]
    at: float
    ask: Ask
    server: str
    model: Model


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What was asked and what came of it."""

    snapshot: Snapshot
    request: ChatRequest | None = None
    predictions: tuple[Prediction, ...] = ()
    answer: str = ""
    parsed: ParsedAnswer | None = None
    problems: tuple[str, ...] = ()
    failure: ModelFailure | None = None


class Analyst:
    """Puts groups to models. Safe to use from several threads as far as what it is given is."""

    def __init__(
        self,
        estimate: Callable[[str, str], int],
        learn: Callable[[str, int, int], None],
        memory: Memory,
    ) -> None:
        """An analyst.

        Args:
            estimate: tokens of a text for a model's key: `estimate(text, model)`.
            learn: told what a server counted: `learn(model, estimated, reported)`.
            memory: the verdicts so far; every readable one is added.
        """
        self._estimate = estimate
        self._learn = learn
        self._memory = memory

    def judge(
        self,
        group: ScreenedGroup,
        *,
        context: str,
        at: float,
        ask: Ask,
        server: str,
        model: Model,
        max_context_share: float = MAX_CONTEXT_SHARE,
    ) -> Verdict:
        """The verdict of a model on a group; whatever the model or its server does, there is one.

        An answer that cannot be read is asked for once more, with what was wrong. A snapshot that overflows the server's
        context is sent once more at half the size, where that leaves a series to show. A server that cannot enforce the
        schema is asked without.

        Args:
            group: what screening found.
            context: the user's words about the watch.
            at: the present, Unix seconds.
            ask: one call to the model, with its own deadline; raises `ModelFailure`.
            server: the server's name.
            model: the instance to ask.
            max_context_share: the part of the model's context that a question and its answer may take, 0..1.

        Raises:
            LmwatchError: what `ask` raises besides `ModelFailure`.
        """
        earlier = self._memory.lines(group.watch, group.key, at)
        case = _Case(group, context, earlier, at, ask, server, model)
        room = Room.of(model, self._estimate(system_prompt(), model.key), max_context_share)
        exchange = self._converse(case, room)
        if exchange.failure is not None and exchange.failure.reason == "context_overflow":
            smaller = self._converse(case, room, most_tokens=exchange.snapshot.estimated_tokens // 2)
            exchange = smaller if smaller.snapshot.shown else exchange
        verdict = _verdict(case, exchange, room.prefix)
        self._memory.remember(verdict)
        return verdict

    def _converse(self, case: _Case, room: Room, most_tokens: int | None = None) -> _Exchange:
        """Ask, and once more when the answer cannot be read."""
        snapshot = self._fit(case, room, most_tokens)
        exchange = _Exchange(snapshot)
        if not snapshot.shown:
            return replace(exchange, problems=(_nothing_shown(case, room),))
        request = build_request(
            snapshot,
            case.model.id,
            max_tokens=room.answer(len(snapshot.shown)),
            schema=answer_schema(snapshot),
            reasoning_effort=room.effort,
        )
        exchange = self._ask(case, room, exchange, request)
        if exchange.parsed is not None or exchange.failure is not None:
            return exchange
        again = build_request(
            snapshot,
            case.model.id,
            max_tokens=_second_length(exchange, room),
            schema=answer_schema(snapshot),
            reasoning_effort=room.effort,
            problem=exchange.problems[-1],
        )
        return self._ask(case, room, exchange, again)

    def _fit(self, case: _Case, room: Room, most_tokens: int | None) -> Snapshot:
        """The snapshot of as many series as question and answer have room for."""

        def budget(count: int) -> int:
            free = room.question(count)
            return free if most_tokens is None else min(free, most_tokens)

        return fit_snapshot(
            case.group,
            context=case.context,
            earlier=case.earlier,
            at=case.at,
            budget=budget,
            estimate=lambda text: self._estimate(text, case.model.key),
        )

    def _ask(self, case: _Case, room: Room, so_far: _Exchange, request: ChatRequest) -> _Exchange:
        """One question, added to what came of those before."""
        try:
            prediction = _ask_with_or_without_schema(case.ask, request)
        except ModelFailure as failure:
            return replace(so_far, request=request, failure=failure, problems=(*so_far.problems, str(failure)))
        if prediction.prompt_tokens and prediction.asked_model == case.model.id:
            self._learn(case.model.key, room.prefix + so_far.snapshot.estimated_tokens, prediction.prompt_tokens)
        answer, parsed = _read(prediction, so_far.snapshot)
        exchange = replace(so_far, request=request, predictions=(*so_far.predictions, prediction), answer=answer)
        if isinstance(parsed, Problem):
            return replace(exchange, problems=(*so_far.problems, parsed.text))
        return replace(exchange, parsed=parsed, problems=parsed.problems)


def _ask_with_or_without_schema(ask: Ask, request: ChatRequest) -> Prediction:
    try:
        return ask(request)
    except ModelFailure as failure:
        if failure.reason != "grammar":
            raise
    return ask(replace(request, schema=None))


def _read(prediction: Prediction, snapshot: Snapshot) -> tuple[str, ParsedAnswer | Problem]:
    """The answer and what it says; some servers put a reasoning model's JSON where its thoughts go."""
    parsed = parse_answer(prediction.text, snapshot)
    if isinstance(parsed, ParsedAnswer):
        return prediction.text, parsed
    thought = parse_answer(prediction.reasoning, snapshot)
    if isinstance(thought, ParsedAnswer):
        return prediction.reasoning, thought
    if prediction.finish_reason == "length":
        return prediction.text, Problem("it was cut off at the greatest length allowed")
    return prediction.text, parsed


def _second_length(exchange: _Exchange, room: Room) -> int:
    """Tokens for the second answer: more when the first was cut off."""
    shown = len(exchange.snapshot.shown)
    if exchange.predictions[-1].finish_reason == "length":
        return room.longer_answer(shown, exchange.snapshot.estimated_tokens)
    return room.answer(shown)


def _nothing_shown(case: _Case, room: Room) -> str:
    if not case.group.series:
        return "the group has no series to show"
    return (
        f"the context of {case.model.id} has room for no series: {room.tokens} tokens for the instructions"
        f" ({room.prefix}), the question and the answer; load it with a greater context length"
    )


def _verdict(case: _Case, exchange: _Exchange, prefix: int) -> Verdict:
    parsed = exchange.parsed
    snapshot = exchange.snapshot
    return Verdict(
        id=verdict_id(case.group.watch, case.group.key, case.at),
        watch=case.group.watch,
        group=case.group.key,
        at=case.at,
        outcome=_outcome(exchange),
        model=exchange.predictions[-1].model if exchange.predictions else case.model.id,
        server=exchange.predictions[-1].server if exchange.predictions else case.server,
        group_score=parsed.group_score if parsed else None,
        summary=parsed.summary if parsed else "",
        cause=parsed.cause if parsed else "",
        next_steps=parsed.next_steps if parsed else "",
        findings=parsed.findings if parsed else (),
        problems=(*exchange.problems, *_other_model(exchange.predictions, case.model)),
        facts=snapshot.facts,
        prompt=transcript(exchange.request) if exchange.request else "",
        answer=exchange.answer,
        shown=len(snapshot.shown),
        dropped=snapshot.dropped,
        prompt_tokens_estimated=prefix + snapshot.estimated_tokens if snapshot.shown else 0,
        predictions=exchange.predictions,
    )


def _other_model(predictions: tuple[Prediction, ...], first: Model) -> tuple[str, ...]:
    """That another model answered than was asked: LM Studio does that with an identifier that it no longer knows.

    It is said and does not count against the answer, which was checked like any other.
    """
    return tuple(
        dict.fromkeys(
            f"{each.asked_model} was asked, {each.model} answered"
            for each in predictions
            if each.model not in (each.asked_model, first.id, first.key, "")
        ),
    )


def _outcome(exchange: _Exchange) -> Outcome:
    if exchange.parsed is not None:
        return "ungrounded" if exchange.problems else "ok"
    if exchange.failure is not None:
        return "timeout" if exchange.failure.reason == "timeout" else "llm_error"
    return "invalid" if exchange.predictions else "llm_error"
