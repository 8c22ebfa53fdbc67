"""How our metrics map to the names of OpenTelemetry's conventions for generative AI.

Source: semantic-conventions at 7b0c0fe1e, `gen-ai-metrics.md`, status Development; the text has since moved to a repository of
its own. Its names may still change, so ours do not follow them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mapping:
    """One metric of OpenTelemetry and what corresponds to it here."""

    theirs: str
    ours: tuple[str, ...]
    """Catalogue names; none where nothing corresponds."""
    note: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of OpenTelemetry and the label that corresponds to it."""

    theirs: str
    ours: str
    note: str


METRICS: tuple[Mapping, ...] = (
    Mapping(
        "gen_ai.server.request.duration",
        ("lmstudio_request_duration_seconds",),
        "Ours holds completed requests only; failed ones are counted in `lmstudio_request_failures_total`. As seen by the caller, waiting"
        " in LM Studio's queue included. Theirs ends at 81.92 s, ours at 640 s.",
    ),
    Mapping(
        "gen_ai.server.time_to_first_token",
        ("lmstudio_request_time_to_first_token_seconds",),
        "Successful requests only, as theirs. With `origin` analysis or probe by our clock; with traffic from the log stream by the"
        " engine's, which probably leaves out the wait in the queue. Theirs ends at 10 s: prompts of 16,000 tokens have been seen to take 14 s on"
        " a desktop, and loading the model comes on top.",
    ),
    Mapping(
        "gen_ai.server.time_per_output_token",
        ("lmstudio_request_time_per_output_token_seconds",),
        "Theirs is decode time over all tokens but the first; so is ours where our clock or llama.cpp gives it. Where MLX gives it, it is"
        " decode time over all tokens.",
    ),
    Mapping(
        "gen_ai.client.operation.duration",
        ("lmstudio_request_duration_seconds",),
        "Where lmwatch itself asks (`origin` analysis or probe), it is the client, and both durations are one.",
    ),
    Mapping(
        "gen_ai.client.operation.time_to_first_chunk",
        ("lmstudio_request_time_to_first_token_seconds",),
        "The first chunk that holds a token; an empty one that only names the role does not count here.",
    ),
    Mapping(
        "gen_ai.client.operation.time_per_output_chunk",
        (),
        "Not measured: with speculative decoding a chunk holds several tokens, so chunks say little about a model.",
    ),
    Mapping(
        "gen_ai.client.token.usage",
        ("lmstudio_request_prompt_tokens", "lmstudio_request_output_tokens"),
        "One histogram with `gen_ai.token.type` there, two here, since a sum over both types means nothing. Theirs reaches 67,108,864 tokens,"
        " ours 1,048,576. Reasoning tokens are part of the output in both.",
    ),
)

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        "gen_ai.provider.name", "", "Required there, and has no well-known value for LM Studio; say `lm_studio`."
    ),
    Attribute(
        "gen_ai.operation.name",
        "",
        "Required there. What is measured here are chats and text completions; embeddings report no tokens and no times.",
    ),
    Attribute("gen_ai.response.model", "`model`", "The instance that answered; `other` beyond 200 models of a server."),
    Attribute("gen_ai.request.model", "", "LM Studio answers for a model it does not find with one that is loaded."),
    Attribute("gen_ai.token.type", "the metric's name", "See `gen_ai.client.token.usage`."),
    Attribute(
        "server.address, server.port", "`server`", "A name from the configuration; `lmstudio_server_info` has the URL."
    ),
    Attribute(
        "error.type",
        "`reason` of `lmstudio_request_failures_total`",
        "There on the duration of failed requests, here on their count: a failure's duration mostly says how long somebody waited.",
    ),
    Attribute("none", "`origin`", "analysis, probe or traffic: who asked."),
)

_INTRODUCTION = """
## OpenTelemetry's names for generative AI

OpenTelemetry has [conventions for generative AI](https://opentelemetry.io/docs/specs/semconv/gen-ai/), in development. Our names
stay what they are; whoever has both finds here what corresponds to what. Everything else above, from loaded models to
queues and failures by reason, has no counterpart there.
"""


def markdown() -> str:
    """A section of the reference page."""
    metrics = "".join(
        f"| `{entry.theirs}` | {', '.join(f'`{name}`' for name in entry.ours) or '–'} | {entry.note} |\n"
        for entry in METRICS
    )
    attributes = "".join(
        f"| {', '.join(f'`{name}`' for name in entry.theirs.split(', ')) if entry.theirs != 'none' else '–'}"
        f" | {entry.ours or '–'} | {entry.note} |\n"
        for entry in ATTRIBUTES
    )
    return (
        f"{_INTRODUCTION}\n| OpenTelemetry | lmwatch | what differs |\n|---|---|---|\n{metrics}"
        f"\n| attribute | label | what differs |\n|---|---|---|\n{attributes}"
    )
