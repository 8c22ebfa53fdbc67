from xml.etree import ElementTree as ET

import pytest

from exporter.drawing.timelines import LANE_HEIGHT, Mark, Span, axis, marks, place, spans


def test_time_runs_from_left_to_right():
    assert [place(at, 100.0, 200.0) for at in (100.0, 150.0, 200.0)] == pytest.approx([0.8, 50.0, 99.2])
    assert place(5.0, 5.0, 5.0) == 50.0


def test_marks_stand_at_their_time_and_height_and_lead_somewhere():
    root = ET.fromstring(
        marks(
            "<verdicts>",
            0.0,
            100.0,
            [
                Mark(0.0, 0.0, "dot", "calm", "one", "/v/1"),
                Mark(50.0, 1.0, "triangle", "high", 'two "quoted"', '/v/2?a=b&c="'),
                Mark(100.0, None, "cross", "none", "three"),
                Mark(101.0, 0.5, "dot", "calm", "too late"),
            ],
            boundary=0.5,
        )
    )
    assert root.get("aria-label") == "<verdicts>"
    links = root.findall("a")
    assert [link.get("href") for link in links] == ["/v/1", '/v/2?a=b&c="']
    assert [link.get("aria-label") for link in links] == ["one", 'two "quoted"']
    assert {link.get("tabindex") for link in links} == {"-1"}
    placed = [(svg.get("x"), float(svg.get("y") or 0)) for svg in root.iter("svg") if svg is not root]
    assert placed == [("0.80%", 35.0), ("50.00%", 9.0), ("99.20%", 35.0)]
    bound = next(line for line in root.iter("line") if line.get("class") == "bound")
    assert float(bound.get("y1") or 0) == LANE_HEIGHT / 2


def test_each_kind_of_mark_has_a_shape_of_its_own():
    shapes = ("dot", "ring", "diamond", "triangle", "cross")
    drawings = {marks("t", 0.0, 2.0, [Mark(1.0, 0.5, shape, "k", "x")]) for shape in shapes}
    assert len(drawings) == 5


def test_states_are_bars_with_their_name_where_there_is_room():
    root = ET.fromstring(
        spans(
            "server",
            0.0,
            100.0,
            [
                Span(-50.0, 60.0, "up", "ok"),
                Span(60.0, 61.0, "down <1>", "failed"),
                Span(61.0, 300.0, "up", "ok"),
                Span(-9.0, 0.0, "gone", "ok"),
            ],
        )
    )
    groups = list(root.iter("g"))
    assert [group.findtext("title") for group in groups] == ["up", "down <1>", "up"]
    assert [group.findtext("text") for group in groups] == ["up", None, "up"]
    first = groups[0].find("rect")
    assert first is not None
    assert (first.get("x"), first.get("width")) == ("0.80%", "59.04%")
    assert root.findtext("desc") == "up; down <1>; up"


def test_the_times_below_can_be_written_in_another_zone():
    root = ET.fromstring(axis(0.0, 3600.0))
    assert [text.text for text in root] == ["00:00", "00:30", "01:00"]
    assert all(text.get("data-at") for text in root)
