import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from evaluation_results import (
    FIGURES,
    NAN,
    RANKING,
    START,
    STEP,
    at,
    make_case,
    make_evaluation,
    make_result,
    make_verdict,
)

from exporter.evaluation.labelled import Case, Fault, LabelledWindow
from exporter.evaluation.picture import case_picture, series_picture, view_of
from exporter.evaluation.report import leading, render_report, worth_reading, write_report
from exporter.evaluation.results import Episode
from exporter.evaluation.words import moment, ticks
from exporter.series.labels import Series

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>&\u202e\x1b[31m\ud800 {{ 7*7 }}'


class Page(HTMLParser):
    """Reads a page, and complains where a tag is closed that was not open."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.ids: Counter[str] = Counter()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids.update(value for name, value in attrs if name == "id")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def drawn(result, threshold: float = 0.5, verdicts=()) -> ET.Element:
    view = view_of(result)
    assert view is not None
    return ET.fromstring(case_picture(view, threshold, verdicts))


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if name in (element.get("class") or "").split()]


def points(element: ET.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", element.get("d") or "")]


def test_the_page_is_one_file_that_asks_nobody_for_anything():
    windows = (LabelledWindow(at(20), at(30)),)
    result = make_result(
        make_case(windows=windows), (Episode(at(25), at(28), 0.9, 0),), verdicts=[make_verdict(at(25))]
    )
    html = render_report(make_evaluation(result, model_figures=FIGURES, ranking=RANKING))
    page = Page(html)
    assert html.startswith("<!doctype html>")
    assert not {"script", "link", "img", "iframe", "object", "embed", "use", "image"} & set(page.tags)
    assert {name for _, name, _ in page.attributes}.isdisjoint({"src", "srcset", "background", "ping", "action"})
    assert all(value.startswith("#") for _, name, value in page.attributes if name.endswith("href"))
    assert re.findall(r"url\((.*?)\)|@import", html) == ["#hatch-false"]
    assert "default-src 'none'" in html
    assert max(page.ids.values()) == 1


def test_the_summary_table_comes_first_and_marks_the_best_with_a_word():
    html = render_report(make_evaluation(make_result(make_case())))
    page = Page(html)
    assert html.index("Detectors</h2>") < html.index("Series</h2>") < html.index('<section class="case"')
    assert page.text.count("best F1") == 1
    assert "combined best F1 0.67 20 10 10 0.050 0.41 12 % 2.1 % 0.500" in page.text
    assert "never 0.00 0 30 0 0.000 - - 0.0 % -" in page.text
    assert "lmwatch eval nab --json out.json" in page.text


def test_tables_have_headings_with_a_scope_and_pictures_a_title_and_a_description():
    windows = (LabelledWindow(at(20), at(30)),)
    html = render_report(
        make_evaluation(make_result(make_case(windows=windows)), model_figures=FIGURES, ranking=RANKING)
    )
    assert all('scope="' in heading for heading in re.findall(r"<th[ >][^>]*>?", html))
    [picture] = re.findall(r'<svg class="picture".*?</svg>', html, re.DOTALL)
    root = ET.fromstring(picture)
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert root[0].text == "one.csv: values, alerts and score"
    assert root[1].text == (
        "2014-04-01 00:00 to 2014-04-01 08:15. 0 alerts, 0 of them false. "
        "Labelled window 1: 2014-04-01 01:40 to 2014-04-01 02:30, missed"
    )
    headings = [int(level) for level in re.findall(r"<h(\d)", html)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_text_from_outside_is_text_wherever_it_stands():
    series = (Series(HOSTILE, (("a", HOSTILE),), unit=HOSTILE), Series("b", ()))
    case = make_case([[1.0] * 50, [2.0] * 50], name=HOSTILE, series=series)
    fault = Fault(at(3), HOSTILE, HOSTILE, HOSTILE)
    verdict = make_verdict(at(3), HOSTILE, cause=HOSTILE, text=HOSTILE, model=HOSTILE, group={"pod": HOSTILE})
    result = make_result(case, (), verdicts=[verdict], faults=(fault,))
    row = replace(make_evaluation().rows[0], detector=HOSTILE)
    ranking = replace(
        RANKING,
        faults=(replace(RANKING.faults[0], fault=fault, leaders=(HOSTILE,), cause=HOSTILE, experiment=HOSTILE),),
    )
    html = render_report(
        make_evaluation(
            result, data=HOSTILE, model=HOSTILE, command=HOSTILE, rows=(row,), model_figures=FIGURES, ranking=ranking
        )
    )
    page = Page(html)
    assert not {"script", "img"} & set(page.tags)
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert {"\u202e", "\x1b", "\ud800"}.isdisjoint(html)
    for picture in re.findall(r'<svg class="picture".*?</svg>', html, re.DOTALL):
        ET.fromstring(picture)


@pytest.mark.parametrize("spike", [0, 1, 7777, 21_998, 21_999])
@pytest.mark.parametrize("height", [50.0, -50.0])
def test_one_spike_in_22000_values_is_still_to_be_seen(spike: int, height: float):
    values = np.sin(np.arange(22_000) / 50)
    values[spike] = height
    line = of_class(drawn(make_result(make_case(values))), "line")[0]
    heights = [y for _, y in points(line)]
    usual = [y for y in heights if y not in (min(heights), max(heights))]
    extreme = min(heights) if height > 0 else max(heights)
    assert abs(extreme - np.median(usual)) > 100
    assert len(heights) <= 1500


def test_a_score_that_is_high_for_one_instant_of_22000_is_still_to_be_seen():
    result = make_result(make_case(np.zeros(22_000)), (Episode(at(12_345), at(12_345), 1.0, None),))
    heights = [y for _, y in points(of_class(drawn(result), "score")[0])]
    assert min(heights) < max(heights) - 50


def test_a_level_stretch_takes_two_points():
    assert len(points(of_class(drawn(make_result(make_case(np.ones(1000)))), "line")[0])) == 2


def test_a_line_breaks_where_values_are_missing_and_where_time_jumps():
    values = np.arange(100.0)
    values[40:50] = NAN
    case = make_case(values)
    times = case.times.copy()
    times[80:] += 50 * STEP
    line = of_class(drawn(make_result(replace(case, times=times))), "line")[0]
    assert (line.get("d") or "").count("M") == 3


def test_higher_values_stand_higher_and_later_ones_further_right():
    drawn_points = points(of_class(drawn(make_result(make_case([1.0, 2.0, 4.0]))), "line")[0])
    assert [x for x, _ in drawn_points] == [0.0, 480.0, 960.0]
    assert drawn_points[0][1] > drawn_points[1][1] > drawn_points[2][1]


def test_found_and_missed_windows_and_true_and_false_alerts_differ_in_more_than_colour():
    windows = (LabelledWindow(at(20), at(30)), LabelledWindow(at(60), at(70)))
    episodes = (Episode(at(25), at(28), 0.9, 0), Episode(at(50), at(52), 0.7, None))
    root = drawn(make_result(make_case(windows=windows), episodes))
    found, missed = of_class(root, "window")
    assert [group.get("class") for group in (found, missed)] == ["window found", "window missed"]
    assert found[2].get("d") != missed[2].get("d")
    true, false = of_class(root, "alert")
    assert [group.get("class") for group in (true, false)] == ["alert found", "alert false"]
    assert of_class(true, "sign")[0].get("d") != of_class(false, "sign")[0].get("d")
    assert true[0].text == "found window 1: 2014-04-01 02:05 to 2014-04-01 02:20, peak 0.9"
    assert false[0].text == "false alert: 2014-04-01 04:10 to 2014-04-01 04:20, peak 0.7"
    css = render_report(make_evaluation())
    assert re.search(r"\.alert rect \{ fill: url\(#hatch-false\)", css)
    assert re.search(r"\.window\.missed rect \{ stroke-dasharray", css)


def test_windows_stand_where_their_times_are():
    root = drawn(make_result(make_case(np.ones(101), (LabelledWindow(at(25), at(50)),))))
    rectangle = of_class(root, "window")[0][1]
    assert (rectangle.get("x"), rectangle.get("width")) == ("240.0", "240.0")


def test_signs_that_would_cover_each_other_are_left_out_but_no_alert_is():
    episodes = tuple(Episode(at(i), at(i), 0.9, None) for i in range(100, 900, 2))
    root = drawn(make_result(make_case(np.ones(1000)), episodes))
    assert len(of_class(root, "alert")) == 400
    assert 20 < len(of_class(root, "sign")) < 70
    within = (LabelledWindow(at(500), at(501)),)
    found = tuple(replace(one, found_window=0) if one.start == at(500) else one for one in episodes)
    root = drawn(make_result(make_case(np.ones(1000), within), found))
    assert [
        len(of_class(group, "sign")) for group in of_class(root, "alert") if "found" in str(group.get("class"))
    ] == [1]


def test_the_time_to_learn_is_shown_in_part_and_shaded():
    view = view_of(make_result(make_case(np.ones(1000), judged_from=900)))
    assert view is not None
    assert view.times[0] == at(880)
    [learning] = of_class(ET.fromstring(case_picture(view, 0.5)), "learning")
    assert float(learning.get("width") or 0) == pytest.approx(960 * 20 / 119, abs=0.1)
    assert not of_class(drawn(make_result(make_case())), "learning")


def test_what_lies_outside_of_the_picture_is_not_pressed_to_its_edge():
    windows = (LabelledWindow(at(5), at(9)), LabelledWindow(at(870), at(882)), LabelledWindow(at(950), at(960)))
    faults = (Fault(at(10), "a", "cpu", ""), Fault(at(920), "b", "cpu", ""))
    root = drawn(make_result(make_case(np.ones(1000), windows, judged_from=900), faults=faults))
    assert [str(group.get("class")) for group in of_class(root, "window")] == ["window not-judged", "window missed"]
    assert [str(group[0].text) for group in of_class(root, "fault")] == ["2014-04-04 04:40 cpu in b"]


def test_only_the_phase_of_an_experiment_is_shown():
    view = view_of(make_result(make_case(np.ones(1000)), phase=(at(100), at(199))))
    assert view is not None
    assert (view.times[0], view.times[-1]) == (at(80), at(199))


def test_a_band_far_away_does_not_press_the_values_flat():
    values = np.array([0.0, 1.0] * 50)
    root = drawn(make_result(make_case(values), lower=values[None] - 1e6, upper=values[None] + 1e6))
    heights = [y for _, y in points(of_class(root, "line")[0])]
    assert max(heights) - min(heights) > 80
    assert all(0 <= y <= 160 for _, y in points(of_class(root, "band")[0]))


def test_a_band_is_drawn_only_where_it_is_known():
    lower, upper = np.zeros((1, 100)), np.full((1, 100), 2.0)
    lower[0, :30], upper[0, 60:70] = NAN, NAN
    band = of_class(drawn(make_result(make_case(), lower=lower, upper=upper)), "band")[0]
    assert (band.get("d") or "").count("M") == 2
    assert min(x for x, _ in points(band)) == pytest.approx(960 * 30 / 99, abs=0.1)


def test_the_threshold_lies_where_scores_reach_it():
    case = make_case(np.ones(3))
    result = replace(make_result(case), score=np.array([0.0, 0.25, 1.0]))
    root = drawn(result, threshold=0.25)
    heights = [y for _, y in points(of_class(root, "score")[0])]
    threshold = re.match(r"M0 ([\d.]+)H", of_class(root, "threshold")[0].get("d") or "")
    assert threshold is not None
    assert float(threshold[1]) == heights[1]


def test_the_score_before_the_models_say_is_drawn_behind():
    result = replace(make_result(make_case()), screen_score=np.full(100, 0.7))
    classes = [element.get("class") for element in of_class(drawn(result), "line")]
    assert classes == ["line", "line before", "line score"]


@pytest.mark.parametrize(
    "values", [[NAN] * 5, [np.inf, 1.0, -np.inf], [1e300, -1e300, 0.0], [5e-324, 0.0], [7.0], [1e308, -1e308, NAN]]
)
def test_whatever_the_values_are_the_picture_is_well_formed(values: list[float]):
    result = make_result(
        make_case(values), lower=np.full((1, len(values)), -np.inf), upper=np.full((1, len(values)), NAN)
    )
    text = ET.tostring(drawn(result), encoding="unicode")
    assert not re.search(r"nan|inf", text)
    assert not re.search(
        r"nan|inf", ET.tostring(drawn(replace(result, screen_score=result.score * NAN)), encoding="unicode")
    )


def test_a_case_without_instants_has_no_picture():
    result = make_result(make_case(np.empty((1, 0))))
    assert view_of(result) is None
    assert "no values" in Page(render_report(make_evaluation(result))).text


def of_many(windows=()) -> Case:
    series = tuple(Series(f"metric_{row}", ()) for row in range(8))
    return make_case(np.ones((8, 100)), windows, series=series, name="machine")


def test_of_many_series_the_case_and_those_that_say_most_are_shown():
    case = of_many((LabelledWindow(at(20), at(30), (2, 5)),))
    combined = np.zeros((8, 100))
    combined[5, 25:28], combined[1, 25:28], combined[7, 60:90] = 0.9, 0.6, 1.0
    result = make_result(case, (Episode(at(25), at(27), 0.9, 0),), combined=combined)
    assert leading(result, 2) == [5, 1]
    page = Page(render_report(make_evaluation(result)))
    assert page.text.index("metric_5") < page.text.index("metric_1")
    assert "metric_5 labelled as at fault in window 1" in page.text
    assert "8 series judged together" in page.text
    assert [value for tag, name, value in page.attributes if tag == "svg" and value == "picture"] == ["picture"] * 5
    view = view_of(result)
    assert view is not None
    assert ET.fromstring(series_picture(view, 5))[0].text == "metric_5: values"


def test_without_alerts_the_series_with_the_highest_scores_lead_and_those_without_come_last():
    combined = np.full((8, 100), NAN)
    combined[6], combined[3, :40] = 0.2, 0.3
    assert leading(make_result(of_many(), combined=combined), 3) == [3, 6, 0]


def test_verdicts_reached_during_alerts_are_kept_before_calm_ones():
    calm = [make_verdict(at(i), score=0.1) for i in range(40)]
    during = make_verdict(at(41), score=0.2)
    loud = make_verdict(at(39.5), score=0.95)
    unreadable = make_verdict(at(1.5), score=None)
    episodes = (Episode(at(40.5), at(42), 0.9, None),)
    assert worth_reading([*calm, unreadable, loud, during], episodes, 2) == (loud, during)
    assert len(worth_reading(calm, episodes, 30)) == 30


def test_the_words_of_verdicts_stand_beneath_the_picture():
    verdicts = [make_verdict(at(i), f"Summary {i}.") for i in range(40)]
    result = make_result(make_case(), verdicts=verdicts)
    page = Page(render_report(make_evaluation(result, model_figures=FIGURES)))
    assert "Summary 0. Probable cause: A runaway process. Look at next: Look at it." in page.text
    assert "cpu 0.90 spike not grounded : so high" in page.text
    assert "28 more verdicts" in page.text
    assert "10 calmer verdicts are not shown" in page.text


def test_of_many_cases_those_with_nothing_wrong_are_folded():
    quiet = [make_result(make_case(name=f"quiet{i}")) for i in range(12)]
    wrong = make_result(make_case(name="wrong"), (Episode(at(1), at(2), 0.9, None),))
    html = render_report(make_evaluation(*quiet, wrong))
    assert html.count("<details open>") == 1
    assert render_report(make_evaluation(*quiet)).count("<details open>") == 12
    assert html.count('href="#case-13"') == html.count('id="case-13"') == 1


def test_faults_of_an_experiment_are_flagged_and_its_ranking_is_told():
    result = make_result(of_many(), faults=(Fault(at(50), "cart-1", "cpu", "usage"),))
    html = render_report(make_evaluation(result, rows=(), ranking=RANKING))
    page = Page(html)
    assert "2014-04-01 04:10 cpu in cart-1" in page.text
    assert "<span>1 fault</span>" in html
    assert "combined 4 1 (25 %) 3 (75 %) 2" in page.text
    assert "2 of 9 ad-1, cart-1 right: CPU" in page.text
    assert "Detectors" not in page.text


def test_41_series_of_22000_instants_make_a_file_of_a_few_megabytes(tmp_path: Path):
    noise = np.random.default_rng(1).normal(size=22_000)
    windows = (LabelledWindow(at(5000), at(6000)),)
    episodes = tuple(Episode(at(i), at(i + 5), 0.9, None) for i in range(3500, 21_000, 600))
    verdicts = [make_verdict(at(i)) for i in range(0, 22_000, 100)]
    result = make_result(make_case(noise, windows), episodes, verdicts=verdicts)
    result = replace(result, score=np.abs(noise) / 5, screen_score=np.abs(noise) / 4)
    path = tmp_path / "report.html"
    write_report(make_evaluation(result), path)
    assert 41 * path.stat().st_size < 6_000_000


@pytest.mark.parametrize(
    ("when", "words"),
    [(START, "2014-04-01 00:00"), (0.0, "day 1, 00:00"), (2 * 86400.0 + 26_100, "day 3, 07:15")],
)
def test_times_without_a_date_are_counted_from_the_beginning(when: float, words: str):
    assert moment(when) == words


def test_an_axis_has_round_times_and_says_the_date_where_it_changes():
    assert ticks(START + 3 * 3600, START + 33 * 3600, 5) == [
        (START + 6 * 3600, "1 Apr 06:00"),
        (START + 12 * 3600, "12:00"),
        (START + 18 * 3600, "18:00"),
        (START + 24 * 3600, "2 Apr 00:00"),
        (START + 30 * 3600, "06:00"),
    ]
    assert [text for _, text in ticks(START, START + 3 * 86400, 4)] == ["1 Apr", "2 Apr", "3 Apr", "4 Apr"]
    assert [text for _, text in ticks(0.0, 40.0, 4)] == ["day 1 00:00:00", "00:00:15", "00:00:30"]
    assert ticks(START, START, 8) == [(START, "2014-04-01 00:00")]
    assert 1 <= len(ticks(0.0, 3e9, 8)) <= 9
