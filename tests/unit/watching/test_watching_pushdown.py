"""`screen: pushdown` against a ruler on a real socket: what is asked, what comes of it, and what when it fails."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import numpy as np
import pytest
from watching_world import World

from exporter.clock import ManualClock
from exporter.config.model import PrometheusApi, Source
from exporter.sources.prometheus import PrometheusSource
from exporter.watching.pushdown import Pushdown, PushdownFeed
from exporter.watching.watcher import Watcher

DAYS = 14.0
START = 1_000_000.0


class Ruler(ThreadingHTTPServer):
    """Has recorded distances, and values of an hour that stand still; any other query is refused.

    Attributes:
        beyond: by the label `shop`: what is recorded; NaN for no baseline.
        distance: by the label `shop`: how far the newest value and the means of 1 and 6 hours lie beyond, in ranges.
        outside: shops whose value is outside the valid range, as the first part of the query would find.
        failing: parts of queries that are answered with 503.
    """

    def __init__(self) -> None:
        self.beyond: dict[str, float] = {}
        self.distance: dict[str, tuple[float, float, float]] = {}
        self.outside: dict[str, float] = {}
        self.failing: tuple[str, ...] = ()
        self.asked: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Answering)

    def answer(self, path, form):
        """The result of a query."""
        query = form["query"]
        if path.endswith("query_range"):
            time = form["end"]
            return [{"metric": labels(shop), "values": [[float(time), "20"]]} for shop in shops_in(query)]
        if query.startswith("label_replace"):
            found = {**self.beyond, **self.outside}
            return [
                {"metric": {**labels(shop), "lmwatch_select": "0"}, "value": [0, str(value)]}
                for shop, value in found.items()
            ]
        assert query.startswith("last_over_time"), query
        return [sample for shop in shops_in(query) for sample in self.records(shop)]

    def records(self, shop):
        """Values between 0 and 10 with a median of 5 have been left upwards or downwards."""
        found = {":range14d": 10.0, ":median14d": 5.0, ":days14d": DAYS}
        lengths = (("", "", "value"), (":avg1h", "_avg1h", "avg1h"), (":avg6h", "_avg6h", "avg6h"))
        for (name, ending, over), distance in zip(lengths, self.distance.get(shop, (0, 0, 0)), strict=True):
            edge = 10.0 if distance > 0 else 0.0
            found |= {name: edge + 10 * distance, f":min14d{ending}": 0.0, f":max14d{ending}": 10.0}
            found |= {f":beyond_{over}": distance}
        return [
            {"metric": {"__name__": f"lmwatch:input{name}", **labels(shop)}, "value": [0, str(value)]}
            for name, value in found.items()
        ]


def labels(shop):
    return {"anomaly_name": "orders", "shop": shop}


def shops_in(query):
    """The shops that a query names exactly."""
    found = re.findall(r'anomaly_name="orders",shop="(\w+)"\}', query)
    assert len(found) == query.count("{"), query
    return found


class _Answering(BaseHTTPRequestHandler):
    server: Ruler

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.asked.append((self.path, form["query"]))
        failing = any(part in form["query"] or part in self.path for part in self.server.failing)
        result = [] if failing else self.server.answer(self.path, form)
        kind = "matrix" if self.path.endswith("query_range") else "vector"
        text = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()
        self.send_response(503 if failing else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def ruler():
    with Ruler() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def world(ruler):
    """Makes a world whose watch is pushed down to the ruler."""
    sources = []

    def make(select=None, **watch):
        orders = {"query": 'lmwatch:input{anomaly_name="orders"}', "name": "orders", **(select or {})}
        made = World(select=[orders], interval="1m", window="1h", screen="pushdown", **watch)
        url = f"http://127.0.0.1:{ruler.server_address[1]}"
        source = PrometheusSource(Source(name="s", prometheus=PrometheusApi(url=url)), ManualClock(START))
        sources.append(source)
        collected = []
        feed = PushdownFeed(made.watch, source, collected.append, made.clock)
        judging = made.watcher._judging
        made.collected = collected
        made.watcher = Watcher(
            made.watch, feed, judging, made.pictures.append, made.clock, screener=Pushdown(made.watch, source)
        )
        return made

    yield make
    for source in sources:
        source.close()


def shop_scores(world):
    """By shop; NaN for none."""
    world.watcher.tick()
    (table,) = world.pictures[-1].tables
    return {dict(one.labels)["shop"]: score for one, score in zip(table.series, table.screen.tolist(), strict=True)}


def score_of(oddness):
    return pytest.approx(oddness / (1 + oddness))


def test_calm_series_cost_one_query_and_have_a_score(ruler, world):
    """A distance of 0 is a score of 0; a series without a baseline has none."""
    ruler.beyond = {"a": 0.0, "b": 0.5, "c": -0.5, "d": np.nan}
    here = world()
    assert shop_scores(here) == {
        "a": 0.0,
        "b": score_of(0.5),
        "c": score_of(0.5),
        "d": pytest.approx(np.nan, nan_ok=True),
    }
    assert [path for path, _ in ruler.asked] == ["/api/v1/query"]
    assert here.pictures[-1].state == "ok"
    (collected,) = here.collected
    assert (collected.up, collected.samples) == (True, 4)


def test_of_a_suspicious_series_the_distances_count_as_for_the_local_screen(ruler, world):
    """0.4 ranges are 2 steps of 0.2, 0.15 one of 0.15, 0.3 are 6 steps of 0.05: 9 steps where 3.2 are the boundary."""
    ruler.beyond, ruler.distance = {"a": 9 / 3.2, "b": 0.0}, {"a": (0.4, 0.15, 0.3)}
    here = world()
    assert shop_scores(here)["a"] == score_of(9 / 3.2)
    (table,) = here.pictures[-1].tables
    assert (table.kind[0], table.value[0], table.expected_lower[0], table.expected_upper[0]) == (
        "level_shift",
        14.0,
        0.0,
        10.0,
    )
    assert np.isnan(table.value[1])


def test_windows_are_fetched_of_suspicious_series_and_of_some_of_their_group(ruler, world):
    ruler.beyond = {f"s{number:03}": 0.001 * number for number in range(300)} | {"odd": 3.0}
    ruler.distance = {"odd": (1.2, 0.5, 0.0)}
    here = world(reason={"max_series": 5})
    here.watcher.tick()
    paths = [path for path, _ in ruler.asked]
    assert paths == ["/api/v1/query", "/api/v1/query", "/api/v1/query_range"]
    assert shops_in(ruler.asked[2][1]) == ["odd", "s296", "s297", "s298", "s299"]
    (group,) = here.watcher.groups()
    assert (group.total, group.suspicious, len(group.series)) == (301, 1, 5)
    odd = group.series[0]
    assert dict(odd.series.labels)["shop"] == "odd"
    assert odd.evidence[0].text == "now 22, above the highest of the last 14 d (10) by 1.2 times the usual range"
    assert odd.values[-1] == 20
    assert len(odd.values) == 240
    assert len(here.pool.jobs) == 1


def test_a_group_with_nothing_suspicious_is_never_put_to_the_model(ruler, world):
    ruler.beyond = {"a": 0.0}
    here = world(reason={"every": "2m"})
    for _ in range(5):
        here.clock.advance(60)
        here.watcher.tick()
    assert here.pool.jobs == []
    assert set(here.outcomes) == {"skipped_calm"}


def test_whoever_asks_about_all_groups_gets_the_suspicious_ones(ruler, world):
    """As `lmwatch once` does: of the others there is nothing to show."""
    ruler.beyond, ruler.distance = {"calm": 0.0, "odd": 3.0}, {"odd": (1.0, 1.0, 0.0)}
    here = world(reason={"when": "always"}, group_by=["shop"])
    here.watcher.tick()
    assert len(here.pool.jobs) == 1
    assert here.watcher.waiting() == 1


@pytest.mark.parametrize(
    ("selection", "distance", "odd"),
    [
        pytest.param({"direction": "above"}, 1.0, True, id="above is wanted, and is"),
        pytest.param({"direction": "above"}, -1.0, False, id="below is not wanted"),
        pytest.param({"direction": "below"}, -1.0, True, id="below is wanted, and is"),
        pytest.param({"min_change": "14"}, 1.0, True, id="15 above the median is enough"),
        pytest.param({"min_change": "16"}, 1.0, False, id="15 above the median is too little"),
        pytest.param({"min_change": "290%"}, 1.0, True, id="3 times the median"),
        pytest.param({"min_change": "310%"}, 1.0, False, id="not more than 3 times the median"),
        pytest.param({"quiet_hours": ["00:00-24:00"]}, 1.0, False, id="quiet hours"),
        pytest.param({"for": "5m"}, 1.0, False, id="has not lasted"),
    ],
)
def test_what_the_user_knows_holds_here_too(ruler, world, selection, distance, odd):
    ruler.beyond, ruler.distance = {"a": distance * 12 / 3.2}, {"a": (distance, distance, 0.0)}
    assert (shop_scores(world(selection))["a"] >= 0.5) == odd


def test_a_value_outside_the_valid_range_is_asked_for_and_anomalous_without_a_baseline(ruler, world):
    ruler.beyond, ruler.outside, ruler.distance = {"a": 0.0, "b": np.nan}, {"b": np.inf}, {"b": (1.0, 0.0, 0.0)}
    here = world({"valid_min": 1, "valid_max": 15.5})
    found = shop_scores(here)
    assert found["a"] == 0.0
    assert found["b"] > 0.95
    value = 'lmwatch:input{anomaly_name="orders"}'
    assert f"clamp_min({value} > 15.5, Inf) or clamp_max({value} < 1.0, -Inf) or " in ruler.asked[0][1]
    (group,) = here.watcher.groups()
    assert group.series[0].evidence[0].detector == "valid range"


def test_an_episode_outlasts_a_flicker_and_ends_when_it_has_been_calm(ruler, world):
    here = world()
    ruler.distance = {"a": (0.4, 0.4, 0.0)}
    ruler.beyond = {"a": 1.5}
    assert shop_scores(here)["a"] >= 0.5
    ruler.beyond, ruler.distance = {"a": 0.1, "b": 0.0}, {}
    alarms = []
    for _ in range(14):
        here.clock.advance(60)
        alarms.append(shop_scores(here)["a"] >= 0.5)
    assert alarms == [True] * 12 + [False] * 2


def test_a_series_with_a_band_always_shows_it(ruler, world):
    ruler.beyond = {"a": 0.0}
    here = world({"band": True})
    here.watcher.tick()
    (table,) = here.pictures[-1].tables
    assert (table.value.tolist(), table.expected_upper.tolist()) == ([0.0], [10.0])


def test_without_windows_scores_go_on_and_the_reason_says_so(ruler, world):
    """The model is not asked about what nobody can show it."""
    ruler.beyond, ruler.failing = {"a": 3.0}, ("last_over_time",)
    here = world()
    assert shop_scores(here)["a"] == score_of(3.0)
    picture = here.pictures[-1]
    assert picture.state == "ok"
    assert "scores without a closer look: " in picture.reason
    assert here.pool.jobs == []


def test_a_ruler_that_does_not_answer_leaves_the_watch_failed(ruler, world):
    ruler.failing = ("label_replace",)
    here = world()
    here.watcher.tick()
    assert here.pictures[-1].state == "failed"
    assert "answered 503" in here.pictures[-1].reason
    assert [collected.up for collected in here.collected] == [False]


def test_a_ruler_without_a_baseline_is_waited_for(ruler, world):
    ruler.beyond = {"a": np.nan}
    here = world()
    here.watcher.tick()
    assert (here.pictures[-1].state, "36 hours" in here.pictures[-1].reason) == ("warming", True)
