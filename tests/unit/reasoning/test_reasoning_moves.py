"""What moved first, and what moved with it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reasoning_cases import AT, make_series

from exporter.reasoning.moves import Joint, Moves
from exporter.screening.result import ScreenedSeries

NAN = float("nan")
INF = float("inf")


def odd(values: Sequence[float], **changes: object) -> ScreenedSeries:
    """A series that screening found odd; its band is 0.7 to 1.3 unless said otherwise."""
    return replace(make_series(values=values), **changes)


def stepped(last: int, *, height: float = 9.0, count: int = 40) -> list[float]:
    """1, and `height` for the last instants."""
    return [1.0] * (count - last) + [height] * last


def wavy(seed: int, count: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 0.1, count)


def loaded(seed: int = 1, last: int = 10, height: float = 9.0) -> np.ndarray:
    """Noise around 1, and around `height` for the last instants."""
    return wavy(seed) + np.array(stepped(last, height=height)) - 1.0


def calm(values: Sequence[float]) -> ScreenedSeries:
    return make_series(values=values, score=0.1)


def told(*series: ScreenedSeries, most: int = 4) -> list[str]:
    return [fact.text for fact in Moves.of(series, AT).facts(len(series), most)]


@pytest.mark.parametrize(
    ("series", "instants_ago"),
    [
        (odd(stepped(3)), 2),
        (odd([*stepped(9)[:-4], 1.0, 1.0, 9.0, 9.0]), 8),
        (odd([*stepped(9)[:-5], 1.0, 1.0, 1.0, 9.0, 9.0]), 1),
        (odd([*stepped(9)[:-4], NAN, NAN, 9.0, 9.0]), 8),
        (odd([9.0, *stepped(4)[1:]]), 3),
        (odd([*stepped(6)[:-2], 1.0, 1.0]), 5),
        (odd(stepped(5), kind="spike"), 4),
        (odd([*stepped(9, height=0.1)[:-4], *[9.0] * 4], kind="spike"), 3),
        (odd(stepped(5, height=INF), kind="spike"), 4),
        (odd([1.0] * 36 + [NAN] * 4, kind="missing"), 3),
        (odd([*range(35), *[7.0] * 5], kind="flatline"), 4),
        (odd(stepped(15), expected_lower=0.0, expected_upper=10.0), 14),
        (odd(stepped(15), expected_lower=NAN, expected_upper=NAN), 14),
        (odd(stepped(15, height=1e300), expected_lower=NAN, expected_upper=NAN), 14),
        (odd([*stepped(15)[:10], *[NAN] * 5, *stepped(15)[15:]], expected_lower=NAN, expected_upper=NAN), 14),
    ],
)
def test_an_excursion_begins_where_the_newest_run_outside_the_band_or_the_change_point_does(
    series: ScreenedSeries, instants_ago: int
) -> None:
    assert Moves.of([series], AT).began.tolist() == [AT - instants_ago * 15.0]


@pytest.mark.parametrize(
    "series",
    [
        calm(stepped(3)),
        odd(stepped(3), score=NAN),
        odd([1.0] * 40),
        odd([], expected_lower=NAN),
        odd([NAN] * 40),
        odd([*range(40)], kind="missing"),
        odd(wavy(1).tolist(), expected_lower=0.0, expected_upper=2.0),
        odd([*[9.0] * 3, *wavy(1)[3:].tolist()], expected_lower=0.5),
    ],
)
def test_where_nothing_shows_when_it_began_nothing_is_said(series: ScreenedSeries) -> None:
    moves = Moves.of([series, calm(wavy(2).tolist())], AT)
    assert np.isnan(moves.began).all()
    assert moves.facts(2, 4) == ()


def test_series_are_told_of_in_the_order_in_which_they_changed() -> None:
    assert told(odd(stepped(3)), odd(stepped(12)), odd(stepped(4)), calm(wavy(1).tolist()))[0] == (
        "S2 changed first, at 09:21 UTC; S3 and S1 followed 2 min later"
    )


def test_onsets_within_two_instants_are_one() -> None:
    assert told(odd(stepped(6)), odd(stepped(4)), calm(wavy(1).tolist()))[0] == (
        "S1 and S2 changed together (within 30 s), at 09:22 UTC"
    )


def test_one_that_changed_alone_is_said_to_be_alone() -> None:
    assert told(calm(wavy(1).tolist()), odd(stepped(5))) == ["S2 alone changed, at 09:23 UTC"]


def test_what_began_before_its_history_is_not_given_a_time() -> None:
    late = odd([9.0] * 40)
    assert told(late, odd(stepped(4)))[0] == (
        "S1 changed before 09:14 UTC, where the history begins; S2 changed, at 09:23 UTC"
    )


def test_another_day_is_said_with_its_date() -> None:
    series = odd(stepped(40, count=80), expected_lower=NAN, expected_upper=NAN, interval=900.0)
    times = AT - 900.0 * np.arange(80)[::-1]
    assert "at 2025-11-21 23:39 UTC" in told(replace(series, times=times), replace(calm(wavy(1, 80)), times=times))[0]


def test_a_calm_series_that_moves_with_an_odd_one_is_named_with_the_correlation() -> None:
    load = loaded()
    facts = told(odd(load.tolist()), calm((5 * load).tolist()), calm((-load + 0.02 * wavy(3)).tolist()))
    assert (
        facts[1] == "S2 moved with S1 (correlation 1), S3 moved against S1 (correlation -0.99), over the newest 9.8 min"
    )


def test_of_several_followers_the_least_correlation_is_told() -> None:
    load = loaded(height=3.0)
    noisy = load + wavy(5) * 2.5
    facts = told(odd(load.tolist()), calm(load.tolist()), calm(noisy.tolist()))
    least = np.corrcoef(load, noisy)[0, 1]
    assert 0.9 < least < 0.99
    assert facts[1] == (
        f"S2 and S3 moved with S1 (correlation at least {int(100 * least) / 100}), over the newest 9.8 min"
    )


def test_two_that_only_drift_do_not_count_as_moving_together() -> None:
    rise = np.linspace(0.0, 50.0, 60)
    first, second = rise + wavy(1, 60), rise + wavy(2, 60)
    assert np.corrcoef(first, second)[0, 1] > 0.99
    series = odd(first.tolist(), expected_upper=25.0), calm(second.tolist())
    assert np.isnan(Moves.of(series, AT).alike).all()


def test_steps_an_instant_apart_move_together_although_their_differences_do_not() -> None:
    series = odd(loaded(1, 10).tolist()), odd(loaded(2, 11).tolist())
    assert Moves.of(series, AT).alike[0, 1] > 0.9


def test_two_calm_series_are_not_compared_for_people() -> None:
    load = wavy(1)
    assert told(calm(load.tolist()), calm(load.tolist())) == []


def test_too_few_common_instants_say_nothing() -> None:
    values = loaded(last=5)
    gappy = values.copy()
    gappy[:-11] = NAN
    assert np.isnan(Moves.of([odd(values.tolist()), calm(gappy.tolist())], AT).alike).all()


def test_targets_with_other_instants_are_compared_at_the_same_time() -> None:
    load = loaded()
    first, second = odd(load.tolist()), odd(load.tolist())
    second = replace(second, times=second.times - 4.0)
    moves = Moves.of([first, second], AT)
    assert moves.alike[0, 1] == pytest.approx(1.0)
    assert moves.facts(2, 4)[0].text.startswith("S2 and S1 changed together")


def test_only_what_is_shown_is_told_of() -> None:
    load = loaded().tolist()
    moves = Moves.of([odd(load), odd(load), odd(load)], AT)
    assert moves.facts(1, 4) == ()
    assert moves.facts(2, 4) == (
        Joint("S1 and S2 changed together (within 30 s), at 09:21 UTC", (0, 1)),
        Joint("S2 moved with S1 (correlation 1), over the newest 9.8 min", (0, 1)),
    )
    assert len(moves.facts(3, 1)) == 1
    assert moves.facts(3, 0) == ()


def test_long_lists_are_cut_where_it_shows_and_all_may_cite_the_fact() -> None:
    load = loaded().tolist()
    order, followers = Moves.of([odd(load) for _ in range(24)], AT).facts(24, 4)
    assert order.text.startswith("S1, S2, S3, S4, S5, S6, S7, S8 and 16 more changed together")
    assert followers.text.startswith(
        "S2, S3, S4, S5, S6, S7, S8, S9 and 15 more moved with S1 (correlation at least 1)"
    )
    assert order.members == followers.members == tuple(range(24))


VALUES = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, 1e300, -1e300, NAN, 5e-324])


@given(
    values=st.lists(arrays(np.float64, 30, elements=VALUES), min_size=1, max_size=5),
    kind=st.sampled_from(["spike", "drop", "flatline", "missing", "level_shift", None]),
    band=st.sampled_from([(0.0, 1.0), (NAN, NAN), (-INF, INF)]),
)
def test_no_values_whatever_break_it(values: list[np.ndarray], kind: str | None, band: tuple[float, float]) -> None:
    series = [odd(row.tolist(), kind=kind, expected_lower=band[0], expected_upper=band[1]) for row in values]
    moves = Moves.of(series, AT)
    sizes = np.abs(moves.alike[~np.isnan(moves.alike)])
    assert ((sizes >= 0.9) & (sizes <= 1.0)).all()
    for fact in moves.facts(len(series), 4):
        assert "nan" not in fact.text
        assert all(0 <= member < len(series) for member in fact.members)
