"""Planned faults that strike while a model answers."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from math import inf

from exporter.embedded.contract import ContextOverflowError, Ending, Piece
from exporter.embedded.scripted import split_tokens
from exporter.embedded.studio_errors import (
    ApiError,
    channel_error,
    context_overflow,
    model_crashed,
    model_unloaded,
    slot_timeout,
)
from exporter.embedded.studio_faults import Fault
from exporter.embedded.studio_http import Call, ClientGoneError

_STUB = "Sorry, I am not sure of it."
_OVERFLOWING_TOKENS = 131072


def reported_name(call: Call, name: str) -> str:
    """What the response calls the model."""
    if call.fault is not None and call.fault.kind == "wrong_model":
        return call.fault.text or "some-other-model"
    return name


def refuse(call: Call, context_length: int) -> None:
    """Faults that strike before the model is asked.

    Raises:
        ApiError: the planned one.
    """
    fault = call.fault
    if fault is None:
        return
    if fault.kind == "context_overflow":
        raise _worded(fault, context_overflow(ContextOverflowError(_OVERFLOWING_TOKENS, context_length)))
    if fault.kind == "slot_timeout":
        raise _worded(fault, slot_timeout())


def disturbed(pieces: Iterable[Piece], call: Call, unload: Callable[[], object]) -> Iterator[Piece]:
    """The pieces of an answer with the call's fault at its place among them.

    Args:
        pieces: what the model says.
        call: with its fault, if any.
        unload: takes the model away.

    Raises:
        ApiError: the planned one.
        ClientGoneError: the connection was cut, or the client gave up.
    """
    fault = call.fault
    if fault is None:
        yield from pieces
        return
    spoken = 0
    for piece in pieces:
        speaks = bool(piece.text or piece.reasoning)
        if piece.ending is not None or (speaks and spoken >= fault.after_pieces):
            _strike(call, fault, unload)
        if speaks and fault.kind == "slow":
            call.wait(fault.between_seconds)
        spoken += speaks
        yield _silenced(piece) if fault.kind == "empty_stream" else piece


def _strike(call: Call, fault: Fault, unload: Callable[[], object]) -> None:
    match fault.kind:
        case "hang":
            call.wait(inf)
        case "evicted":
            unload()
            raise _worded(fault, model_unloaded())
        case "crashed":
            unload()
            raise _worded(fault, model_crashed())
        case "channel_error":
            raise _worded(fault, channel_error())
        case "error_event":
            raise ApiError(400, fault.text or "Compute error.")
        case "reset_mid_stream":
            call.reset()
            raise ClientGoneError
        case _:
            pass


def _worded(fault: Fault, usual: ApiError) -> ApiError:
    """The error in the words that the fault asks for."""
    return ApiError(usual.status, fault.text) if fault.text else usual


def _silenced(piece: Piece) -> Piece:
    return Piece(ending=replace(piece.ending, output_tokens=0)) if piece.ending is not None else Piece()


def stub() -> Generator[Piece, None, None]:
    """A reply of a few tokens at once that has nothing to do with the question."""
    tokens = split_tokens(_STUB)
    for token in tokens:
        yield Piece(text=token)
    yield Piece(ending=Ending("stop", 0, len(tokens), 0, 0, 0.01, 0.05))
