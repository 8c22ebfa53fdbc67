"""A chart on its whole way: drawn, sent over HTTP, taken or refused by LM Studio's stand-in, told in the verdict."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Picture

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.embedded.contract import ModelFacts
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import DownloadedModel
from exporter.lmstudio.pool import make_pool
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.memory import Memory
from exporter.screening.result import Evidence, ScreenedGroup, ScreenedSeries
from exporter.series.labels import Series

pytestmark = pytest.mark.integration

AT = 1_763_803_440.0
ANSWER = {
    "findings": {"S1": {"evidence": ["E1"], "text": "It rose.", "kind": "level_shift", "score": 9, "confidence": 8}},
    "summary": "Load rose.",
    "cause": "More work.",
    "next_steps": "Look for it.",
    "score": 8,
}


def group() -> ScreenedGroup:
    series = ScreenedSeries(
        series=Series("node_load1", (("instance", "db1"),), "gauge", "", ""),
        description="",
        times=AT - 15.0 * np.arange(40, dtype=np.float64)[::-1],
        values=np.array([1.0] * 30 + [9.0] * 10),
        interval=15.0,
        score=0.9,
        kind="level_shift",
        expected_lower=0.7,
        expected_upper=1.3,
        evidence=(Evidence("rank", "now 9, above the expected 0.7 to 1.3", (9.0, 0.7, 1.3), 0.9),),
    )
    return ScreenedGroup("load", (("instance", "db1"),), (series,), 1, 1)


class Bench:
    """A pool with one server, whose only model answers every question alike."""

    def __init__(self, kind: str) -> None:
        facts = ModelFacts("scripted-vl", max_context_length=8192)
        engine = ScriptedEngine(lambda _: json.dumps(ANSWER), facts=facts, context_length=8192)
        self.studio = StudioServer([DownloadedModel(facts, kind=kind, load=engine.resized)])
        self.studio.start()
        server = Server(name="desk", url=self.studio.url, rpc="off", log_stream="off", model="scripted-vl", load=True)
        nothing = {name: lambda *_: None for name in ("on_prediction", "on_failure", "on_poll")}
        self.pool = make_pool([server], SystemClock(), **nothing)
        self.lane = self.pool.lanes["desk"]
        self.model = replace(self.lane.poll().models[0], context_length=8192)
        self.analyst = Analyst(lambda text, _: len(text) // 4, lambda *_: None, Memory())

    def judge(self, **changes):
        return self.analyst.judge(
            group(),
            context="",
            at=AT,
            ask=lambda request: self.lane.client.chat(request, deadline_seconds=30, api="v1"),
            server="desk",
            model=replace(self.model, **changes),
            image="auto",
        )

    def contents(self):
        """What the user's message held, in each chat that the server received."""
        return [
            received.json()["messages"][1]["content"]
            for received in self.studio.received
            if received.path.endswith("/chat/completions")
        ]

    def close(self) -> None:
        self.pool.stop(5)
        self.studio.stop()


@pytest.fixture
def bench(request):
    bench = Bench(request.param)
    yield bench
    bench.close()


@pytest.mark.parametrize("bench", ["vlm"], indirect=True)
def test_a_model_that_the_server_calls_a_vision_model_gets_a_chart(bench):
    assert bench.model.vision
    verdict = bench.judge()
    assert (verdict.outcome, verdict.problems, verdict.group_score) == ("ok", (), 0.8)
    ((text, image),) = bench.contents()
    assert "node_load1" in text["text"]
    file = base64.b64decode(image["image_url"]["url"].removeprefix("data:image/png;base64,"), validate=True)
    with Picture.open(io.BytesIO(file)) as picture:
        assert (picture.format, picture.size) == ("PNG", (900, 188))
    assert f"[chart image, {len(file)} bytes, sha256 " in verdict.prompt


@pytest.mark.parametrize("bench", ["llm"], indirect=True)
def test_a_model_that_turns_out_not_to_see_gets_the_text_and_no_second_chart(bench):
    assert not bench.model.vision
    verdict = bench.judge(vision=True)
    assert (verdict.outcome, verdict.group_score) == ("ok", 0.8)
    assert len(verdict.problems) == 1
    assert "does not support image inputs" in verdict.problems[0]
    assert bench.judge(vision=True).problems == ()
    assert [isinstance(content, str) for content in bench.contents()] == [False, True, True]
