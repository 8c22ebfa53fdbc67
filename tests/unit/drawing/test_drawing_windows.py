import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.drawing.windows import Drawn, Pin, Stretch, time_axis, window_chart

NAN = float("nan")
TIMES = 1_770_000_000.0 + 60.0 * np.arange(61)


def drawn(values: list[float] | np.ndarray, **changes) -> ET.Element:
    asked = {"lower": NAN, "upper": NAN, **changes}
    array = np.array(values, dtype=float)
    made = Drawn("<t>", "d & d", TIMES[: array.size], array, **asked)
    return ET.fromstring(window_chart(made, lambda value: f"{value:g} <u>"))


def of_class(root: ET.Element, kind: str) -> list[ET.Element]:
    return [element for element in root.iter() if kind in (element.get("class") or "").split()]


def test_it_says_in_words_what_it_shows():
    root = drawn(np.arange(61.0))
    assert (root.get("role"), root.findtext("title"), root.findtext("desc")) == ("img", "<t>", "d & d")


def test_values_and_times_stand_at_the_axes():
    root = drawn(np.arange(61.0))
    texts = of_class(root, "tick-text")
    assert [text.text for text in texts] == ["0 <u>", "20 <u>", "40 <u>", "60 <u>", "02:45", "03:00", "03:15", "03:30"]
    at = [float(text.get("data-at") or 0) for text in texts[4:]]
    assert [(seconds - TIMES[0]) / 60 for seconds in at] == [5, 20, 35, 50]
    assert texts[4].get("x") == "8.83%"


def test_what_lies_outside_of_the_band_is_marked():
    values = np.ones(61)
    values[40:50] = 9.0
    root = drawn(values, lower=0.5, upper=1.5)
    (odd,) = of_class(root, "outside")
    places = [float(x) for x in re.findall(r"[ML]([\d.]+) ", odd.get("d") or "")]
    assert (min(places), max(places)) == pytest.approx((6 + 988 * 39 / 60, 6 + 988 * 50 / 60), abs=0.1)
    assert of_class(root, "now")[0].get("class") == "now"
    assert of_class(drawn([1.0, 9.0], lower=0.5, upper=1.5), "now")[0].get("class") == "now outside"


def test_alarms_are_shaded_and_named_as_far_as_they_are_within():
    stretches = [
        Stretch(TIMES[0] - 500, TIMES[0] - 60, "before"),
        Stretch(TIMES[0] - 60, TIMES[6], "left"),
        Stretch(TIMES[30], TIMES[60] + 999, "right <b>"),
    ]
    root = drawn(np.ones(61), stretches=stretches)
    shades = [(float(one.get("x") or 0), float(one.get("width") or 0)) for one in of_class(root, "shade")]
    assert shades == [(6.0, 98.8), (500.0, 494.0)]
    names = of_class(root, "shade-name")
    assert [name.text for name in names] == ["left", "right <b>"]
    assert names[0].get("x") == "14.00%"
    assert (names[1].get("x"), names[1].get("text-anchor")) == ("99.40%", "end")


def test_cited_values_are_pointed_at():
    values = np.arange(61.0)
    root = drawn(values, pins=[Pin(TIMES[60], 60.0, "E1"), Pin(TIMES[0], 0.0, "E2")])
    right, left = of_class(root, "pin")
    assert (right[0].get("cx"), right[1].get("text-anchor"), right[1].text) == ("99.40%", "end", "E1")
    assert (left[0].get("cx"), left[1].get("text-anchor"), left[1].text) == ("0.60%", "start", "E2")


@pytest.mark.parametrize("values", [[], [NAN, NAN], [np.inf]])
def test_without_finite_values_only_words_are_left(values: list[float]):
    assert [element.tag for element in drawn(values)] == ["title", "desc"]


@given(st.lists(st.floats(), max_size=61), st.tuples(st.floats(), st.floats()))
def test_whatever_the_values_are_the_drawing_is_well_formed(values: list[float], band: tuple[float, float]):
    made = Drawn("t", "d", TIMES[: len(values)], np.array(values, dtype=float), *band)
    svg = window_chart(made, lambda value: "v")
    assert "nan" not in svg
    assert "inf" not in svg
    ET.fromstring(svg)


@pytest.mark.parametrize(
    ("seconds", "how", "first"),
    [(60.0, "second", "02:40:00"), (3600.0, "clock", "02:45"), (7 * 86400.0, "day", "02-04")],
)
def test_the_times_below_are_as_fine_as_the_window_is_short(seconds: float, how: str, first: str):
    texts = [ET.fromstring(text) for text in time_axis(1_770_000_000.0, 1_770_000_000.0 + seconds, 10)]
    assert {text.get("data-as") for text in texts} == {how}
    assert texts[0].text == first
