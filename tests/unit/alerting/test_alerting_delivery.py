"""Delivery over real sockets: whatever an Alertmanager does, nothing else is lost, held up or sent out of date."""

import contextlib
import threading
from dataclasses import replace

import pytest
from alerting_cases import NOW, POLICY, anomalous, subject
from alerting_fake import FakeAlertmanager, wait_until

from exporter.alerting import delivery as delivering
from exporter.alerting.alertmanager import AlertmanagerClient, Left, Outgoing, outgoing
from exporter.alerting.delivery import BATCH, Delivery
from exporter.alerting.fleet import Fleet
from exporter.alerting.lifecycle import Ledger, retire, step
from exporter.clock import SystemClock
from exporter.config.alerting import Alertmanager
from exporter.errors import BadDataError

CLOCK = SystemClock()


def out(number, **annotations):
    labels = (("alertname", "LMWatchAnomaly"), ("name", f"n{number}"))
    body = {
        "labels": dict(labels),
        "annotations": {"summary": "s", **annotations},
        "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "2026-01-01T00:04:00.000Z",
    }
    return Outgoing(labels, body)


def outs(count):
    return [out(number) for number in range(count)]


def names(count):
    return {f"n{number}" for number in range(count)}


@pytest.fixture
def make_client(instruments):
    with contextlib.ExitStack() as stack:

        def make(url, **settings):
            config = Alertmanager.model_validate({"url": url, "timeout": "5s", **settings})
            client = AlertmanagerClient(url, config, instruments, CLOCK)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def quick(monkeypatch):
    """Pauses between attempts a hundred times as short."""
    monkeypatch.setattr(delivering, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(delivering, "_LONGEST_PAUSE", 0.05)


@pytest.fixture
def make_delivery(make_client, instruments, quick):
    with contextlib.ExitStack() as stack:

        def make(url, start=True, capacity=10_000, **settings):
            made = Delivery(make_client(url, **settings), instruments, CLOCK, capacity=capacity)
            if start:
                made.start()
                stack.callback(stop, made)
            return made

        yield make


def stop(delivery, seconds=0.0):
    delivery.drain(CLOCK.monotonic() + seconds)
    return end(delivery)


def end(delivery):
    """What it leaves undelivered."""
    delivery.wait()
    return delivery.finish(5.0)


def count(registry, name, url, **labels):
    return registry.get_sample_value(name, {"alertmanager": url, **labels})


def failures(registry, url):
    """The reasons that were counted, with how many alerts each."""
    family = next(found for found in registry.collect() if found.name == "lmwatch_alert_failures")
    return {
        sample.labels["reason"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["alertmanager"] == url and sample.value
    }


# -- one batch


def test_an_accepted_batch_is_counted(registry, make_client, alertmanager):
    assert make_client(alertmanager.url).send(outs(3)) == Left()
    assert alertmanager.names() == names(3)
    assert count(registry, "lmwatch_alerts_sent_total", alertmanager.url) == 3


@pytest.mark.parametrize("bad", [{0}, {63}, {31, 32}, {5, 6, 40}, set(range(64))])
def test_a_bad_alert_costs_none_of_the_others(registry, make_client, alertmanager, bad):
    alertmanager.refuses = lambda alert: int(alert["labels"]["name"][1:]) in bad
    assert make_client(alertmanager.url).send(outs(64)) == Left()
    assert alertmanager.names() == names(64) - {f"n{number}" for number in bad}
    assert failures(registry, alertmanager.url) == {"rejected": len(bad)}
    assert count(registry, "lmwatch_alerts_sent_total", alertmanager.url) == (64 - len(bad) or None)
    refused = [batch for batch in alertmanager.requests if len(batch) == 1 and alertmanager.refuses(batch[0])]
    assert len(refused) == len(bad)


def test_the_label_set_of_a_refused_alert_and_the_reason_are_logged(make_client, alertmanager, caplog):
    alertmanager.refuses = lambda _: True
    make_client(alertmanager.url).send(outs(1))
    (record,) = [record for record in caplog.records if record.message == "alerts were not delivered"]
    assert "answered 400: the reason; the alert was {'alertname': 'LMWatchAnomaly', 'name': 'n0'}" in str(
        record.__dict__
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (500, ("server_error", "again")),
        (503, ("server_error", "again")),
        (429, ("rate_limited", "again")),
        (408, ("server_error", "again")),
        (401, ("unauthorized", "given up")),
        (403, ("unauthorized", "given up")),
        (404, ("client_error", "given up")),
        (413, ("rejected", "given up")),
        ("redirect", ("redirect", "again")),
    ],
)
def test_what_is_answered_decides_whether_it_is_tried_again(registry, make_client, alertmanager, status, outcome):
    reason, then = outcome
    alertmanager.status = status
    assert make_client(alertmanager.url).send(outs(1)) == Left(tuple(outs(1)) if then == "again" else ())
    assert failures(registry, alertmanager.url) == {reason: 1}


@pytest.mark.parametrize("status", [429, 503])
def test_one_that_asks_to_be_left_alone_says_for_how_long(make_client, alertmanager, status):
    alertmanager.status, alertmanager.retry_after = status, "30"
    assert make_client(alertmanager.url).send(outs(2)) == Left(tuple(outs(2)), not_before=30.0)


def test_one_that_does_not_answer_in_time_is_tried_again(registry, make_client, alertmanager):
    alertmanager.status = "hang"
    assert make_client(alertmanager.url, timeout="100ms").send(outs(2)) == Left(tuple(outs(2)))
    assert failures(registry, alertmanager.url) == {"timeout": 2}


def test_one_that_is_not_there_is_tried_again(registry, make_client, alertmanager):
    gone = FakeAlertmanager()
    gone.close()
    assert make_client(gone.url).send(outs(2)) == Left(tuple(outs(2)))
    assert failures(registry, gone.url) == {"refused": 2}


def test_one_that_dies_while_a_batch_is_halved_is_tried_again_with_what_is_left(make_client, alertmanager):
    def refuses(alert):
        if len(alertmanager.requests) == 2:
            alertmanager.status = 500
        return alert["labels"]["name"] == "n3"

    alertmanager.refuses = refuses
    left = make_client(alertmanager.url).send(outs(4))
    assert {alert.body["labels"]["name"] for alert in left.alerts} == {"n2", "n3"}


# -- the wire


def fired(policy=POLICY, **changes):
    of = subject()
    seen = anomalous(of, **changes)
    return step(step(Ledger(), seen, policy, NOW), seen, policy, NOW + 120)


def test_a_firing_alert_keeps_its_start_and_ends_in_the_future():
    (alert,) = fired().told()
    body = outgoing(alert, NOW + 200, NOW + 440).body
    assert body == {
        "labels": {
            "alertname": "LMWatchAnomaly",
            "watch": "w",
            "metric": "load",
            "kind": "spike",
            "severity": "warning",
            "instance": "a:1",
        },
        "annotations": {"summary": "Something is wrong.", "description": "Score 0.90 (screen 0.90)."},
        "startsAt": "2023-11-14T22:15:20.000Z",
        "endsAt": "2023-11-14T22:20:40.000Z",
    }


def test_a_resolved_alert_ends_when_it_was_resolved_however_late_it_is_repeated():
    (alert,) = retire(fired(), NOW + 300).told()
    body = outgoing(alert, NOW + 900, NOW + 1140).body
    assert (body["startsAt"], body["endsAt"]) == ("2023-11-14T22:15:20.000Z", "2023-11-14T22:18:20.000Z")


def test_after_the_clock_was_set_back_an_alert_still_ends_after_it_starts():
    (alert,) = fired().told()
    body = outgoing(alert, NOW - 5000, NOW - 4760).body
    assert body["startsAt"] < body["endsAt"]


def test_an_illegal_label_name_is_refused_here_already():
    (alert,) = fired().told()
    with pytest.raises(BadDataError, match="'a-b' is no label name"):
        outgoing(replace(alert, labels=(*alert.labels, ("a-b", "1"))), NOW, NOW)


def test_text_that_is_no_unicode_is_made_readable(make_client, alertmanager):
    (alert,) = fired().told()
    odd = replace(alert, labels=(*alert.labels, ("name", "x\udc80y")))
    make_client(alertmanager.url).send([outgoing(odd, NOW + 130, NOW + 400)])
    assert alertmanager.names() == {"x?y"}


# -- the queue


def test_everything_goes_out_in_batches_of_at_most_64(registry, make_delivery, alertmanager):
    delivery = make_delivery(alertmanager.url)
    delivery.put(outs(200))
    wait_until(lambda: alertmanager.names() == names(200), "all arrive")
    assert max(map(len, alertmanager.requests)) <= BATCH
    wait_until(lambda: count(registry, "lmwatch_alerts_sent_total", alertmanager.url) == 200, "all are counted")
    assert count(registry, "lmwatch_alert_queue_length", alertmanager.url) == 0


def test_what_failed_is_sent_when_the_alertmanager_is_back(registry, make_delivery, alertmanager):
    alertmanager.status = 500
    delivery = make_delivery(alertmanager.url)
    delivery.put(outs(70))
    wait_until(lambda: len(alertmanager.requests) >= 3, "it is tried again")
    alertmanager.status = 200
    wait_until(lambda: alertmanager.names() == names(70), "all arrive")
    assert count(registry, "lmwatch_alerts_dropped_total", alertmanager.url) == 0


def test_one_that_asks_to_be_left_alone_is(make_delivery, alertmanager, monkeypatch):
    rests = []
    delivery = make_delivery(alertmanager.url)
    monkeypatch.setattr(delivery, "_rest", rests.append)
    alertmanager.status, alertmanager.retry_after = 429, "30"
    delivery.put(outs(1))
    wait_until(lambda: rests, "it is left alone")
    alertmanager.status = 200
    wait_until(lambda: alertmanager.names() == names(1), "it arrives")
    assert set(rests) == {30.0}


def test_a_newer_version_takes_the_place_of_the_one_that_waits_or_failed(make_delivery, alertmanager):
    alertmanager.status = 500
    delivery = make_delivery(alertmanager.url)
    delivery.put([out(0, version="old"), out(1)])
    wait_until(lambda: alertmanager.requests, "it is tried")
    delivery.put([out(0, version="new")])
    alertmanager.status = 200
    wait_until(lambda: alertmanager.names() == names(2), "both arrive")
    versions = [
        alert["annotations"]["version"]
        for batch in alertmanager.requests
        for alert in batch
        if alert["labels"]["name"] == "n0"
    ]
    assert versions == sorted(versions, reverse=True)
    assert versions[-1] == "new"


def test_a_full_queue_drops_the_oldest_and_counts_them(registry, make_delivery, alertmanager):
    delivery = make_delivery(alertmanager.url, start=False, capacity=10)
    delivery.put(outs(25))
    assert count(registry, "lmwatch_alerts_dropped_total", alertmanager.url) == 15
    assert count(registry, "lmwatch_alert_queue_length", alertmanager.url) == 10
    delivery.start()
    stop(delivery, 10.0)
    assert alertmanager.names() == names(25) - names(15)


def test_the_end_waits_for_what_is_queued(make_delivery, alertmanager):
    delivery = make_delivery(alertmanager.url, start=False)
    delivery.put(outs(300))
    delivery.start()
    assert stop(delivery, 15.0) == ()
    assert alertmanager.names() == names(300)


def test_the_end_goes_on_trying_while_there_is_time(make_delivery, alertmanager):
    alertmanager.status = 500
    delivery = make_delivery(alertmanager.url)
    delivery.put(outs(3))
    wait_until(lambda: alertmanager.requests, "it is tried")
    delivery.drain(CLOCK.monotonic() + 15)
    alertmanager.status = 200
    end(delivery)
    assert alertmanager.names() == names(3)


@pytest.mark.parametrize("status", [500, "hang"])
def test_what_cannot_be_delivered_by_the_end_is_left(registry, make_delivery, alertmanager, status):
    alertmanager.status = status
    delivery = make_delivery(alertmanager.url)
    delivery.put(outs(100))
    wait_until(lambda: alertmanager.requests, "it is tried")
    left = stop(delivery, 0.05)
    assert {alert.body["labels"]["name"] for alert in left} == names(100)
    assert count(registry, "lmwatch_alert_queue_length", alertmanager.url) == 0
    assert not delivery._thread.is_alive()


def test_a_call_that_ends_after_the_end_changes_nothing_any_more(registry, make_delivery, make_client, monkeypatch):
    """As one that hangs in the resolver, which nothing can cancel."""
    delivery = make_delivery("http://127.0.0.1:9")
    called, released = threading.Event(), threading.Event()

    def hang(batch):
        called.set()
        released.wait(20)
        return Left(tuple(batch))

    monkeypatch.setattr(delivery._client, "send", hang)
    delivery.put(outs(2))
    assert called.wait(20)
    delivery.drain(0.0)
    delivery.wait()
    assert list(delivery.finish(0.0)) == outs(2)
    released.set()
    delivery._thread.join(20)
    assert count(registry, "lmwatch_alert_queue_length", "http://127.0.0.1:9") == 0


def test_a_batch_that_cannot_even_be_written_ends_nothing(registry, make_delivery, alertmanager, caplog):
    delivery = make_delivery(alertmanager.url)
    delivery.put([Outgoing((("name", "x"),), {"startsAt": object()})])
    wait_until(lambda: count(registry, "lmwatch_alerts_dropped_total", alertmanager.url) == 1, "it is given up")
    delivery.put(outs(1))
    wait_until(lambda: alertmanager.names() == names(1), "the next one arrives")
    assert "alerts were given up" in caplog.text


# -- several


def settings(*urls, **more):
    return [Alertmanager.model_validate({"url": url, **more}) for url in urls]


@pytest.fixture
def fleet(instruments, quick):
    fleet = Fleet(instruments, CLOCK)
    yield fleet
    fleet.stop(0.0)


def test_one_that_hangs_does_not_hold_up_the_other(make_alertmanager, fleet):
    dead, alive = make_alertmanager(), make_alertmanager()
    dead.status = "hang"
    fleet.follow(settings(dead.url, alive.url))
    for number in range(5):
        fleet.send([out(number)])
    wait_until(lambda: alive.names() == names(5), "the other gets all")


def test_an_unchanged_one_keeps_its_queue_over_a_change_of_the_list(registry, make_alertmanager, fleet):
    slow, other = make_alertmanager(), make_alertmanager()
    slow.status = 500
    fleet.follow(settings(slow.url))
    fleet.send(outs(5))
    wait_until(lambda: slow.requests, "it is tried")
    fleet.follow(settings(slow.url, other.url))
    slow.status = 200
    wait_until(lambda: slow.names() == names(5), "what waited arrives")
    assert count(registry, "lmwatch_alerts_dropped_total", slow.url) == 0
    assert registry.get_sample_value("lmwatch_alertmanagers_discovered") == 2
    assert not other.stored


def test_one_whose_settings_change_keeps_its_queue(registry, make_alertmanager, fleet):
    slow = make_alertmanager()
    slow.status = 500
    fleet.follow(settings(slow.url))
    fleet.send(outs(100))
    wait_until(lambda: slow.requests, "it is tried")
    fleet.follow(settings(slow.url, http_headers={"X-Scope-OrgID": "tenant"}, timeout="3s"))
    slow.status = 200
    wait_until(lambda: slow.names() == names(100), "what waited arrives")
    assert count(registry, "lmwatch_alerts_dropped_total", slow.url) == 0


def test_what_the_end_leaves_is_counted(registry, make_alertmanager, instruments, quick):
    dead = make_alertmanager()
    dead.status = "hang"
    fleet = Fleet(instruments, CLOCK)
    fleet.follow(settings(dead.url))
    fleet.send(outs(100))
    wait_until(lambda: dead.requests, "it is tried")
    fleet.stop(0.05)
    assert count(registry, "lmwatch_alerts_dropped_total", dead.url) == 100


def test_one_that_left_gets_nothing_more_and_takes_its_series_with_it(registry, make_alertmanager, fleet):
    stays, leaves = make_alertmanager(), make_alertmanager()
    fleet.follow(settings(stays.url, leaves.url))
    assert count(registry, "lmwatch_alerts_sent_total", leaves.url) == 0
    fleet.follow(settings(stays.url))
    fleet.send(outs(1))
    wait_until(lambda: stays.stored, "the other gets it")
    assert not leaves.requests
    assert count(registry, "lmwatch_alerts_sent_total", leaves.url) is None


def test_settings_that_changed_take_effect(make_alertmanager, fleet):
    there = make_alertmanager()
    fleet.follow(settings(there.url))
    fleet.follow(settings(there.url, http_headers={"X-Scope-OrgID": "tenant"}))
    fleet.send(outs(1))
    wait_until(lambda: there.stored, "it arrives")
    assert there.headers[-1]["X-Scope-OrgID"] == "tenant"
    assert there.headers[-1]["User-Agent"].startswith("lmwatch/")


def test_credentials_are_shown_to_the_alertmanager_and_nobody_else(tmp_path, make_alertmanager, fleet, caplog):
    (tmp_path / "password").write_text("hunter2\n")
    there = make_alertmanager()
    there.status = 401
    fleet.follow(settings(there.url, basic_auth={"username": "lmwatch", "password_file": str(tmp_path / "password")}))
    fleet.send(outs(1))
    wait_until(lambda: there.headers, "it is tried")
    assert there.headers[-1]["Authorization"] == "Basic bG13YXRjaDpodW50ZXIy"
    wait_until(lambda: "check basic_auth" in str([record.__dict__ for record in caplog.records]), "it is logged")
    assert "hunter2" not in str([record.__dict__ for record in caplog.records])


def test_files_list_alertmanagers_and_are_followed(registry, tmp_path, make_alertmanager, fleet, caplog):
    first, second = make_alertmanager(prefix="/am"), make_alertmanager(prefix="/am")
    listed = tmp_path / "am.yml"

    def write(*fakes):
        targets = [fake.url.removeprefix("http://").removesuffix("/am") for fake in fakes]
        listed.write_text(f"- targets: {targets}\n")

    write(first)
    files = {"file_sd": [{"files": [str(listed)]}], "path_prefix": "/am/"}
    fleet.follow([Alertmanager.model_validate(files)])
    fleet.send([out(0)])
    wait_until(lambda: first.names() == {"n0"}, "the listed one gets it")
    write(first, second)
    fleet.refresh()
    fleet.send([out(1)])
    wait_until(lambda: first.names() == {"n0", "n1"} and second.names() == {"n1"}, "both get it")
    listed.write_text("- targets: 5\n")
    fleet.refresh()
    assert set(fleet.urls) == {first.url, second.url}
    assert "targets must be a list" in str([record.__dict__ for record in caplog.records])
