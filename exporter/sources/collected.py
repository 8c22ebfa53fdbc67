"""How a collection from one target of a source went."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collected:
    """How the last collection from one target of a source went."""

    source: str
    target: str
    up: bool
    duration_seconds: float
    samples: int
    at: float
    """Unix seconds."""
    error: str = ""
    warnings: tuple[str, ...] = ()
