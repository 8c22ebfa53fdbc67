import pytest

from exporter.config.model import Server
from exporter.lmstudio.breaker import Breaker
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import Lane, choose
from exporter.lmstudio.wire import Model, ServerHealth


def health(*models, up=True):
    return ServerHealth("desk", "http://desk:1234", up, "v1" if up else None, "", models, 0.01, 1.0)


def llm(identifier, **more):
    return Model(id=identifier, key=more.pop("key", identifier), **{"kind": "llm", "loaded": True, **more})


EMBEDDER = llm("embedder", kind="embedding")


@pytest.mark.parametrize(
    ("model", "load", "models", "expected"),
    [
        pytest.param("auto", False, [], None, id="no models"),
        pytest.param("auto", False, [EMBEDDER], None, id="an embedding model answers no questions"),
        pytest.param("auto", False, [EMBEDDER, llm("a"), llm("b")], "a", id="the first that is loaded"),
        pytest.param("auto", False, [llm("a", loaded=False), llm("b", kind="vlm")], "b", id="vision models answer too"),
        pytest.param("auto", False, [llm("a", loaded=False)], None, id="none is loaded"),
        pytest.param("auto", True, [llm("a", loaded=False)], None, id="auto never loads any model"),
        pytest.param("auto", False, [llm("a", loaded=None, kind="unknown")], "a", id="plain OpenAI does not tell"),
        pytest.param("auto", False, [llm("a", loaded=None), llm("b")], "b", id="known beats not known"),
        pytest.param("auto", False, [llm("a", status="generating"), llm("b", status="idle")], "b", id="idle first"),
        pytest.param("auto", False, [llm("a", queued_requests=2), llm("b")], "b", id="no queue first"),
        pytest.param("auto", False, [llm("a", status="generating")], "a", id="a busy one is better than none"),
        pytest.param("auto", False, [llm("a", loaded=False, status="loading")], None, id="still loading"),
        pytest.param("b", False, [llm("a"), llm("b")], "b", id="by identifier"),
        pytest.param("k", False, [llm("a"), llm("k:2", key="k")], "k:2", id="by key"),
        pytest.param("k", False, [llm("k", status="generating"), llm("k:2", key="k", status="idle")], "k:2", id="the idle instance"),
        pytest.param("k:2", False, [llm("k"), llm("k:2", key="k")], "k:2", id="one instance by name"),
        pytest.param("b", False, [llm("a"), llm("b", loaded=False)], None, id="named but not loaded"),
        pytest.param("b", True, [llm("a"), llm("b", loaded=False)], "b", id="named and allowed to load"),
        pytest.param("k", True, [llm("k", loaded=False), llm("k:2", key="k")], "k:2", id="loaded beats loading"),
        pytest.param("gone", True, [llm("a")], None, id="not on the server"),
        pytest.param("embedder", True, [EMBEDDER], None, id="an embedding model by name"),
    ],
)  # fmt: skip
def test_the_choice_of_a_model(model, load, models, expected):
    config = Server(name="desk", url="http://desk:1234", model=model, load=load)
    chosen = choose(config, health(*models))
    assert (chosen and chosen.id) == expected


def test_a_server_that_is_down_has_no_model():
    assert choose(Server(name="desk", url="http://desk:1234"), health(llm("a"), up=False)) is None


class Scripted:
    def __init__(self, *answers):
        self.answers = list(answers)

    def poll(self):
        return self.answers.pop(0)


@pytest.fixture
def lane(clock):
    poller = Scripted(health(llm("a")), health(up=False), health(llm("a")))
    return Lane(Server(name="desk", url="http://desk:1234"), None, None, poller, Breaker(clock))


def test_a_lane_is_usable_as_its_last_poll_says(lane):
    assert not lane.usable()
    seen = []
    for _ in range(3):
        lane.poll()
        seen.append((lane.usable(), lane.choose_model() is not None))
    assert seen == [(True, True), (False, False), (True, True)]


@pytest.mark.parametrize(
    ("reason", "opens"),
    [
        ("timeout", True),
        ("crashed", True),
        ("server_error", True),
        ("unexpected_endpoint", True),
        ("grammar", True),
        ("model_not_found", True),
        ("context_overflow", False),
        ("invalid_request", False),
        ("cancelled", False),
    ],
)
def test_only_failures_that_would_hit_any_question_close_a_lane(lane, reason, opens):
    lane.poll()
    for _ in range(3):
        lane.breaker.admit()
        lane.failed(ModelFailure(reason))
    assert lane.usable() is not opens


def test_an_overflow_shows_that_the_server_works(lane):
    lane.poll()
    for reason in ("timeout", "timeout", "context_overflow", "timeout", "timeout"):
        lane.failed(ModelFailure(reason))
    assert lane.usable()


@pytest.mark.parametrize(
    ("found", "load"),
    [
        pytest.param([], 0, id="no model"),
        pytest.param([llm("a")], 0, id="nothing is told"),
        pytest.param([llm("a", status="idle", queued_requests=0)], 0, id="idle"),
        pytest.param([llm("a", status="generating")], 1, id="at work, the queue is not told"),
        pytest.param([llm("a", status="generating", queued_requests=0)], 1, id="at work, and not counted in the queue"),
        pytest.param([llm("a", status="generating", queued_requests=3)], 3, id="at work with a queue"),
        pytest.param(
            [llm("a", queued_requests=3), llm("b", queued_requests=0)], 0, id="of the model that would be asked"
        ),
    ],
)
def test_the_load_of_a_lane_is_what_its_model_has_to_do(clock, found, load):
    poller = Scripted(health(*found))
    lane = Lane(Server(name="desk", url="http://desk:1234"), None, None, poller, Breaker(clock))
    assert lane.load() == 0
    lane.poll()
    assert lane.load() == load
