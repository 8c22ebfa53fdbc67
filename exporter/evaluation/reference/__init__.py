"""Reference detectors: what stands beside the product in the table of `lmwatch eval`.

They are known methods in their plain form, rewritten from their published descriptions, each in a file that names its
source. All are causal (a score at an instant uses values up to it only) and repeat exactly under the same seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from exporter.evaluation.labelled import Case
from exporter.evaluation.reference.grafana_robust import grafana_robust
from exporter.evaluation.reference.kmeans_vote import kmeans_vote
from exporter.evaluation.reference.median_mad import median_mad
from exporter.evaluation.reference.random_cut_forest import random_cut_forest
from exporter.evaluation.reference.scores import case_score
from exporter.evaluation.reference.trivial import always, never, random
from exporter.evaluation.reference.zscore import zscore
from exporter.series.frame import FloatArray

__all__ = ["REFERENCES", "Detector", "Reference", "case_score"]

Detector = Callable[[Case, int], FloatArray]
"""Scores of a case under a seed: `[series × instants]` in 0..1, NaN where there is none (yet)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One row of the table."""

    name: str
    detect: Detector
    boundary: str
    """What a score of 0.5 means."""


REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {
        reference.name: reference
        for reference in (
            Reference("random", random, "nothing: scores are drawn evenly from 0..1"),
            Reference("never", never, "never reached"),
            Reference("always", always, "always exceeded"),
            Reference("zscore", zscore, "3 standard deviations from the mean of the last day"),
            Reference("median_mad", median_mad, "a modified z-score of 3.5 against the last day"),
            Reference("grafana_robust", grafana_robust, "the edge of the band, for 5 minutes"),
            Reference("kmeans_vote", kmeans_vote, "all models call it an anomaly"),
            Reference("random_cut_forest", random_cut_forest, "half of a tree's points are displaced"),
        )
    }
)
"""By name, in the order of the table."""
