"""One group put to a model: the question, at most one repetition of it, the checked verdict."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from exporter.config.base import AutoOnOff
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import ChatRequest, Image, Model, Prediction
from exporter.reasoning.asking import Answered, put
from exporter.reasoning.checks import ParsedAnswer, Problem, parse_answer
from exporter.reasoning.image import IMAGE_TOKENS
from exporter.reasoning.memory import Memory
from exporter.reasoning.pictures import MOST_PICTURES, Picture, picture_of
from exporter.reasoning.prompt import build_request, image_of, system_prompt, transcript
from exporter.reasoning.replay import Ask
from exporter.reasoning.room import Room
from exporter.reasoning.schema import answer_schema
from exporter.reasoning.sight import Sight
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
    remarks: tuple[str, ...] = ()
    """What has to be said and does not count against the answer."""


class Analyst:
    """Puts groups to models. Safe to use from several threads as far as what it is given is."""

    def __init__(
        self,
        estimate: Callable[[str, str], int],
        learn: Callable[[str, int, int], None],
        memory: Memory,
        sight: Sight | None = None,
    ) -> None:
        """An analyst.

        Args:
            estimate: tokens of a text for a model's key: `estimate(text, model)`.
            learn: told what a server counted: `learn(model, estimated, reported)`.
            memory: the verdicts so far; every readable one is added.
            sight: decides who is shown a chart; None for one without any experience.
        """
        self._estimate = estimate
        self._learn = learn
        self._memory = memory
        self._sight = Sight() if sight is None else sight

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
        image: AutoOnOff = "off",
    ) -> Verdict:
        """The verdict of a model on a group; whatever the model or its server does, there is one.

        An answer that cannot be read is asked for once more, with what was wrong. A snapshot that overflows the server's
        context is sent once more at half the size, where that leaves a series to show. A server that cannot enforce the
        schema is asked without, and so is one that does not take the chart; that one is not sent another.

        Args:
            group: what screening found.
            context: the user's words about the watch.
            at: the present, Unix seconds.
            ask: one call to the model, with its own deadline; raises `ModelFailure`.
            server: the server's name.
            model: the instance to ask.
            max_context_share: the part of the model's context that a question and its answer may take, 0..1.
            image: whether a model that can see is shown a chart: `auto` and `on` where it can be drawn, `off` never. With
                `on` the first verdict of a model that is not shown one says why.

        Raises:
            LmwatchError: what `ask` raises besides `ModelFailure`.
        """
        earlier = self._memory.lines(group.watch, group.key, at)
        case = _Case(group, context, earlier, at, ask, server, model)
        look = self._sight.look(image, server, model)
        prefix = self._estimate(system_prompt(), model.key)
        room = Room.of(model, prefix, max_context_share, IMAGE_TOKENS if look.show else 0)
        exchange = self._converse(case, room)
        if exchange.failure is not None and exchange.failure.reason == "context_overflow":
            most = exchange.snapshot.estimated_tokens // 2
            smaller = self._converse(case, replace(room, image=0), most_tokens=most)
            if smaller.snapshot.shown:
                exchange = replace(smaller, remarks=(*exchange.remarks, *smaller.remarks))
        verdict = _verdict(case, exchange, prefix, look.problem)
        self._memory.remember(verdict)
        return verdict

    def _converse(self, case: _Case, room: Room, most_tokens: int | None = None) -> _Exchange:
        """Ask, and once more when the answer cannot be read."""
        snapshot = self._fit(case, room, most_tokens)
        if room.image and not snapshot.shown:
            room = replace(room, image=0)
            snapshot = self._fit(case, room, most_tokens)
        exchange = _Exchange(snapshot)
        if not snapshot.shown:
            return replace(exchange, problems=(_nothing_shown(case, room),))
        chart = self._sight.draw([(one.id, one.series) for one in snapshot.shown]) if room.image else None
        exchange = self._ask(case, room, exchange, room.answer(len(snapshot.shown)), chart)
        if exchange.parsed is not None or exchange.failure is not None:
            return exchange
        chart = image_of(exchange.request) if exchange.request else None
        return self._ask(case, room, exchange, _second_length(exchange, room), chart)

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

    def _ask(self, case: _Case, room: Room, so_far: _Exchange, max_tokens: int, chart: Image | None) -> _Exchange:
        """One question, added to what came of those before."""
        snapshot = so_far.snapshot

        def question(image: Image | None) -> ChatRequest:
            return build_request(
                snapshot,
                case.model.id,
                max_tokens=max_tokens,
                schema=answer_schema(snapshot),
                reasoning_effort=room.effort,
                problem=so_far.problems[-1] if so_far.problems else "",
                image=image,
            )

        answered = put(case.ask, question, chart)
        self._learn_of_charts(case, answered)
        so_far = replace(so_far, request=answered.request, remarks=(*so_far.remarks, *_remarks(answered)))
        prediction = answered.prediction
        if prediction is None:
            problems = (*so_far.problems, str(answered.failure))
            return replace(so_far, failure=answered.failure, problems=problems)
        if prediction.prompt_tokens and prediction.asked_model == case.model.id and not image_of(answered.request):
            self._learn(case.model.key, room.prefix + snapshot.estimated_tokens, prediction.prompt_tokens)
        answer, parsed = _read(prediction, snapshot)
        exchange = replace(so_far, predictions=(*so_far.predictions, prediction), answer=answer)
        if isinstance(parsed, Problem):
            return replace(exchange, problems=(*so_far.problems, parsed.text))
        return replace(exchange, parsed=parsed, problems=parsed.problems)

    def _learn_of_charts(self, case: _Case, answered: Answered) -> None:
        """Note whether the one who was asked takes charts, as far as this question tells."""
        prediction, failure = answered.prediction, answered.failure
        if prediction is not None and answered.image_failure is not None:
            self._sight.failed(prediction.server, prediction.asked_model, answered.image_failure)
        elif prediction is not None and image_of(answered.request):
            self._sight.took(prediction.server, prediction.asked_model)
        elif failure is not None and failure.reason == "timeout" and image_of(answered.request):
            self._sight.failed(case.server, case.model.id, failure)


def _remarks(answered: Answered) -> tuple[str, ...]:
    failure = answered.image_failure
    return () if failure is None else (f"asked without the chart: {failure}",)


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


def _verdict(case: _Case, exchange: _Exchange, prefix: int, chart_problem: str) -> Verdict:
    parsed = exchange.parsed
    snapshot = exchange.snapshot
    remarks = ((chart_problem,) if chart_problem else ()) + exchange.remarks
    chart = IMAGE_TOKENS if exchange.request and image_of(exchange.request) else 0
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
        problems=(*exchange.problems, *remarks, *_other_model(exchange.predictions, case.model)),
        facts=snapshot.facts,
        prompt=transcript(exchange.request) if exchange.request else "",
        answer=exchange.answer,
        shown=len(snapshot.shown),
        dropped=snapshot.dropped,
        prompt_tokens_estimated=prefix + snapshot.estimated_tokens + chart if snapshot.shown else 0,
        predictions=exchange.predictions,
        request=replace(exchange.request, messages=()) if exchange.request else None,
        pictures=_pictures(snapshot, parsed),
    )


def _pictures(snapshot: Snapshot, parsed: ParsedAnswer | None) -> tuple[Picture, ...]:
    """Of the most anomalous series, in the order of the snapshot."""
    said = {finding.series: finding.llm_score for finding in parsed.findings} if parsed else {}
    ranked = sorted(snapshot.shown, key=lambda one: -said.get(one.series.series, 0.0))
    kept = {one.id for one in ranked[:MOST_PICTURES]}
    return tuple(picture_of(one.id, one.series) for one in snapshot.shown if one.id in kept)


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
