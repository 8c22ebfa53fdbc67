"""A pool of model servers without servers: it keeps jobs until a test runs them, with answers that the test gives."""

from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.lmstudio.wire import ChatRequest, Model, Prediction

MODEL = Model(id="m", key="m", kind="llm", loaded=True, context_length=8192)

Answer = Callable[[ChatRequest], str]
"""Gets each request and returns the text of the model, or raises."""


@dataclass
class Pool:
    """Keeps jobs, each with who is told if it waits too long, until `run` or `expire`."""

    is_usable: bool = True
    accepts: bool = True
    jobs: list = field(default_factory=list)

    def submit(self, job, *, patience_seconds, on_expired) -> bool:
        assert patience_seconds > 0
        if self.accepts:
            self.jobs.append((job, on_expired))
        return self.accepts

    def usable(self) -> bool:
        return self.is_usable

    def run(self, answer: Answer) -> None:
        """Run all jobs."""
        jobs, self.jobs = self.jobs, []
        for job, _ in jobs:
            job(Session(answer))

    def expire(self) -> None:
        """Let all jobs wait too long."""
        jobs, self.jobs = self.jobs, []
        for _, on_expired in jobs:
            on_expired()


class Session:
    """A seat at the one model there is."""

    server = "desk"
    model = MODEL

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def ask(self, request: ChatRequest) -> Prediction:
        return Prediction(
            server=self.server,
            model=self.model.id,
            asked_model=request.model,
            text=self._answer(request),
            reasoning="",
            finish_reason="stop",
            prompt_tokens=400,
            output_tokens=80,
            reasoning_tokens=None,
            cached_prompt_tokens=None,
            time_to_first_token_seconds=0.5,
            duration_seconds=1.0,
            tokens_per_second=160.0,
            timed_by="clock",
        )
