"""A number that a model states must stand in what it was shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.reasoning.grounding import not_stated, stated_in

SHOWN = stated_in(
    'now: Sat 2025-11-22 09:24 UTC S1 node_load15{host="db-2",address="10.0.0.7:9100",version="v1.2.3"} '
    "values 97.34 0.973 1.235e+09 -40 1234 300 450 2.5 100000 for 7m30s in the last 14d, p99 4 of 9"
)


@pytest.mark.parametrize(
    "text",
    [
        "no number at all",
        "it is 97.34",
        "it is 97.3, about 97",
        "97.3 % of it, 97 percent, 97%",
        "a ratio of 0.973, or 0.97",
        "1.235e9 bytes, 1.2e+09, 1235000000, 1,235,000,000",
        "1.2 GB free, 1.24 billion, 1.15 GiB, 1235 MB, 1.2G",
        "it fell by 40 to -40",
        "1234, roughly 1200 or 1,200, or 1.2 thousand, 1.2k",
        "5 minutes, 5m, 5-minute steps, 300s, 300 seconds",
        "7m30s or 450 s or 7.5 minutes",
        "14 days, 14d, 2 weeks",
        "100,000 requests",
        "at 09:24 on 2025-11-22",
        "from 10.0.0.7:9100",
        "port 9100 of db-2",
        "p99 and p50, node_load1, E1, x86_64, sha256, utf8",
        "the 95th percentile, 1st place, 5xx errors",
        "4 of 9, 4/9",
        "2.5x the usual",
        "it reached 97.34.",
        "97\u202f% of it",
    ],
)
def test_roundings_units_names_and_ordinals_are_grounded(text: str) -> None:
    assert not_stated(text, SHOWN) == ()


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("it is 98", ("98",)),
        ("it is 97.4", ("97.4",)),
        ("97.341 is finer than shown", ("97.341",)),
        ("100 % full", ("100 %",)),
        ("it fell to 0", ("0",)),
        ("2 or 3 times", ("3",)),
        ("1.5 GB", ("1.5 GB",)),
        ("about 1300", ("1300",)),
        ("6 minutes", ("6 minutes",)),
        ("8m30s", ("8m30s",)),
        ("13 days", ("13 days",)),
        ("at 09:25", ("09:25",)),
        ("on 2025-11-23", ("2025-11-23",)),
        ("from 10.0.0.8", ("10.0.0.8",)),
        ("version 1.2.4", ("1.2.4",)),
        ("on db-5", ("5",)),
        ("450rpm and 451rpm", ("451",)),
        (".5 of it", (".5",)),
        ("1e999 and 7e2", ("1e999", "7e2")),
        ("77 and again 77", ("77",)),
        ("1" + "0" * 400, ("1" + "0" * 400,)),
        ("9" * 5000 + "s", ("9" * 5000 + "s",)),
    ],
)
def test_what_was_not_shown_is_named(text: str, missing: tuple[str, ...]) -> None:
    assert missing == not_stated(text, SHOWN)


def test_rounding_by_more_than_five_percent_is_no_rounding() -> None:
    assert not_stated("1", stated_in("1.04")) == ()
    assert not_stated("1", stated_in("1.4")) == ("1",)
    assert not_stated("0.1", stated_in("0.12")) == ("0.1",)


@given(st.floats(min_value=1e-6, max_value=1e15), st.integers(min_value=3, max_value=8))
def test_a_value_rounded_to_three_digits_or_more_is_grounded(value: float, digits: int) -> None:
    shown = stated_in(f"{value:.9g}")
    assert not_stated(f"it is {value:.{digits}g} now", shown) == ()


@given(st.text(max_size=200))
def test_every_text_is_grounded_in_itself(text: str) -> None:
    """Numbers too large for a float are the exception: nothing can be compared with them."""
    missing = not_stated(text, stated_in(text))
    assert all("e" in number.lower() or len(number) > 300 for number in missing)


@given(st.floats(min_value=0.01, max_value=1e6), st.floats(min_value=1.06, max_value=50.0))
def test_a_value_off_by_more_than_six_percent_is_not_grounded(value: float, factor: float) -> None:
    assert not_stated(f"{value * factor:.6f}", stated_in(f"{value:.6f}")) != ()
