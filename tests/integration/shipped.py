"""What ships, hurried: rules and configurations of `rules/` and `deploy/` with seconds in the place of minutes.

Nothing is copied. Routes, receivers, inhibition, expressions and labels are those that users get; only times and addresses
are other ones, so that an alert that takes ten minutes takes some seconds, and every program is on loopback.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from real_programs import ROOT

RANGE_SECONDS = 4
"""In the place of every range in an expression: a few scrapes of a second each."""
_RANGE = re.compile(r"\[[0-9smhd]+\]")
_TIMES = {"group_wait": "0s", "group_interval": "1s"}


def hurried_rules(folder: Path) -> Path:
    """The shipped rule files with short ranges, `for` and `keep_firing_for`; returns the pattern that names them."""
    folder.mkdir()
    files = sorted((ROOT / "rules").glob("*.rules.yml"))
    assert files, "no rules are shipped"
    for file in files:
        document = yaml.safe_load(file.read_text())
        for rule in (rule for group in document["groups"] for rule in group["rules"]):
            rule["expr"] = _RANGE.sub(f"[{RANGE_SECONDS}s]", rule["expr"])
            for key in ("for", "keep_firing_for"):
                if rule.get(key, "0m") != "0m":
                    rule[key] = "1s"
        (folder / file.name).write_text(yaml.safe_dump(document))
    return folder / "*.rules.yml"


def hurried_prometheus(rules: Path, addresses: Mapping[str, str]) -> str:
    """The shipped configuration of Prometheus: each second, and with these addresses.

    Args:
        rules: the pattern of the rule files.
        addresses: where the shipped `host:port` are in this test; jobs whose targets are not here are left out.
    """
    document = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    document["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    document["rule_files"] = [str(rules)]
    jobs = [job for job in document["scrape_configs"] if set(_targets(job)) <= addresses.keys()]
    assert jobs, f"no job scrapes any of {', '.join(addresses)}"
    document["scrape_configs"] = jobs
    for group in (*document["alerting"]["alertmanagers"], *jobs):
        for static in group["static_configs"]:
            static["targets"] = [addresses[target] for target in static["targets"]]
    return str(yaml.safe_dump(document))


def hurried_alertmanager(webhook: str, token: Path, receivers: Mapping[str, str]) -> str:
    """The shipped configuration of Alertmanager, with groups that are sent within a second.

    Args:
        webhook: the URL in the place of the shipped one of lmwatch.
        token: the file in the place of the shipped one.
        receivers: by name, webhooks for receivers that are shipped empty.
    """
    document = yaml.safe_load((ROOT / "deploy/alertmanager.yml").read_text())
    for route in _routes(document["route"]):
        route.update({key: value for key, value in _TIMES.items() if key in route})
    named = {receiver["name"]: receiver for receiver in document["receivers"]}
    (ours,) = named["lmwatch"]["webhook_configs"]
    assert ours["url"].endswith("/api/v1/alertmanager/webhook"), ours
    ours["url"] = webhook
    ours["http_config"]["authorization"]["credentials_file"] = str(token)
    for name, url in receivers.items():
        assert not named[name].get("webhook_configs"), f"{name} is not shipped empty"
        named[name]["webhook_configs"] = [{"url": url, "send_resolved": True}]
    return str(yaml.safe_dump(document))


def _targets(job: dict[str, Any]) -> Iterator[str]:
    for static in job.get("static_configs", []):
        yield from static["targets"]


def _routes(route: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield route
    for child in route.get("routes", []):
        yield from _routes(child)
