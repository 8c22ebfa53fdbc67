"""From a notification to its receiver: stored, explained, sent on within its deadline, once."""

import json

import pytest
from alerting_fake import wait_until
from strict_receiver import annotations
from webhook_cases import FIRING, alert, payload
from webhook_world import START, FakeWatcher, ScriptedModel, World

from exporter.alerting import receiver as http_receiver
from exporter.clock import SystemClock
from exporter.errors import TransientError

EXPLAINED = {"lmwatch_summary": "The load jumped.", "lmwatch_cause": "A job started."}
LATE = "No explanation: the model has not answered yet."


def urls_of(taken) -> set[str]:
    return {each.pop("lmwatch_url", "") for each in annotations(taken)}


def test_a_notification_is_explained_and_sent_on(world: World, receiver):
    assert world.inbox.receive(payload(alert(), alert(instance="b:1"))).status == 200
    world.settle()
    assert receiver.taken == [], "it waits for the model"
    world.pool.run(world.model)
    world.settle()
    (taken,) = receiver.taken
    notes = annotations(taken)
    assert len(notes) == 3
    (stored,) = world.journal.notifications.list(10)
    assert notes == [{**EXPLAINED, "lmwatch_url": f"http://lmwatch:9917/verdicts/{stored.verdict}"}] * 3
    assert (stored.forward, stored.triage, stored.at) == ("done", "ok", START)
    record = world.journal.get(stored.verdict)
    assert (record.watch, record.group) == ("@alertmanager", (("alertname", "HighLoad"),))
    assert record.document["answers"] == "HighLoad (2 alerts)"
    assert record.document["findings"]
    assert world.counts("lmwatch_webhook_alerts_total") == {("firing", "new"): 2}
    assert world.counts("lmwatch_webhook_triage_total") == {("ok",): 1}
    assert world.counts("lmwatch_webhook_forwards_total") == {("explained",): 1}


def test_what_the_sender_wrote_arrives_as_it_was(world: World, receiver):
    body = payload(alert(extra=[1.50, {"z": 1, "a": 2}]), truncatedAlerts=3, notification_reason="x", score=1.0)
    world.inbox.receive(body)
    world.clock.advance(19)
    world.settle()
    before, after = json.loads(body), json.loads(receiver.bodies[0])
    for each in (*after["alerts"], {"annotations": after["commonAnnotations"]}):
        for name in ("lmwatch_summary", "lmwatch_cause", "lmwatch_url"):
            each["annotations"].pop(name, None)
    assert after == before
    assert list(after) == list(before)


def test_without_an_answer_it_goes_out_within_the_deadline(world: World, receiver):
    world.inbox.receive(payload(alert()))
    world.settle()
    world.clock.advance(18.9)
    world.settle()
    assert receiver.taken == []
    assert world.inbox.forwarder.wait() == pytest.approx(0.1)
    world.clock.advance(0.2)
    world.settle()
    (taken,) = receiver.taken
    assert {each["lmwatch_summary"] for each in annotations(taken)} == {LATE}
    (url,) = urls_of(taken)
    assert world.counts("lmwatch_webhook_forwards_total") == {("unexplained",): 1}

    world.clock.advance(30)
    world.pool.run(world.model)
    world.settle()
    assert len(receiver.taken) == 1, "a late verdict is shown, not sent again"
    (stored,) = world.journal.notifications.list(10)
    assert url == f"http://lmwatch:9917/verdicts/{stored.verdict}"
    assert world.journal.get(stored.verdict).document["summary"] == "The load jumped."


def test_where_no_model_can_be_asked_nothing_waits(world: World, receiver):
    world.pool.is_usable = False
    world.inbox.receive(payload(alert()))
    world.settle()
    assert annotations(receiver.taken[0]) == [{"lmwatch_summary": "No explanation: no model could be asked."}] * 2
    assert world.counts("lmwatch_webhook_triage_total") == {("skipped_busy",): 1}


def test_a_question_that_nobody_took_in_time_is_given_up(world: World, receiver):
    world.inbox.receive(payload(alert()))
    world.settle()
    world.pool.expire()
    world.settle()
    assert "no model could be asked" in receiver.taken[0]["commonAnnotations"]["lmwatch_summary"]


def test_alerts_of_which_no_series_is_known_go_on_at_once(world: World, receiver):
    world.inbox.receive(payload(alert(instance="elsewhere:1")))
    world.settle()
    assert "knows no series" in receiver.taken[0]["commonAnnotations"]["lmwatch_summary"]
    assert world.counts("lmwatch_webhook_triage_total") == {("no_data",): 1}


def given_up(world):
    world.pool.expire()


def failing(world):
    def fail(_):
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError):
        world.pool.run(fail)


@pytest.mark.parametrize("ends", [given_up, failing])
def test_a_page_that_was_named_before_the_answer_is_there_also_where_none_comes(world: World, receiver, ends):
    world.inbox.receive(payload(alert()))
    world.settle()
    world.clock.advance(20.0)
    world.settle()
    (note, *_) = annotations(receiver.taken[0])
    assert note["lmwatch_summary"] == "No explanation: the model has not answered yet."
    ends(world)
    kept = world.journal.get(note["lmwatch_url"].rpartition("/verdicts/")[2])
    assert (kept.outcome, kept.document["answers"]) == ("llm_error", "HighLoad (1 alert)")
    assert world.journal.notifications.list(1)[0].verdict is None


def test_an_unreadable_answer_is_said_so(world: World, receiver):
    world.inbox.receive(payload(alert()))
    world.settle()
    world.pool.run(lambda _: "I cannot say.")
    world.settle()
    (note,) = {each["lmwatch_summary"] for each in annotations(receiver.taken[0])}
    assert note == "No explanation: the model gave no usable answer."
    assert world.counts("lmwatch_webhook_triage_total") == {("invalid",): 1}


def test_the_same_again_is_answered_and_goes_no_further(world: World, receiver):
    for _ in range(3):
        answered = world.inbox.receive(payload(alert()))
        assert (answered.status, answered.text) == (200, "stored")
    world.settle()
    world.pool.run(world.model)
    world.settle()
    assert world.inbox.receive(payload(alert())).status == 200
    world.settle()
    assert (len(receiver.taken), len(world.model.asked)) == (1, 1)
    assert world.counts("lmwatch_webhook_notifications_total") == {("accepted",): 1, ("repeat",): 3}
    assert world.counts("lmwatch_webhook_alerts_total") == {("firing", "new"): 1, ("firing", "repeat"): 3}


def test_what_is_new_in_a_group_takes_the_known_along(world: World, receiver):
    world.inbox.receive(payload(alert()))
    world.clock.advance(19.5)
    world.settle()
    world.inbox.receive(payload(alert(), alert(instance="b:1")))
    world.clock.advance(19.5)
    world.settle()
    assert [len(taken["alerts"]) for taken in receiver.taken] == [1, 2]
    assert world.counts("lmwatch_webhook_alerts_total") == {("firing", "new"): 2, ("firing", "repeat"): 1}


def test_an_alert_that_fires_again_after_it_was_resolved_is_new(world: World, receiver):
    for status in ("firing", "resolved", "firing"):
        world.inbox.receive(payload(alert(status=status)))
        world.clock.advance(19.5)
        world.settle()
    assert [taken["status"] for taken in receiver.taken] == ["firing", "resolved", "firing"]


def test_a_reminder_is_sent_on_with_what_was_said_before_and_no_model_is_asked(world: World, receiver):
    world.inbox.receive(payload(alert(starts="2026-02-02T09:14:08Z")))
    world.settle()
    world.pool.run(world.model)
    world.settle()
    world.clock.advance(901)
    world.inbox.receive(payload(alert(starts="2026-02-02T09:14:08Z")))
    world.settle()
    assert len(receiver.taken) == 2
    assert annotations(receiver.taken[1]) == annotations(receiver.taken[0])
    assert len(world.model.asked) == 1
    assert world.counts("lmwatch_webhook_alerts_total") == {("firing", "new"): 1, ("firing", "reminder"): 1}


def test_a_resolved_notification_carries_the_verdict_of_its_episode_at_once(world: World, receiver):
    world.inbox.receive(payload(alert()))
    world.settle()
    world.pool.run(world.model)
    world.settle()
    world.inbox.receive(payload(alert(status="resolved")))
    world.settle()
    assert annotations(receiver.taken[1]) == annotations(receiver.taken[0])
    assert len(world.model.asked) == 1


def test_a_resolved_notification_does_not_carry_the_verdict_of_another_episode(world: World, receiver):
    world.inbox.receive(payload(alert()))
    world.settle()
    world.pool.run(world.model)
    world.settle()
    world.clock.advance(86_400)
    world.inbox.receive(payload(alert(status="resolved", starts="2026-02-03T09:00:00Z")))
    world.settle()
    assert annotations(receiver.taken[1]) == [{}, {}]


def test_those_of_a_group_go_out_in_their_order(world: World, receiver):
    world.inbox.receive(payload(alert()))
    world.settle()
    world.inbox.receive(payload(alert(status="resolved")))
    world.settle()
    assert receiver.taken == [], "the first one still waits for the model"
    world.pool.run(world.model)
    world.settle()
    assert [taken["status"] for taken in receiver.taken] == ["firing", "resolved"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 0])
def test_a_receiver_that_fails_is_tried_again_with_the_same(world: World, receiver, status: int):
    receiver.answers = [status] * 3
    world.inbox.receive(payload(alert()))
    world.clock.advance(19)
    world.settle()
    waits = []
    while not receiver.taken:
        waits.append(world.inbox.forwarder.wait())
        world.clock.advance(waits[-1])
        world.pool.run(world.model)  # what is known by now must not change what was settled on
        world.settle()
    assert waits == pytest.approx([1.0, 2.0, 4.0])
    assert len(set(receiver.bodies)) == 1
    assert len({headers["idempotency-key"] for headers in receiver.headers}) == 1
    (reason,) = world.counts("lmwatch_webhook_forward_failures_total")
    assert reason == ({0: "reset", 429: "rate_limited"}.get(status, "server_error"),)
    world.clock.advance(3600)
    world.settle()
    assert len(receiver.bodies) == 4


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_receiver_that_refuses_is_not_asked_again(world: World, receiver, status: int, caplog):
    receiver.answers = [status]
    world.inbox.receive(payload(alert()))
    world.clock.advance(3600)
    world.settle()
    assert len(receiver.bodies) == 1
    assert world.counts("lmwatch_webhook_forward_failures_total") == {("client_error",): 1}
    assert world.counts("lmwatch_webhook_forwards_total") == {("refused",): 1}
    assert [stored.forward for stored in world.journal.notifications.list(1)] == ["refused"]
    told = str([vars(record) for record in caplog.records])
    assert f"answered {status}" in told
    assert "secret" not in told


def test_a_receiver_that_asks_to_be_left_alone_is(world: World, receiver):
    receiver.answers, receiver.retry_after = [429], "45"
    world.inbox.receive(payload(alert(), group="A"))
    world.clock.advance(19)
    world.settle()
    world.inbox.receive(payload(alert(status="resolved"), group="B"))
    world.settle()
    assert len(receiver.bodies) == 1, "also other groups wait"
    assert world.inbox.forwarder.wait() == pytest.approx(45.0)
    world.clock.advance(45)
    world.settle()
    assert len(receiver.taken) == 2


def test_another_receiver_does_not_wait_for_the_one_before(world: World, receiver):
    receiver.answers, receiver.retry_after = [503], "45"
    world.inbox.receive(payload(alert(status="resolved")))
    world.settle()
    world.follow(forward_to=receiver.url.replace("hook", "other"))
    world.clock.advance(1)
    world.settle()
    assert len(receiver.taken) == 1


def test_while_the_journal_fails_the_attempts_become_rarer(world: World, receiver, monkeypatch):
    def fail(_):
        raise TransientError("locked")

    waits = []
    with monkeypatch.context() as patch:
        patch.setattr(world.journal.notifications, "payload", fail)
        world.inbox.receive(payload(alert(status="resolved")))
        for _ in range(4):
            world.settle()
            waits.append(world.inbox.forwarder.wait())
            world.clock.advance(waits[-1])
    world.settle()
    assert waits == pytest.approx([1.0, 2.0, 4.0, 8.0])
    assert len(receiver.taken) == 1


def test_a_newer_one_of_the_same_alerts_takes_the_place_of_one_that_fails(world: World, receiver):
    receiver.answers = [500]
    world.inbox.receive(payload(alert()))
    world.inbox.receive(payload(alert(status="resolved")))
    world.clock.advance(19)
    world.settle()
    assert [taken["status"] for taken in receiver.taken] == ["resolved"]
    assert world.counts("lmwatch_webhook_forwards_total") == {("superseded",): 1, ("unexplained",): 1}
    world.clock.advance(3600)
    world.settle()
    assert len(receiver.bodies) == 2


def test_a_newer_one_of_other_alerts_waits_its_turn(world: World, receiver):
    receiver.answers = [500]
    world.inbox.receive(payload(alert()))
    world.inbox.receive(payload(alert(instance="b:1")))
    world.clock.advance(19)
    world.settle()
    assert receiver.taken == []
    world.clock.advance(1)
    world.settle()
    assert [taken["alerts"][0]["labels"]["instance"] for taken in receiver.taken] == ["a:1", "b:1"]


def test_groups_do_not_wait_for_each_other(world: World, receiver):
    receiver.answers = [500]
    world.inbox.receive(payload(alert(), group="A"))
    world.inbox.receive(payload(alert(), group="B"))
    world.clock.advance(19)
    world.settle()
    assert [taken["groupLabels"]["alertname"] for taken in receiver.taken] == ["B"]


def test_a_full_queue_asks_for_another_try(make_world, receiver):
    world = make_world(forward_to=receiver.url, queue_limit=2)
    answered = [world.inbox.receive(payload(alert(), group=group)).status for group in "ABC"]
    assert answered == [200, 200, 503]
    assert world.counts("lmwatch_webhook_alerts_total") == {("firing", "new"): 2, ("firing", "queue_full"): 1}
    assert (world.count("lmwatch_webhook_queue_capacity"), len(world.inbox.forwarder)) == (2, 2)
    world.clock.advance(19)
    world.settle()
    assert world.inbox.receive(payload(alert(), group="C")).status == 200


def test_what_cannot_be_stored_is_not_acknowledged(world: World, receiver, monkeypatch):
    def fail(**_):
        raise TransientError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(world.journal.notifications, "take", fail)
        assert world.inbox.receive(payload(alert())).status == 503
    assert world.counts("lmwatch_webhook_notifications_total") == {("not_stored",): 1}
    assert world.inbox.receive(payload(alert())).status == 200


def test_nonsense_is_refused_and_counted(world: World):
    answered = world.inbox.receive(b"[{}]")
    assert (answered.status, answered.text) == (400, "the body is a list, not Alertmanager's webhook payload")
    assert world.counts("lmwatch_webhook_notifications_total") == {("malformed",): 1}
    assert world.journal.notifications.list(10) == []


def test_before_a_configuration_says_what_to_do_senders_are_asked_for_another_try(make_world, receiver, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(World, "follow", lambda *_, **__: None)
        world = make_world()
    assert world.inbox.receive(payload(alert())).status == 503
    world.follow(forward_to=receiver.url)
    assert world.inbox.receive(payload(alert())).status == 200


def test_what_was_stored_before_goes_first_even_where_it_cannot_be_read_at_once(
    tmp_path, make_world, receiver, monkeypatch
):
    def fail():
        raise TransientError("locked")

    first = World(tmp_path / "j.db", forward_to=receiver.url)
    first.inbox.receive(payload(alert()))
    first.journal.close()
    second = make_world(tmp_path / "j.db", enabled=False)
    with monkeypatch.context() as patch:
        patch.setattr(second.journal.notifications, "pending", fail)
        second.follow(forward_to=receiver.url)
        assert second.inbox.receive(payload(alert(status="resolved"))).status == 503
    assert second.inbox.receive(payload(alert(status="resolved"))).status == 200
    second.settle()
    assert [taken["status"] for taken in receiver.taken] == ["firing", "resolved"]


def test_a_webhook_that_is_off_takes_nothing(make_world):
    world = make_world(enabled=False)
    assert world.inbox.receive(payload(alert())).status == 404


def test_an_unknown_version_is_taken_and_said_once(world: World, caplog):
    for group in "AB":
        assert world.inbox.receive(payload(alert(), group=group, version="5")).status == 200
    assert caplog.text.count("unknown version") == 1


def test_without_a_receiver_alerts_are_explained_all_the_same(make_world):
    world = make_world()
    world.inbox.receive(payload(alert()))
    world.settle()
    world.pool.run(world.model)
    world.settle()
    (stored,) = world.journal.notifications.list(1)
    assert (stored.forward, stored.triage) == ("none", "ok")
    assert world.inbox.forwarder.wait() is None
    assert len(world.inbox.forwarder) == 0


def test_what_was_stored_and_not_sent_goes_out_after_a_restart(tmp_path, make_world, receiver):
    """As after kill -9: the first world ends without a word, the second one opens the same journal."""
    first = World(tmp_path / "j.db", forward_to=receiver.url)
    first.inbox.receive(payload(alert(), group="A"))
    first.inbox.receive(payload(alert(status="resolved"), group="B"))
    first.journal.close()

    second = make_world(tmp_path / "j.db", forward_to=receiver.url)
    second.settle()
    assert [taken["groupLabels"]["alertname"] for taken in receiver.taken] == ["A", "B"]
    assert "lmwatch was restarted" in receiver.taken[0]["commonAnnotations"]["lmwatch_summary"]
    assert second.inbox.receive(payload(alert(), group="A")).status == 200
    second.settle()
    assert len(receiver.taken) == 2, "known before, known after"


def test_what_was_tried_before_a_restart_goes_out_the_same(tmp_path, make_world, receiver):
    receiver.answers = [500]
    first = World(tmp_path / "j.db", forward_to=receiver.url)
    first.inbox.receive(payload(alert()))
    first.clock.advance(19)
    first.settle()
    first.pool.run(first.model)
    first.journal.close()

    second = make_world(tmp_path / "j.db", forward_to=receiver.url)
    second.settle()
    assert len(receiver.bodies) == 2
    assert receiver.bodies[0] == receiver.bodies[1]
    assert receiver.headers[0]["idempotency-key"] == receiver.headers[1]["idempotency-key"]


def test_after_a_restart_only_one_of_the_same_alerts_takes_the_place_of_one_that_fails(tmp_path, make_world, receiver):
    first = World(tmp_path / "j.db", forward_to=receiver.url)
    first.inbox.receive(payload(alert(status="resolved")))
    first.inbox.receive(payload(alert(instance="b:1")))
    first.journal.close()

    receiver.answers = [500]
    second = make_world(tmp_path / "j.db", forward_to=receiver.url)
    second.settle()
    second.clock.advance(1)
    second.settle()
    assert [taken["alerts"][0]["labels"]["instance"] for taken in receiver.taken] == ["a:1", "b:1"]


def test_a_reminder_that_was_not_sent_carries_what_was_said_before_the_restart(tmp_path, make_world, receiver):
    first = World(tmp_path / "j.db", forward_to=receiver.url)
    first.inbox.receive(payload(alert(starts="2026-02-02T09:14:08Z")))
    first.settle()
    first.pool.run(first.model)
    first.settle()
    first.clock.advance(901)
    first.inbox.receive(payload(alert(starts="2026-02-02T09:14:08Z")))
    first.journal.close()

    second = make_world(tmp_path / "j.db", forward_to=receiver.url, clock=first.clock)
    second.settle()
    assert annotations(receiver.taken[1]) == annotations(receiver.taken[0])


def test_what_was_sent_is_not_sent_again_after_a_restart(tmp_path, make_world, receiver):
    first = World(tmp_path / "j.db", forward_to=receiver.url)
    first.inbox.receive(payload(alert()))
    first.clock.advance(19)
    first.settle()
    first.journal.close()
    second = make_world(tmp_path / "j.db", forward_to=receiver.url)
    second.settle()
    assert len(receiver.bodies) == 1


def test_another_configuration_takes_over_what_waits(make_world, receiver):
    world = make_world(forward_to="http://127.0.0.1:9/nobody")
    world.inbox.receive(payload(alert()))
    world.follow(forward_to=receiver.url, deadline="5s")
    world.clock.advance(19)
    world.settle()
    assert len(receiver.taken) == 1


def test_the_receivers_credentials_are_shown(tmp_path, make_world, receiver):
    (tmp_path / "token").write_text("abc\n")
    authorization = {"authorization": {"credentials_file": str(tmp_path / "token")}}
    world = make_world(forward_to=receiver.url, forward_http_config=authorization)
    world.inbox.receive(FIRING)
    world.clock.advance(19)
    world.settle()
    assert receiver.headers[0]["authorization"] == "Bearer abc"


def test_groups_that_wait_are_asked_about_once_with_the_newest(make_world, receiver):
    world = make_world(forward_to=receiver.url, calls_per_minute=1)
    world.inbox.receive(payload(alert("Other", "b:1"), group="Other"))
    world.settle()
    world.inbox.receive(payload(alert()))
    world.inbox.receive(payload(alert(), alert(instance="b:1")))
    world.clock.advance(61)
    world.settle()
    world.pool.run(world.model)
    assert len(world.model.asked) == 2
    assert "b:1" in world.model.asked[1].messages[-1].content.split("<data>")[0]
    newest, older = world.journal.notifications.list(2)
    assert newest.verdict == older.verdict
    assert world.counts("lmwatch_webhook_triage_total") == {("ok",): 2, ("coalesced",): 1}


def test_critical_alerts_are_looked_at_first(make_world, receiver):
    world = make_world(forward_to=receiver.url, calls_per_minute=1)
    for severity in ("info", "warning", "critical"):
        world.inbox.receive(payload(alert(severity, severity=severity), group=severity))
    for _ in range(3):
        world.settle()
        world.pool.run(world.model)
        world.clock.advance(61)
    names = [asked.messages[-1].content.partition("these fire: ")[2].split()[0] for asked in world.model.asked]
    assert names == ["critical", "warning", "info"]


def test_a_group_that_becomes_critical_while_it_waits_overtakes_the_others(make_world, receiver):
    world = make_world(forward_to=receiver.url, calls_per_minute=1)
    world.inbox.receive(payload(alert("first"), group="first"))
    world.settle()
    for name in ("early", "late"):
        world.inbox.receive(payload(alert(name, severity="warning"), group=name))
        world.clock.advance(1)
    world.inbox.receive(payload(alert("late", severity="critical", instance="b:1"), group="late"))
    world.clock.advance(61)
    world.settle()
    world.pool.run(world.model)
    assert "these fire: late" in world.model.asked[-1].messages[-1].content


def test_with_no_calls_allowed_no_model_is_asked(make_world, receiver):
    world = make_world(forward_to=receiver.url, calls_per_minute=0)
    world.inbox.receive(payload(alert()))
    world.settle()
    assert world.counts("lmwatch_webhook_triage_total") == {("skipped_budget",): 1}
    assert len(receiver.taken) == 1


def test_a_storm_loses_nothing_and_keeps_to_the_budget(make_world, receiver):
    """2,000 alerts in 200 groups, each group told of twice, over 10 minutes; the model takes 15 s an answer."""
    watcher = FakeWatcher(*(f"host{number}:1" for number in range(200)))
    world = make_world(forward_to=receiver.url, calls_per_minute=6, watcher=watcher)
    for number in range(200):
        severity = "critical" if number % 20 == 0 else "warning"
        alerts = [alert(f"A{each}", f"host{number}:1", severity=severity) for each in range(10)]
        for _ in range(2):
            assert world.inbox.receive(payload(*alerts, group=f"G{number}")).status == 200
    asked_at: list[float] = []
    most_waiting = 0
    for second in range(600):
        world.settle()
        most_waiting = max(most_waiting, len(world.inbox.triage) + len(world.inbox.forwarder))
        if second % 15 == 0:
            before = len(world.model.asked)
            world.pool.run(world.model)
            asked_at += [float(second)] * (len(world.model.asked) - before)
        if second == 20:
            assert len(receiver.taken) == 200, "all are out within the deadline"
        world.clock.advance(1)
    fingerprints = [(t["groupKey"], a["fingerprint"]) for t in receiver.taken for a in t["alerts"]]
    assert len(fingerprints) == len(set(fingerprints)) == 2000
    assert most_waiting <= 400
    assert len(world.inbox.triage) == len(world.inbox.forwarder) == 0
    assert 24 <= len(asked_at) <= 36, "6 a minute, for the 5 minutes that they are worth it"
    first = [asked.messages[-1].content.partition("these fire: ")[2][:200] for asked in world.model.asked[:10]]
    assert all("critical" in text for text in first)
    outcomes = world.counts("lmwatch_webhook_triage_total")
    assert outcomes["ok",] + outcomes["skipped_budget",] == 200
    assert world.counts("lmwatch_webhook_alerts_total") == {("firing", "new"): 2000, ("firing", "repeat"): 2000}


def test_a_question_that_is_asked_twice_counts_twice(make_world, receiver):
    world = make_world(forward_to=receiver.url, calls_per_minute=2)
    answers = iter(["nonsense", None])
    good = ScriptedModel()
    world.inbox.receive(payload(alert(), group="A"))
    world.settle()
    world.pool.run(lambda request: next(answers) or good(request))
    world.inbox.receive(payload(alert(), group="B"))
    world.settle()
    assert world.pool.jobs == []
    world.clock.advance(61)
    world.settle()
    assert len(world.pool.jobs) == 1


def test_a_receiver_that_never_answers_is_tried_again_and_holds_up_no_other_group(make_world, receiver, monkeypatch):
    monkeypatch.setattr(http_receiver, "_SECONDS", 1.0)
    receiver.answers = [-1]
    world = make_world(forward_to=receiver.url, clock=SystemClock())
    world.inbox.start()
    world.inbox.receive(payload(alert(status="resolved"), group="A"))
    wait_until(lambda: receiver.bodies, "it is tried")
    world.inbox.receive(payload(alert(status="resolved"), group="B"))
    wait_until(lambda: len(receiver.taken) == 2, "both are taken")
    assert [taken["groupLabels"]["alertname"] for taken in receiver.taken] == ["B", "A"]
    assert world.counts("lmwatch_webhook_forward_failures_total") == {("timeout",): 1}


def test_the_threads_do_the_same(make_world, receiver):
    """The whole of it with its threads and the machine's clock: explained, drained at the end."""
    world = make_world(forward_to=receiver.url, clock=SystemClock())
    world.inbox.start()
    world.inbox.receive(payload(alert(), group="A"))
    wait_until(lambda: world.pool.jobs, "it is put to the model")
    world.pool.run(world.model)
    wait_until(lambda: receiver.taken, "it is sent on")
    world.inbox.receive(payload(alert(), group="B"))
    world.inbox.stop(4.0)
    assert [taken["groupLabels"]["alertname"] for taken in receiver.taken] == ["A", "B"]
    assert world.counts("lmwatch_webhook_forwards_total") == {("explained",): 1, ("unexplained",): 1}
