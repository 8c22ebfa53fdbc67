"""A question put to a model, less what its server does not take of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import ChatRequest, Image, Prediction
from exporter.reasoning.replay import Ask

_MAYBE_THE_IMAGE = (
    "image_refused",
    "invalid_request",
    "context_overflow",
    "server_error",
    "crashed",
    "channel_error",
    "empty_answer",
    "unknown",
)
"""Failures that an image may cause: servers refuse it in words of many kinds, and some engines break over it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question: a prediction or a failure."""

    request: ChatRequest
    """As it was put last."""
    prediction: Prediction | None = None
    failure: ModelFailure | None = None
    image_failure: ModelFailure | None = None
    """Why it was put again without the image."""


def put(ask: Ask, question: Callable[[Image | None], ChatRequest], image: Image | None) -> Answered:
    """Ask; without the schema where the server cannot enforce it, without the image where that may be what failed.

    Args:
        ask: one call to the model; raises `ModelFailure`.
        question: makes the request, with this image or without any.
        image: what to show the model.

    Raises:
        LmwatchError: what `ask` raises besides `ModelFailure`.
    """
    request = question(image)
    image_failure: ModelFailure | None = None
    while True:
        try:
            return Answered(request, prediction=ask(request), image_failure=image_failure)
        except ModelFailure as failure:
            if failure.reason == "grammar" and request.schema is not None:
                request = replace(request, schema=None)
            elif image is not None and failure.reason in _MAYBE_THE_IMAGE:
                image, image_failure = None, failure
                request = replace(question(None), schema=request.schema)
            else:
                return Answered(request, failure=failure, image_failure=image_failure)
