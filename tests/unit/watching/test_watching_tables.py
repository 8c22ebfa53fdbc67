"""Tables of scores: what they are made of."""

from types import MappingProxyType
from typing import Any

import numpy as np
from watching_world import calm, frame

from exporter.config.model import Watch
from exporter.reasoning.leaning import UNHEARD
from exporter.screening.screen import screen
from exporter.series.labels import labels_of
from exporter.watching.tables import build_table, members_of

WATCH = Watch.model_validate({"name": "w", "source": "s", "select": ["x"], "group_by": ["instance"]})


def test_only_verdicts_on_the_targets_own_groups_are_looked_at():
    shown = frame({"x": calm()})
    members = members_of(shown, WATCH)
    result = screen(shown, members.policy, members.settings)
    strangers: Any = {labels_of({"instance": f"other-{number}"}): None for number in range(3)}
    table = build_table(result, members, MappingProxyType(strangers), UNHEARD)
    assert np.isnan(table.llm).all()
