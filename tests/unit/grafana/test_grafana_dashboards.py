"""The shipped dashboards as documents: what Grafana needs to load them, and what their users may expect of each panel.

The rules are those of Grafana's dashboard-linter, and some of our own.
"""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from dashboard_files import (
    ANNOTATIONS,
    DASHBOARDS,
    FILES,
    FOLDER,
    GLOBALS,
    PANELS,
    SHOWN,
    Panel,
    used_variables,
    variables,
)

ROOT = Path(__file__).parents[3]
OF_GRAFANA = {*GLOBALS, "__all", "__url_time_range", "__data", "__field"}
UNITS = {
    "none", "short", "percentunit", "bytes", "s", "reqps", "cps", "dateTimeAsIso", "dateTimeFromNow",
}  # fmt: skip
"""Those in use; Grafana shows any other text behind the number, a mistake included."""
PANEL_TYPES = {"stat", "timeseries", "heatmap", "state-timeline", "table"}
"""All of them are built into Grafana 10."""
EACH = pytest.mark.parametrize("uid", DASHBOARDS)


def test_the_files_are_what_the_generator_makes():
    done = subprocess.run(
        [sys.executable, ROOT / "grafana/build.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_three_and_each_file_is_called_like_its_dashboard():
    assert {file.stem for file in FILES} == {"lmwatch-lmstudio", "lmwatch-anomalies", "lmwatch-self"}
    assert all(json.loads(file.read_text("utf-8"))["uid"] == file.stem for file in FILES)
    assert len(SHOWN) > 60


@EACH
def test_a_dashboard_loads_everywhere_and_belongs_to_no_grafana(uid: str):
    document = DASHBOARDS[uid]
    assert document["id"] is None
    assert 39 <= document["schemaVersion"] <= 42
    assert "__inputs" not in document
    assert len(uid) <= 40
    assert document["title"]
    assert document["description"]


@EACH
def test_a_dashboard_is_not_edited_shares_its_crosshair_and_keeps_up(uid: str):
    document = DASHBOARDS[uid]
    assert document["editable"] is False
    assert document["graphTooltip"] == 1
    assert document["refresh"] == "30s"
    assert document["timezone"] == "browser"


@EACH
def test_the_dashboards_lead_to_each_other_and_keep_time_and_variables(uid: str):
    (link,) = DASHBOARDS[uid]["links"]
    assert link["type"] == "dashboards"
    assert set(link["tags"]) <= set(DASHBOARDS[uid]["tags"])
    assert link["keepTime"]
    assert link["includeVars"]
    assert all(set(link["tags"]) <= set(other["tags"]) for other in DASHBOARDS.values())


@EACH
def test_nothing_names_a_data_source_but_the_variable_and_grafanas_own(uid: str):
    found = []

    def look(node: object) -> None:
        if isinstance(node, dict):
            found.extend([node["datasource"]] if "datasource" in node else [])
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(DASHBOARDS[uid])
    allowed = ({"type": "prometheus", "uid": "${datasource}"}, {"type": "grafana", "uid": "-- Grafana --"})
    assert found
    assert all(source in allowed for source in found)


@EACH
def test_the_data_source_is_a_variable(uid: str):
    first, *others = variables(DASHBOARDS[uid])
    assert (first["name"], first["type"], first["query"], first["label"]) == (
        "datasource", "datasource", "prometheus", "Data source",
    )  # fmt: skip
    assert "datasource" not in {one["type"] for one in others}


@EACH
@pytest.mark.parametrize(("name", "label"), [("job", "Job"), ("instance", "Instance")])
def test_job_and_instance_are_variables_of_several_values(uid: str, name: str, label: str):
    (variable,) = (one for one in variables(DASHBOARDS[uid]) if one["name"] == name)
    assert variable["type"] == "query"
    assert variable["label"] == label
    assert variable["multi"]
    assert variable["includeAll"]
    assert variable["allValue"] == ".+"


@EACH
def test_variables_follow_the_time_range_and_use_only_earlier_ones(uid: str):
    known = set(GLOBALS)
    for variable in variables(DASHBOARDS[uid]):
        if variable["type"] == "query":
            assert variable["refresh"] == 2, variable["name"]
            assert used_variables(variable["query"]["query"]) <= known, variable["name"]
            assert variable["definition"] == variable["query"]["query"]
        known.add(variable["name"])
    assert len(known) == len(GLOBALS) + len(variables(DASHBOARDS[uid]))


@EACH
def test_every_variable_in_use_is_defined_and_every_one_defined_is_used(uid: str):
    defined = {one["name"] for one in variables(DASHBOARDS[uid])}
    used = used_variables(json.dumps(DASHBOARDS[uid]))
    assert used <= defined | OF_GRAFANA
    assert defined <= used


def test_a_panel_says_what_it_shows_in_which_unit_and_when_there_is_nothing():
    for panel in SHOWN:
        defaults = panel.document["fieldConfig"]["defaults"]
        assert panel.document["type"] in PANEL_TYPES, str(panel)
        assert panel.title, panel.document["id"]
        assert len(panel.document["description"].partition("\n")[0]) > 15, str(panel)
        assert defaults["unit"] in UNITS, str(panel)
        assert defaults["noValue"], str(panel)


def test_a_panels_description_ends_with_its_metrics():
    for panel in SHOWN:
        last = panel.document["description"].rpartition("\n\n")[2]
        assert re.fullmatch(r"Metric: `\w+`|Metrics: `\w+`(, `\w+`)+", last), str(panel)
        for name in re.findall(r"`(\w+)`", last):
            assert any(name in target["expr"] for target in panel.targets), name


def test_a_panels_columns_and_overrides_are_units_that_exist():
    for panel in SHOWN:
        overrides = panel.document["fieldConfig"]["overrides"]
        units = [prop["value"] for one in overrides for prop in one["properties"] if prop["id"] == "unit"]
        assert set(units) <= UNITS, str(panel)


def test_every_series_that_is_overridden_by_name_can_have_that_name():
    for panel in SHOWN:
        names = {one["matcher"]["options"] for one in panel.document["fieldConfig"]["overrides"]}
        legends = {target.get("legendFormat", "") for target in panel.targets}
        columns = [step["options"] for step in panel.document.get("transformations", []) if step["id"] == "organize"]
        labels = {name for step in columns for name in (*step["indexByName"], *step["renameByName"].values())}
        fixed = {legend for legend in legends if "{{" not in legend}
        outcomes = (
            {"ok", "ungrounded", "invalid", "llm_error", "timeout", "skipped_calm"}
            if "{{outcome}}" in legends
            else set()
        )
        assert names <= fixed | labels | outcomes, str(panel)


def test_a_panel_has_queries_with_letters_of_their_own():
    for panel in SHOWN:
        letters = [target["refId"] for target in panel.targets]
        assert letters, str(panel)
        assert len(letters) == len(set(letters)), str(panel)


@EACH
def test_numbers_and_titles_of_panels_are_unique(uid: str):
    panels = [panel for panel in PANELS if panel.dashboard == uid]
    numbers, titles = ([panel.document["id"] for panel in panels], [panel.title for panel in panels if not panel.row])
    assert len(numbers) == len(set(numbers))
    assert len(titles) == len(set(titles))


@EACH
def test_no_panel_lies_upon_another_or_beyond_the_edge_and_lines_are_full(uid: str):
    places = [panel.document["gridPos"] for panel in PANELS if panel.dashboard == uid]
    cells = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])} for at in places
    ]
    assert all(at["x"] >= 0 and at["w"] >= 3 and at["x"] + at["w"] <= 24 for at in places if at["w"] != 24)
    assert not any(first & second for first, second in combinations(cells, 2))
    width: dict[int, int] = {}
    for at in places:
        width[at["y"]] = width.get(at["y"], 0) + at["w"]
    assert set(width.values()) == {24}


def links() -> list[tuple[Panel, str]]:
    found = []
    for panel in SHOWN:
        config = panel.document["fieldConfig"]
        values = [config["defaults"].get("links", [])]
        values += [prop["value"] for one in config["overrides"] for prop in one["properties"] if prop["id"] == "links"]
        found += [(panel, link["url"]) for value in values for link in value]
    return found


@pytest.mark.parametrize(("panel", "url"), links(), ids=[f"{panel}: {url}" for panel, url in links()])
def test_a_link_leads_to_a_dashboard_or_page_that_exists(panel: Panel, url: str):
    if url.startswith("/d/"):
        target = DASHBOARDS[url.split("/")[2]]
        given = set(re.findall(r"var-(\w+)=", url))
        assert given <= {one["name"] for one in variables(target)}
    else:
        page = url.removeprefix("${pages:raw}")
        assert page != url
        assert re.match(r"/($|verdicts/latest\?watch=|watches/\$\{)", page)


def test_links_take_values_from_columns_that_the_table_has():
    for panel, url in links():
        if panel.document["type"] != "table":
            continue
        (step,) = (one["options"] for one in panel.document["transformations"] if one["id"] == "organize")
        shown = {step["renameByName"].get(name, name) for name in step["indexByName"]}
        assert set(re.findall(r"__data\.fields\.(\w+)", url)) <= shown


def test_there_are_links_to_verdicts_and_between_dashboards():
    urls = [url for _, url in links()]
    assert any("/verdicts/latest" in url for url in urls)
    assert any(url.startswith("/d/") for url in urls)


def test_alerts_are_marked_on_every_dashboard():
    firing = {uid for uid, one in ANNOTATIONS if one["expr"].startswith("ALERTS{") and one["enable"]}
    assert firing == set(DASHBOARDS)


def test_only_dashboards_lie_in_the_folder_that_is_provisioned():
    assert {file.suffix for file in FOLDER.iterdir()} == {".json"}
