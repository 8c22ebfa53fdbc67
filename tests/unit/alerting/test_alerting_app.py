"""The whole program with an Alertmanager: alerts of before the start go on, over a reload, until the orderly end."""

import json
import urllib.request

import pytest
from alerting_cases import anomalous, subject
from alerting_fake import wait_until

from exporter.alerting.document import to_document
from exporter.alerting.lifecycle import Ledger, step
from exporter.alerting.observing import Policy
from exporter.app import App, Options
from exporter.clock import SystemClock
from exporter.config.model import Config
from exporter.journal.store import Journal

AT_ONCE = Policy(threshold=0.5, group_by=(), interval=60, pending=0, hold=180, patience=3600)


@pytest.fixture
def journal_path(tmp_path):
    """A journal in which an alert fires."""
    path = tmp_path / "lmwatch.db"
    now = SystemClock().now()
    ledger = step(Ledger(), anomalous(subject(instance="a:1", name="x-1")), AT_ONCE, now - 300)
    journal = Journal(path)
    journal.alerts.change(now, {alert.fingerprint: to_document(alert) for alert in ledger.told()})
    journal.close()
    return path


def config(path, *urls):
    return Config.model_validate(
        {
            "servers": [],
            "sources": [{"name": "s", "scrape": {"targets": ["127.0.0.1:1"], "interval": "1h"}}],
            "watches": [{"name": "w", "source": "s", "select": ["load"], "window": "2h", "interval": "1h"}],
            "alerting": {"alertmanagers": [{"url": url} for url in urls], "resend_interval": "1s"},
            "journal": {"path": str(path)},
        }
    )


def test_alerts_go_on_over_start_reload_and_end(journal_path, make_alertmanager):
    first, second = make_alertmanager(), make_alertmanager()
    urls = [first.url]
    app = App(lambda: config(journal_path, *urls), Options(listen=("127.0.0.1:0",)))
    app.start()
    try:
        wait_until(lambda: len(first.requests) >= 2, "it is sent and repeated")
        urls.append(second.url)
        app.reload()
        wait_until(lambda: second.stored, "the new Alertmanager learns of it")
        with urllib.request.urlopen(f"http://{app.addresses[0]}/api/v1/alerts") as response:
            (shown,) = json.load(response)["data"]["alerts"]
    finally:
        app.stop()
    alerts = [alert for batch in (*first.requests, *second.requests) for alert in batch]
    assert len({alert["startsAt"] for alert in alerts}) == 1
    assert {tuple(alert["labels"].items()) for alert in alerts} == {tuple(shown["labels"].items())}
    assert shown["state"] == "firing"
    assert shown["value"] == "0.9"
    assert all(alert["endsAt"] > alert["startsAt"] for alert in alerts)


def test_the_end_delivers_what_still_waits(journal_path, make_alertmanager):
    alertmanager = make_alertmanager()
    alertmanager.status = 500
    app = App(lambda: config(journal_path, alertmanager.url), Options(listen=("127.0.0.1:0",)))
    app.start()
    try:
        wait_until(lambda: alertmanager.requests, "it is tried")
        assert not alertmanager.stored
        alertmanager.status = 200
    finally:
        app.stop()
    assert alertmanager.names() == {"x-1"}
