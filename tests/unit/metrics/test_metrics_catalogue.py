import re
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.metrics.catalogue import CATALOGUE, reference_page, row
from exporter.metrics.genai import METRICS
from exporter.metrics.reference import markdown
from exporter.metrics.row import Row

ROOT = Path(__file__).resolve().parents[3]
HISTOGRAMS = [entry for entry in CATALOGUE if entry.type == "histogram"]
SCORES = [entry for entry in CATALOGUE if entry.name.endswith("anomaly_score")]


def test_every_name_is_there_once():
    names = [entry.name for entry in CATALOGUE]
    assert len(names) == len(set(names))
    assert row("lmwatch_anomaly_score").type == "gauge"
    with pytest.raises(KeyError):
        row("lmwatch_nothing")


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_a_row_follows_the_naming_conventions(entry: Row):
    assert re.fullmatch(r"(lmstudio|lmwatch|process|python)_[a-z0-9_]+", entry.name)
    assert all(re.fullmatch(r"[a-z_]+", label) for label in entry.labels)
    assert len(entry.labels) == len(set(entry.labels))
    assert (entry.type == "counter") == entry.name.endswith("_total")
    assert entry.type != "info" or entry.name.endswith("_info")
    assert entry.help.endswith(".")
    assert not set(entry.help) & set('\n\\"'), "both formats take it as it stands; they escape these differently"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_a_row_with_a_unit_carries_it_in_its_name(entry: Row):
    assert not entry.unit or entry.family.endswith(f"_{entry.unit}")


@pytest.mark.parametrize("entry", SCORES, ids=lambda entry: entry.name)
def test_a_scores_help_tells_boundary_and_absence(entry: Row):
    assert "0.5 is the boundary" in entry.help
    assert "absent is not 0" in entry.help


def test_there_are_scores_and_histograms():
    assert len(SCORES) == 5
    assert len(HISTOGRAMS) == 8


@pytest.mark.parametrize("entry", HISTOGRAMS, ids=lambda entry: entry.name)
def test_buckets_rise_and_reach_slow_local_models_and_long_contexts(entry: Row):
    assert list(entry.buckets) == sorted(set(entry.buckets))
    assert entry.buckets[-1] == {"seconds": 640.0, "tokens": 1048576.0}[entry.unit]


def test_the_reference_page_is_current():
    """docs/metrics.md is what `python -m exporter.metrics.catalogue` prints."""
    assert (ROOT / "docs" / "metrics.md").read_text("utf-8") == reference_page()


def test_the_module_prints_the_reference_page():
    command = [sys.executable, "-m", "exporter.metrics.catalogue"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert printed.stdout.decode() == reference_page()


def test_the_reference_page_keeps_planned_names_apart():
    page = markdown((Row("lmwatch_now", "gauge", "Now | here."), Row("lmwatch_later", "gauge", "Later.", planned=True)))
    exposed, planned = page.split("## Names that are decided but not exposed yet")
    assert r"| `lmwatch_now` | gauge | – | – | Now \| here. |" in exposed
    assert "lmwatch_later" not in exposed
    assert "lmwatch_later" in planned


def test_what_opentelemetrys_names_are_mapped_to_is_exposed():
    mapped = {name for entry in METRICS for name in entry.ours}
    assert mapped
    assert not any(row(name).planned for name in mapped)
    assert {row(name).type for name in mapped} == {"histogram"}


def test_each_of_opentelemetrys_names_says_what_differs():
    page = reference_page().split("## OpenTelemetry's names for generative AI")[1]
    for entry in METRICS:
        assert entry.theirs.startswith("gen_ai.")
        assert f"| `{entry.theirs}` | " in page
        assert entry.note.endswith(".")


def test_a_unit_is_metadata_only_where_openmetrics_allows_it():
    assert row("lmstudio_prompt_tokens_total").metadata_unit == "tokens"
    assert Row("lmwatch_thing", "gauge", "x.", unit="bytes").metadata_unit == ""


def test_no_metric_has_a_label_that_belongs_to_its_scrape():
    """With honor_labels, as scores need it, such a label would hide the name of the scrape job or the target."""
    assert [row.name for row in CATALOGUE if {"job", "instance"} & set(row.labels)] == []
