"""What `lmwatch status` learns from a running lmwatch is what that one exposes."""

import pytest
from metrics_fakes import make_board, make_prediction

from exporter.clock import ManualClock
from exporter.errors import BadDataError
from exporter.metrics.catalogue import row
from exporter.metrics.exposition import Exposition, make_registry
from exporter.metrics.instruments import Instruments
from exporter.metrics.reading import FIGURE_METRICS, ModelFigures, ServerFigures, read_figures

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Running:
    """An lmwatch with a board, whose exposition is asked for figures only."""

    def __init__(self):
        board = make_board()
        registry = make_registry(lambda: board)
        self.clock = ManualClock(now=1000.0)
        self.instruments = Instruments(registry, clock=self.clock)
        self._exposition = Exposition(registry, lambda: board)

    def figures(self, accept="text/plain;version=0.0.4"):
        _, headers, body = self._exposition.respond(accept, "", FIGURE_METRICS)
        return read_figures(body, dict(headers)["Content-Type"])


@pytest.fixture
def running():
    return Running()


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4", "application/openmetrics-text; version=1.0.0"])
def test_the_figures_of_a_model_arrive(running, accept):
    running.instruments.prediction("analysis", make_prediction(), 4000)
    running.instruments.request_failed("desk", "qwen", "probe", "auth")
    running.clock.advance(5)
    running.instruments.request_failed("desk", "qwen", "analysis", "timeout")
    running.instruments.circuit("desk", "half_open")
    assert running.figures(accept)["desk"] == ServerFigures(
        "half_open",
        {
            "qwen": ModelFigures(
                origin="analysis",
                tokens_per_second=40.0,
                time_to_first_token_seconds=0.7,
                context_used_tokens=1000.0,
                context_used_ratio=0.25,
                status="idle",
                queued_requests=0.0,
                ttl_remaining_seconds=1200.5,
                last_failure="timeout",
                last_failure_at=1005.0,
            )
        },
    )


@pytest.mark.parametrize(
    ("origins", "shown"), [(("probe", "traffic", "analysis"), "traffic"), (("analysis", "probe"), "analysis")]
)
def test_figures_of_different_origins_are_not_mixed(running, origins, shown):
    for number, origin in enumerate(origins):
        first = None if origin == shown else 9.0
        prediction = make_prediction(tokens_per_second=number + 1.0, time_to_first_token_seconds=first)
        running.instruments.prediction(origin, prediction, 4000)
    figures = running.figures()["desk"].models["qwen"]
    assert (figures.origin, figures.tokens_per_second) == (shown, origins.index(shown) + 1.0)
    assert figures.time_to_first_token_seconds is None


def test_a_server_without_figures_is_there_with_what_is_known(running):
    running.instruments.circuit("attic", "open")
    assert running.figures()["attic"] == ServerFigures("open", {})


def test_an_exposition_of_something_else_holds_no_figures():
    assert read_figures(b'up 1\nnode_load1{server="desk"} 3\n', TEXT) == {}


def test_what_is_no_exposition_is_refused():
    with pytest.raises(BadDataError):
        read_figures(b"<html>Not what you think</html>\n", TEXT)


def test_what_is_asked_for_is_in_the_catalogue():
    assert [row(name).planned for name in FIGURE_METRICS] == [False] * len(FIGURE_METRICS)
