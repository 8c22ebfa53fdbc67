"""Tables of scores: what they are made of."""

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from plain_verdict import plain_verdict
from watching_world import calm, frame, spiking

from exporter.config.model import Watch
from exporter.reasoning.leaning import UNHEARD, Weight
from exporter.reasoning.verdict import Finding
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


@pytest.mark.parametrize(
    ("llm_score", "weight", "moves"),
    [
        pytest.param(1.0, Weight(raising=1.0), 1, id="a yes that counts"),
        pytest.param(1.0, Weight(lowering=1.0), 0, id="a yes of one who mostly says yes"),
        pytest.param(0.0, Weight(lowering=1.0), -1, id="a no that counts"),
        pytest.param(0.0, Weight(raising=1.0), 0, id="a no that does not"),
    ],
)
def test_a_word_moves_a_score_as_far_as_words_of_its_kind_count(llm_score, weight, moves):
    shown = frame({"x": spiking()})
    members = members_of(shown, WATCH)
    result = screen(shown, members.policy, members.settings)
    (series,), (key,) = members.series, members.grouping.keys
    finding = Finding(series, 0.5, llm_score, confidence=1.0, kind=None, evidence=(), text="", grounded=True)
    table = build_table(result, members, {key: plain_verdict(findings=(finding,))}, weight)
    assert np.sign(table.anomaly - result.score).tolist() == [moves]
