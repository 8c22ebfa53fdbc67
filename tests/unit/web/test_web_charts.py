import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.charts import METER, SPARKLINE, curve, meter, severity

NAN = float("nan")
SVG = "{http://www.w3.org/2000/svg}"


def parts(svg: str) -> dict[str, list[ET.Element]]:
    root = ET.fromstring(svg)
    found: dict[str, list[ET.Element]] = {}
    for element in root.iter():
        found.setdefault(element.tag, []).append(element)
    return found


def points(svg: str) -> list[tuple[float, float]]:
    path = parts(svg)["path"][0].get("d") or ""
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path)]


def test_the_line_runs_from_left_to_right_and_higher_values_stand_higher():
    drawn = points(curve("t", np.array([1.0, 2.0, 3.0]), (NAN, NAN), SPARKLINE))
    assert [x for x, _ in drawn] == [3.0, 90.0, 177.0]
    assert drawn[0][1] > drawn[1][1] > drawn[2][1]
    assert all(0 <= y <= SPARKLINE.height for _, y in drawn)


def test_the_line_is_interrupted_where_values_are_missing():
    svg = curve("t", np.array([1.0, NAN, 3.0, 4.0]), (NAN, NAN), SPARKLINE)
    path = parts(svg)["path"][0].get("d") or ""
    assert re.sub(r"[\d. ]", "", path) == "MML"


def test_the_band_lies_behind_and_a_newest_value_outside_of_it_is_marked():
    inside = curve("t", np.array([1.0, 2.0]), (0.5, 2.5), SPARKLINE)
    outside = curve("t", np.array([1.0, 9.0]), (0.5, 2.5), SPARKLINE)
    assert parts(inside)["rect"][0].get("class") == "band"
    assert parts(inside)["circle"][0].get("class") == "now"
    assert parts(outside)["circle"][0].get("class") == "now outside"
    assert inside.index("<rect") < inside.index("<path")


def test_without_a_band_none_is_drawn():
    assert "rect" not in parts(curve("t", np.array([1.0, 2.0]), (NAN, 3.0), SPARKLINE))


@pytest.mark.parametrize("values", [[], [NAN, NAN], [np.inf]])
def test_without_finite_values_only_the_frame_is_left(values: list[float]):
    assert set(parts(curve("t", np.array(values), (0.0, 1.0), SPARKLINE))) == {"svg", "title"}


def test_a_constant_series_is_a_line_in_the_middle():
    drawn = points(curve("t", np.array([7.0, 7.0]), (NAN, NAN), SPARKLINE))
    assert [y for _, y in drawn] == [18.0, 18.0]


def test_thousands_of_values_become_few_points_and_keep_their_extremes():
    values = np.zeros(20_000)
    values[777], values[15_000] = 5.0, -5.0
    drawn = points(curve("t", values, (NAN, NAN), SPARKLINE))
    assert len(drawn) <= 2 * SPARKLINE.width + 1
    heights = [y for _, y in drawn]
    flat = heights[0]
    assert min(heights) < flat < max(heights)


def test_the_title_is_escaped():
    svg = curve("<b>&", np.array([1.0, 2.0]), (NAN, NAN), SPARKLINE)
    assert parts(svg)["title"][0].text == "<b>&"


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60),
    st.tuples(st.floats(), st.floats()),
)
def test_whatever_the_values_are_the_drawing_is_well_formed(values: list[float], band: tuple[float, float]):
    svg = curve("t", np.array(values), band, SPARKLINE)
    assert "nan" not in svg
    assert "inf" not in svg
    assert parts(svg)["svg"]


@pytest.mark.parametrize(
    ("score", "width", "colour"),
    [
        (0.0, 8.0, "calm"),
        (0.499, 41.9, "calm"),
        (0.5, 42.0, "raised"),
        (0.6, 50.4, "raised"),
        (1.0, 84.0, "high"),
        (7.0, 84.0, "high"),
    ],
)
def test_a_meter_fills_with_its_score(score: float, width: float, colour: str):
    fill = parts(meter(score))["rect"][1]
    assert float(fill.get("width") or 0) == width
    assert fill.get("class") == f"fill {colour}"


def test_a_meter_without_a_score_is_empty():
    assert len(parts(meter(None))["rect"]) == 1
    assert METER.width / 2 == 42


@pytest.mark.parametrize(
    ("score", "name"), [(None, "none"), (0.4999, "calm"), (0.5, "raised"), (0.75, "raised"), (0.76, "high")]
)
def test_a_score_at_the_boundary_is_raised_as_an_alarm_is_that_goes_on(score: float | None, name: str):
    """The screen holds an alarm at the boundary while its episode goes on, and alerts fire there."""
    assert severity(score) == name
