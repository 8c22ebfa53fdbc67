"""The metrics about LM Studio servers and their models."""

from exporter.metrics.row import Row, counter, gauge, histogram, info

CALL_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
_FIRST_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
_PER_TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 40.0, 160.0, 640.0)
_TOKEN_BUCKETS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0)

_SERVER = ("server",)
_MODEL = ("server", "model")
_CALL = ("server", "model", "origin")

LMSTUDIO: tuple[Row, ...] = (
    gauge(
        "lmstudio_up",
        "1 if the last poll brought a well-formed model list, else 0. HTTP 200 alone proves nothing.",
        _SERVER,
    ),
    info(
        "lmstudio_server_info",
        "What answers at the server's URL; always 1. api is v1, v0 or openai, the richest API it speaks.",
        ("server", "api", "version", "url"),
    ),
    gauge("lmstudio_model_loaded", "1 if the model is loaded, 0 if it is only downloaded.", _MODEL),
    info(
        "lmstudio_model_info",
        "What a model is; always 1. Join it by server and model.",
        ("server", "model", "key", "kind", "publisher", "architecture", "quantization", "format"),
    ),
    gauge("lmstudio_model_size_bytes", "Size of the model's weights in bytes.", _MODEL, "bytes"),
    gauge(
        "lmstudio_model_context_length_tokens", "Context that the model is loaded with, in tokens.", _MODEL, "tokens"
    ),
    gauge(
        "lmstudio_model_max_context_length_tokens",
        "Longest context that the model supports, in tokens.",
        _MODEL,
        "tokens",
    ),
    gauge("lmstudio_model_parallel_slots", "Requests that the loaded model works on at the same time.", _MODEL),
    gauge(
        "lmstudio_model_ttl_remaining_seconds",
        "Seconds until LM Studio unloads the idle model; absent where it stays.",
        _MODEL,
        "seconds",
    ),
    gauge(
        "lmstudio_model_ttl_seconds",
        "Seconds without use after which LM Studio unloads the model; absent where it stays, and where the websocket does not tell.",
        _MODEL,
        "seconds",
    ),
    gauge(
        "lmstudio_model_last_used_timestamp_seconds",
        "Unix time in seconds when the model was last used, by the server's clock; absent where the websocket does not tell.",
        _MODEL,
        "seconds",
    ),
    gauge(
        "lmstudio_model_status",
        "1 for what the model is doing at present, 0 for the other states.",
        ("server", "model", "status"),
    ),
    gauge(
        "lmstudio_model_queued_requests",
        "Requests that wait for the model, by LM Studio's word. Whether those it works on are counted too is not documented.",
        _MODEL,
    ),
    gauge(
        "lmstudio_models",
        "Models in the server's list by state: loaded, not_loaded, or unknown where its API does not tell. Each loaded"
        " instance counts.",
        ("server", "state"),
    ),
    counter(
        "lmstudio_model_loads_total",
        "Times that a model was seen to become loaded.",
        _MODEL,
    ),
    counter(
        "lmstudio_model_unloads_total",
        "Times that a model was seen to become unloaded. reason is ttl, evicted (another took its place), unexpected (gone and not"
        " due: it crashed, or somebody unloaded it) or unknown (the API tells no times to live).",
        ("server", "model", "reason"),
    ),
    counter(
        "lmstudio_model_context_changes_total",
        "Times that a model was seen to be loaded with another context than before.",
        _MODEL,
    ),
    gauge(
        "lmstudio_tokens_per_second",
        "Output tokens per second of decode time in the last completed prediction. origin is analysis, probe or traffic.",
        _CALL,
        "tokens_per_second",
    ),
    gauge(
        "lmstudio_time_to_first_token_seconds",
        "Seconds from sending the request to the first token in the last completed prediction.",
        _CALL,
        "seconds",
    ),
    gauge(
        "lmstudio_context_used_tokens", "Prompt and output tokens of the last completed prediction.", _CALL, "tokens"
    ),
    gauge(
        "lmstudio_context_used_ratio",
        "Prompt and output tokens of the last completed prediction as a share of the loaded context, from 0 to 1.",
        _CALL,
        "ratio",
    ),
    histogram(
        "lmstudio_request_time_to_first_token_seconds",
        "Seconds from sending a request to its first token of any kind.",
        _CALL,
        _FIRST_TOKEN_BUCKETS,
        "seconds",
    ),
    histogram(
        "lmstudio_request_time_per_output_token_seconds",
        "Decode seconds per output token.",
        _CALL,
        _PER_TOKEN_BUCKETS,
        "seconds",
    ),
    histogram(
        "lmstudio_request_duration_seconds",
        "Seconds that whole completed requests took.",
        _CALL,
        CALL_BUCKETS,
        "seconds",
    ),
    histogram(
        "lmstudio_request_prompt_tokens",
        "Prompt tokens of single requests, by the server's count.",
        _CALL,
        _TOKEN_BUCKETS,
        "tokens",
    ),
    histogram(
        "lmstudio_request_output_tokens",
        "Tokens generated for single requests, by the server's count.",
        _CALL,
        _TOKEN_BUCKETS,
        "tokens",
    ),
    counter("lmstudio_requests_total", "Requests put to the model, the failed ones included.", _CALL),
    counter(
        "lmstudio_request_failures_total",
        "Requests that brought no usable answer, by reason from a closed list.",
        ("server", "model", "origin", "reason"),
    ),
    gauge(
        "lmstudio_request_last_failure_timestamp_seconds",
        "Unix time in seconds of the last request that failed for this reason.",
        ("server", "model", "origin", "reason"),
        "seconds",
    ),
    counter(
        "lmstudio_request_finishes_total",
        "Completed answers by what ended them. finish_reason is stop, length (the request's limit), context_length, tool_calls,"
        " content_filter, user_stopped, model_unloaded, failed or other.",
        ("server", "model", "origin", "finish_reason"),
    ),
    counter("lmstudio_prompt_tokens_total", "Prompt tokens processed, by the server's count.", _CALL, "tokens"),
    counter(
        "lmstudio_output_tokens_total",
        "Tokens generated, by the server's count; reasoning tokens are part of them.",
        _CALL,
        "tokens",
    ),
    counter("lmstudio_reasoning_tokens_total", "Tokens generated as reasoning before the answer.", _CALL, "tokens"),
    counter(
        "lmstudio_cached_prompt_tokens_total", "Prompt tokens taken from the server's prompt cache.", _CALL, "tokens"
    ),
    histogram(
        "lmstudio_model_load_duration_seconds",
        "Seconds that loading the model took.",
        _MODEL,
        CALL_BUCKETS,
        "seconds",
        planned=True,
    ),
    gauge(
        "lmstudio_poll_duration_seconds",
        "Seconds that the last poll of the server took, failed or not.",
        _SERVER,
        "seconds",
    ),
    counter("lmstudio_poll_failures_total", "Polls that failed, by reason from a closed list.", ("server", "reason")),
    gauge(
        "lmstudio_process_up",
        "1 if LM Studio's program runs, whether or not its HTTP API answers, else 0; absent where that cannot be seen, as from"
        " another host.",
        _SERVER,
    ),
    gauge(
        "lmstudio_rpc_up",
        "1 while the websocket tells what models are doing, else 0; absent where it is not used.",
        _SERVER,
    ),
    gauge(
        "lmstudio_log_stream_up",
        "1 while statistics of all predictions come in from the log stream, else 0; absent where it is turned off, and with auto where there is none, as from another host.",
        _SERVER,
    ),
    gauge("lmstudio_circuit_state", "State of the circuit breaker: 0 closed, 1 half open, 2 open.", _SERVER),
    counter(
        "lmstudio_server_restarts_total",
        "Times that the server was seen to be another process or version, or to come back after it was unreachable.",
        _SERVER,
    ),
    counter(
        "lmstudio_server_version_changes_total", "Times that the server was seen to have another version.", _SERVER
    ),
    counter(
        "lmstudio_probes_total",
        "Probes that were due, by outcome: probed, failed, other_model (another one answered), or skipped_ and why.",
        ("server", "outcome"),
    ),
    counter(
        "lmstudio_proxy_responses_total",
        "Answers that passed through the metering proxy, by HTTP status. model is empty on routes where no model answers.",
        ("server", "model", "code"),
    ),
    counter(
        "lmstudio_proxy_uncounted_total",
        "Exchanges or connections that passed through the metering proxy without being counted.",
        _SERVER,
    ),
    gauge("lmstudio_proxy_connections", "Connections of clients that the metering proxy holds open.", _SERVER),
    gauge(
        "lmstudio_prompt_estimate_ratio",
        "Tokens that the last prompt of an analysis was estimated at over those that the server counted; far from 1 the"
        " tokenizer is not the model's.",
        _MODEL,
        "ratio",
    ),
)
