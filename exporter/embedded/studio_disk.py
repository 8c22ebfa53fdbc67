"""The models on the disk of the stand-in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from exporter.embedded.contract import Engine, ModelFacts
from exporter.embedded.engine import LlamaEngine, facts_of

Kind = Literal["llm", "vlm", "embedding"]


@dataclass(frozen=True, slots=True)
class DownloadedModel:
    """A model on disk. Without `load` the guardrails refuse it: no engine here could answer for it."""

    facts: ModelFacts
    kind: Kind = "llm"
    format: Literal["gguf", "mlx"] = "gguf"
    tool_use: bool = False
    load: Callable[[int], Engine] | None = None
    """Given the context length, makes an engine that answers. Embedding models need none."""

    @property
    def key(self) -> str:
        """What the model is called in requests."""
        return self.facts.key

    @staticmethod
    def of(engine: Engine) -> "DownloadedModel":
        """The model behind an engine; loading it makes another engine of that size."""
        return DownloadedModel(engine.facts, load=engine.resized)

    @staticmethod
    def from_file(path: Path, *, threads: int | None = None) -> "DownloadedModel":
        """A GGUF file that llama.cpp answers for once it is loaded.

        Raises:
            BadDataError: the file is no GGUF file.
        """
        return DownloadedModel(
            facts_of(path), load=lambda context: LlamaEngine(path, context_length=context, threads=threads)
        )


def other_models() -> tuple[DownloadedModel, ...]:
    """What else lies on a typical disk: a language model, a vision model for MLX, an embedding model. None can chat."""
    return (
        DownloadedModel(
            ModelFacts("qwen2.5-7b-instruct", "Qwen2.5 7B Instruct", "qwen2", "Q4_K_M", 4_683_073_632, "7B", 32768, "qwen"),
            tool_use=True,
        ),
        DownloadedModel(
            ModelFacts(
                "qwen2-vl-7b-instruct", "Qwen2 VL 7B Instruct", "qwen2_vl", "4bit", 4_684_000_000, "7B", 32768,
                "mlx-community",
            ),
            kind="vlm",
            format="mlx",
        ),
        DownloadedModel(
            ModelFacts(
                "text-embedding-nomic-embed-text-v1.5", "Nomic Embed Text v1.5", "nomic-bert", "Q4_K_M", 84_106_624, "",
                2048, "nomic-ai",
            ),
            kind="embedding",
        ),
    )  # fmt: skip
