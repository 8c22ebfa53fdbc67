"""What a run of the pipeline over one case gave."""

from dataclasses import dataclass

from exporter.evaluation.labelled import Case
from exporter.reasoning.verdict import Verdict
from exporter.series.frame import FloatArray


@dataclass(frozen=True, eq=False)
class CaseRun:
    """Scores at each instant of a case, each made from values up to that instant only."""

    case: Case
    screen: FloatArray
    """[series × instants]: the screen's scores; NaN where there is none."""
    combined: FloatArray
    """[series × instants]: after the model's say; the same as `screen` where no model was asked."""
    expected_lower: FloatArray
    """[series × instants]."""
    expected_upper: FloatArray
    group_screen: FloatArray
    """[groups × instants]: how each group stands before a model is asked."""
    group_combined: FloatArray
    """[groups × instants]: after its say."""
    groups: tuple[str, ...]
    """What the groups are called, in the order of those rows; one, called "", where the case has no `group_by`."""
    verdicts: tuple[Verdict, ...]
    """All that the model was asked about, in order of time."""
    seconds: float
    """How long it took."""
