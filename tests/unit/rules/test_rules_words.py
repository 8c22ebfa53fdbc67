"""What the alerts say, where their links lead, and that each of them is explained and tested."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from rules_files import ALERT_NAMES, ALERTS, ROOT, TEST_FILES, Rule

from exporter.config.durations import parse_duration
from exporter.shipped import RUNBOOK_PREFIX
from exporter.web.markdown import anchor

SEVERITIES = {"critical", "warning", "info", "none"}
NOWHERE_TO_LOOK = {"LMWatchAbsent", "LMWatchDown", "LMWatchWatchdog"}
"""Alerts without a page: lmwatch is not there, or nothing is wrong."""
ALWAYS = {"LMWatchWatchdog"}
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text("utf-8")
SECTIONS = dict(zip((parts := re.split(r"(?m)^## (.+)\n", RUNBOOKS)[1:])[::2], parts[1::2], strict=True))
PARTS = ["**Meaning**", "**Look first**", "**Usual causes**", "**What to do**", "**Silence**"]


@pytest.mark.parametrize("rule", ALERTS, ids=str)
def test_an_alert_says_what_is_wrong(rule: Rule):
    assert re.fullmatch(r"(LMStudio|LMWatch)([A-Z][a-z]+)+", rule.alert)
    assert rule.severity in SEVERITIES
    summary, description = rule.annotations["summary"], rule.annotations["description"]
    assert re.fullmatch(r"\S[^\n]*[^.\s]\.", summary)
    assert "{{" not in summary, "grouped alerts share it"
    assert len(description) > len(summary), "what the summary leaves open"
    assert not any("$value" in value for value in rule.text["labels"].values()), (
        "a label with a value is a new alert each time"
    )


@pytest.mark.parametrize("rule", ALERTS, ids=str)
def test_an_alerts_links_lead_somewhere(rule: Rule):
    assert rule.annotations["runbook_url"] == f"{RUNBOOK_PREFIX}#{anchor(rule.alert)}"
    assert ({"page_url", "verdict_url"} & rule.annotations.keys() == set()) == (rule.alert in NOWHERE_TO_LOOK)


@pytest.mark.parametrize("rule", ALERTS, ids=str)
def test_an_alert_says_how_long_it_waits_unless_it_is_about_an_event(rule: Rule):
    """`for: 0m` only over a window that remembers the event."""
    if parse_duration(rule.text.get("for", "0s")) == 0 and rule.alert not in ALWAYS:
        assert re.search(r"increase\(|changes\(|time\(\)", rule.expr)


def test_the_runbooks_explain_these_alerts_and_no_others():
    assert sorted(SECTIONS) == ALERT_NAMES


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_a_runbook_is_complete(name: str):
    section = SECTIONS[name]
    assert [part for part in PARTS if part not in section] == []
    assert [section.index(part) for part in PARTS] == sorted(section.index(part) for part in PARTS)
    assert "```" in section, "what to look at is a command or a query"


def checks() -> Iterator[tuple[str, float, set[tuple[str, str]], str]]:
    """Of all promtool tests: which test, when, which alerts with their severities, and the alert it is about."""
    for file in TEST_FILES:
        for test in yaml.safe_load(file.read_text("utf-8"))["tests"]:
            for check in test.get("alert_rule_test", ()):
                yield (
                    test.get("name", file.name),
                    parse_duration(check["eval_time"]),
                    _expected(check),
                    check["alertname"],
                )


def _expected(check: dict[str, Any]) -> set[tuple[str, str]]:
    return {(check["alertname"], alert["exp_labels"]["severity"]) for alert in check["exp_alerts"]}


CHECKS = list(checks())


def changes(rule: Rule) -> set[str]:
    """Whether promtool's tests see this alert begin, and end, within one test each."""
    key, seen = (rule.alert, rule.severity), set()
    for name in {name for name, _, _, about in CHECKS if about == rule.alert}:
        firing = [
            key in alerts
            for test, _, alerts, about in sorted(CHECKS, key=lambda check: check[1])
            if test == name and about == rule.alert
        ]
        pairs = [(earlier, later) for place, earlier in enumerate(firing) for later in firing[place + 1 :]]
        seen |= {"begins"} if (False, True) in pairs else set()
        seen |= {"ends"} if (True, False) in pairs else set()
    return seen


@pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.alert not in ALWAYS], ids=str)
def test_promtool_sees_an_alert_begin_and_end(rule: Rule):
    assert changes(rule) == {"begins", "ends"}


@pytest.mark.parametrize("name", sorted(ALWAYS))
def test_promtool_sees_an_alert_that_always_fires(name: str):
    firing = [bool(alerts) for _, _, alerts, about in CHECKS if about == name]
    assert firing
    assert all(firing)


def test_promtools_tests_are_about_alerts_that_exist():
    assert {about for _, _, _, about in CHECKS} == set(ALERT_NAMES)
