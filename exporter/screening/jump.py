"""Jump: a change between neighbouring instants beyond all such changes seen before."""

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import Detection, direction_kind
from exporter.screening.evidence import jump_text
from exporter.screening.ordered import Ordered
from exporter.screening.tails import any_of, decay_of, log_beyond, pick, taught_by

_SHARE_OF_RANGE = 0.1
"""Changes are measured in no smaller unit than this share of the range of the values: a smooth curve has tiny changes,
and a step that is small against what the series covers anyway is no news."""


def jump(baseline: Baseline) -> Detection:
    """Judge changes as `rank` judges values: by the distance beyond the largest rise or fall of the history.

    Sees what is odd although the value itself is a usual one. A change that leads nearer to the median is a return,
    not an anomaly.
    """
    values, judged, median = baseline.values, baseline.judged, baseline.past.median[:, None]
    instants = values.shape[1]
    changes = values[:, 1:] - values[:, :-1]
    past = Ordered.of(changes[:, : instants - baseline.guard - 1], whole=baseline.whole)
    newest = changes[:, instants - 1 - judged :]
    spread = np.maximum(past.upper - past.lower, _SHARE_OF_RANGE * (baseline.past.upper - baseline.past.lower))
    beyond = np.maximum(newest - past.maximum[:, None], past.minimum[:, None] - newest)
    distance = np.abs(values[:, instants - 1 - judged :] - median)
    leaves = distance[:, 1:] > distance[:, :-1]
    decay = decay_of(past.heaviness().max(axis=0))[:, None]
    count = past.count[:, None]
    log_tails = log_beyond(beyond / baseline.unit(spread, newest), count, decay, taught_by(count))
    one, column = pick(log_tails, leaves & baseline.policy.matters(newest, median))
    up = newest[np.arange(column.size), column] > 0

    def words(row: int, unit: str) -> str | None:
        largest = float(past.maximum[row]) if up[row] else -float(past.minimum[row])
        return jump_text(baseline, row, instants - judged + int(column[row]), largest, unit)

    return Detection("jump", any_of(one, judged), direction_kind(up), words)
