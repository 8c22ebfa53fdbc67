"""The demo target: figures that are the same for the same moment, and anomalies that a person can see."""

import statistics
from collections.abc import Iterator

import pytest
from embedded_support import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.clock import ManualClock
from exporter.embedded.exposition_text import by_label, histogram, plain, render
from exporter.embedded.plan import Plan, Planted, plan_default
from exporter.embedded.shop import METRICS, Shop, ShopState
from exporter.embedded.target import DemoTarget
from exporter.errors import LmwatchError

CALM = Plan()
SCRAPE_SECONDS = 2.0


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def target(clock: ManualClock) -> Iterator[DemoTarget]:
    with DemoTarget(clock, 1, plan_default(240)) as target:
        yield target


def test_a_scrape_is_valid_exposition(target: DemoTarget, clock: ManualClock) -> None:
    clock.advance(100)
    answered = Client(int(target.address.partition(":")[2])).get("/metrics")
    assert answered.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answered.body.decode())}
    exposed = {f"{family.name}_total" if family.type == "counter" else family.name for family in families.values()}
    assert exposed >= METRICS
    assert all(family.documentation for family in families.values())
    assert families["shop_request_duration_seconds"].type == "histogram"
    assert {sample.labels["route"] for sample in families["shop_requests"].samples} == {
        "/", "/product", "/cart", "/checkout",
    }  # fmt: skip


def test_elsewhere_there_is_nothing(target: DemoTarget) -> None:
    client = Client(int(target.address.partition(":")[2]))
    assert client.get("/").status == 404
    assert client.post("/metrics", {}).status == 404


def test_the_host_figures_are_those_of_a_machine(target: DemoTarget) -> None:
    got = samples(target.exposition())
    total = got["host_memory_total_bytes", ()]
    assert 0 < got["host_memory_available_bytes", ()] <= total
    assert got["host_cpu_seconds_total", (("mode", "idle"),)] > 0
    size = got["host_filesystem_size_bytes", (("mountpoint", "/"),)]
    assert 0 <= got["host_filesystem_avail_bytes", (("mountpoint", "/"),)] <= size
    assert got["host_load1", ()] >= 0
    assert got["host_cpu_count", ()] >= 1


def test_time_counts_from_the_start(clock: ManualClock) -> None:
    clock.advance(1000)
    target = DemoTarget(clock, 1, plan_default(240))
    target.start()
    try:
        assert (target.began, target.elapsed) == (clock.now(), 0)
        clock.advance(7)
        assert target.elapsed == 7
        assert target.planted == plan_default(240).planted
    finally:
        target.stop()


def test_starting_twice_and_a_taken_port_are_told(target: DemoTarget, clock: ManualClock) -> None:
    with pytest.raises(LmwatchError, match="runs already"):
        target.start()
    port = int(target.address.partition(":")[2])
    with pytest.raises(LmwatchError, match="cannot listen"):
        DemoTarget(clock, 1, CALM, port=port).start()


def test_a_seed_that_draws_nothing_is_refused(clock: ManualClock) -> None:
    with pytest.raises(LmwatchError, match="the seed is -1; expected 0 or more"):
        DemoTarget(clock, -1, Plan())


def test_a_plan_for_a_metric_that_is_not_there_is_refused(clock: ManualClock) -> None:
    with pytest.raises(LmwatchError, match="cannot plant a spike in shop_mood"):
        DemoTarget(clock, 1, Plan((Planted("spike", "shop_mood", 1, 1, ""),)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 120), min_size=1, max_size=8))
def test_figures_depend_on_the_moment_alone(moments: list[float]) -> None:
    one, other = Shop(5, plan_default(120)), Shop(5, plan_default(120))
    assert [one.at(moment) for moment in moments] == [other.at(moment) for moment in reversed(moments)][::-1]


def test_looking_far_back_gives_what_it_gave_then() -> None:
    shop = Shop(5, CALM)
    early = shop.at(3)
    shop.at(2200)
    assert shop.at(3) == early


def test_another_seed_is_another_shop() -> None:
    assert Shop(1, CALM).at(60) != Shop(2, CALM).at(60)


def counters(state: ShopState) -> list[float]:
    return [*state.requests, *state.errors, *state.durations, state.duration_sum, state.orders]


def test_counters_never_go_back() -> None:
    shop = Shop(3, plan_default(240))
    before = counters(shop.at(0))
    for half_seconds in range(1, 480):
        now = counters(shop.at(half_seconds / 2))
        assert all(new >= old for new, old in zip(now, before, strict=True))
        before = now


def test_each_request_is_measured_once() -> None:
    state = Shop(3, plan_default(240)).at(240)
    assert sum(state.durations) == sum(state.requests)
    assert 0.04 < state.duration_sum / sum(state.requests) < 0.1
    assert 0 < sum(state.errors) < 0.02 * sum(state.requests)


def test_a_calm_shop_stays_in_its_usual_range() -> None:
    states = [Shop(4, CALM).at(each) for each in (0,)] + [
        s for shop in (Shop(4, CALM),) for s in map(shop.at, range(720))
    ]
    assert max(state.queue_length for state in states) <= 12
    assert 170e6 < min(state.heap_bytes for state in states) < max(state.heap_bytes for state in states) < 270e6
    assert 90 < min(state.sessions for state in states) < max(state.sessions for state in states) < 210
    assert all(0 < level <= 500 for state in states for level in state.stock)


def test_the_day_has_a_shape() -> None:
    shop = Shop(4, CALM, day_seconds=360)
    noon = sum(shop.at(120).requests) - sum(shop.at(60).requests)
    night = sum(shop.at(300).requests) - sum(shop.at(240).requests)
    assert noon > 1.2 * night


@pytest.mark.parametrize("seed", range(5))
class TestEachPlantedAnomalyIsVisible:
    """Scraped every two seconds, as the demo does."""

    def series(self, seed: int, kind: str, pick) -> tuple[list[float], list[float]]:
        """The values in the minute before an anomaly of that kind, and while it is there."""
        plan = plan_default(240)
        shop = Shop(seed, plan)
        planted = next(each for each in plan.planted if each.kind == kind)
        start, end = planted.starts_after_seconds, planted.ends_after_seconds
        before = [pick(shop, start - 60 + step * SCRAPE_SECONDS) for step in range(29)]
        during = [pick(shop, start + 2.5 + step * SCRAPE_SECONDS) for step in range(int((end - start - 2.5) // 2))]
        return before, during

    def test_the_spike(self, seed: int) -> None:
        before, during = self.series(seed, "spike", lambda shop, at: shop.at(at).queue_length)
        assert min(during) > 1.5 * max(before)

    def test_the_leak(self, seed: int) -> None:
        before, during = self.series(seed, "leak", lambda shop, at: shop.at(at).heap_bytes)
        assert max(during) > 2 * max(before)
        assert statistics.linear_regression(range(len(during)), during).slope > 15e6

    def test_the_flatline(self, seed: int) -> None:
        before, during = self.series(seed, "flatline", lambda shop, at: shop.at(at).sessions)
        assert len(set(during)) == 1
        assert len(set(before)) > 8

    def test_the_drop(self, seed: int) -> None:
        def orders(shop: Shop, at: float) -> float:
            return shop.at(at).orders - shop.at(at - SCRAPE_SECONDS).orders

        before, during = self.series(seed, "drop", orders)
        assert statistics.mean(during) < 0.2 * statistics.mean(before)
        requests = self.series(seed, "drop", lambda shop, at: sum(shop.at(at).requests) - sum(shop.at(at - 2).requests))
        assert statistics.mean(requests[1]) > 0.6 * statistics.mean(requests[0])


@pytest.mark.parametrize("metric", sorted(METRICS))
@pytest.mark.parametrize("kind", ["spike", "drop", "leak", "flatline"])
def test_anything_can_be_planted_in_any_metric(kind: str, metric: str) -> None:
    calm, planted = Shop(8, CALM), Shop(8, Plan((Planted(kind, metric, 30, 20, ""),)))
    assert planted.at(29.5) == calm.at(29.5)
    assert planted.at(49) != calm.at(49)


def test_rates_stand_still_in_a_flatline() -> None:
    shop = Shop(8, Plan((Planted("flatline", "shop_requests_total", 30, 20, ""),)))
    assert shop.at(49).requests == shop.at(30).requests != shop.at(29).requests


LABEL = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)


@given(LABEL, LABEL, st.floats(allow_nan=False))
def test_labels_help_and_values_survive_the_text_format(label: str, words: str, value: float) -> None:
    text = render([by_label("x_bytes", "gauge", words, "name", [(label, value)])])
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"name": label}
    assert family.samples[0].value == value


def test_the_text_format_word_for_word() -> None:
    families = [
        plain("a", "gauge", "A back\\slash\nand a line.", 1.5),
        by_label("b_total", "counter", "B.", "path", [('say "hi"\n', 2)]),
        histogram("c_seconds", "C.", [0.1, 1.0], [3, 0, 2], 7.25),
    ]
    assert render(families) == (
        "# HELP a A back\\\\slash\\nand a line.\n# TYPE a gauge\na 1.5\n"
        '# HELP b_total B.\n# TYPE b_total counter\nb_total{path="say \\"hi\\"\\n"} 2\n'
        "# HELP c_seconds C.\n# TYPE c_seconds histogram\n"
        'c_seconds_bucket{le="0.1"} 3\nc_seconds_bucket{le="1.0"} 3\nc_seconds_bucket{le="+Inf"} 5\n'
        "c_seconds_sum 7.25\nc_seconds_count 5\n"
    )
