"""A made-up lmwatch with much to show: every state, 2,000 series in one watch, 10,000 verdicts, hostile texts everywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hostile_texts import HOSTILE, LINK, PLAIN
from web_fakes import DB1, NOW, curve, make_board, make_groups, make_verdicts, prediction, screened, table, verdict

from exporter.alerting.alert import Alert, Subject, Words, identity
from exporter.board import Board, WatchPicture
from exporter.journal.notifications import AlertState
from exporter.journal.store import Event, Journal, Record
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.metrics.rendering import WatchRenderer
from exporter.reasoning.document import to_document
from exporter.reasoning.verdict import Fact, Finding, Outcome, Verdict
from exporter.screening.result import ScreenedGroup
from exporter.series.labels import Series, labels_of
from exporter.sources.collected import Collected

VERDICTS = 10_000
HOSTS, METRICS = 40, 50
CHARTED = 6
"""Series of each host that come with their history."""
FOREIGN = "foreign-words"
"""The watch whose labels and verdicts are hostile."""
_NAN = float("nan")
_OUTCOMES: tuple[Outcome, ...] = ("ok", "ok", "ok", "ungrounded", "invalid", "timeout", "llm_error")


def foreign_series(text: str) -> Series:
    """A series that carries this text in a label."""
    return Series("queue_length", labels_of({"queue": text, "job": "shop"}), help=text)


def foreign_verdict(name: str, text: str, at: float) -> Verdict:
    """A verdict that says this text wherever a model, or a label, can say something."""
    series = foreign_series(text)
    return verdict(
        f"foreign-{name}",
        FOREIGN,
        labels_of({"queue": text}),
        at,
        outcome="ungrounded",
        model=text,
        group_score=0.7,
        summary=f"Summary: {text}",
        cause=f"Cause: {text}",
        next_steps=f"Look: {text}",
        findings=(Finding(series, 0.8, 0.7, 0.6, "spike", ("E1", text), f"Finding: {text}", False),),
        problems=(f"Problem: {text}",),
        facts=(Fact("E1", "s1", f"Fact: {text}"),),
        prompt=f"Prompt: {text}",
        answer=f"Answer: {text}",
    )


def foreign_verdicts() -> list[Verdict]:
    """One for each hostile text, and ordinary ones to compare them with."""
    texts = {"plain": PLAIN, "plain-long": "word " * 2_000, **HOSTILE}
    return [foreign_verdict(name, text, NOW - 200 - place) for place, (name, text) in enumerate(texts.items())]


def fleet_series() -> list[Series]:
    """2,000 series: 50 of each of 40 hosts."""
    return [
        Series(
            "node_cpu_seconds_total",
            labels_of({"cpu": str(number), "instance": f"host{host:02d}.example.org:9100", "mode": "user"}),
            unit="seconds/s",
        )
        for host in range(HOSTS)
        for number in range(METRICS)
    ]


def busy_groups() -> dict[str, list[ScreenedGroup]]:
    """The groups of every watch, with histories."""
    series = fleet_series()
    fleet = []
    for host in range(HOSTS):
        score = 0.95 - host / HOSTS
        shown = [
            screened(one, curve(place, 0.4, 0.05, score), score, (0.3, 0.55), "the level moved from 0.42 to 0.97")
            for place, one in enumerate(series[host * METRICS : host * METRICS + CHARTED])
        ]
        key = labels_of({"instance": dict(series[host * METRICS].labels)["instance"]})
        fleet.append(ScreenedGroup("fleet", key, tuple(shown), METRICS, CHARTED if score > 0.5 else 0))
    foreign = [
        ScreenedGroup(
            FOREIGN,
            labels_of({"queue": text}),
            (screened(foreign_series(text), curve(9, 4.0, 1.0, 9.0), 0.7, (2.0, 7.0), f"Fact: {text}"),),
            1,
            1,
        )
        for text in HOSTILE.values()
    ]
    return {**make_groups(), "fleet": fleet, FOREIGN: foreign}


def busy_board() -> Board:
    """The present: watches in all states, servers up, down and of other makes, targets in trouble."""
    board = make_board()
    series = fleet_series()
    scores = np.repeat(0.95 - np.arange(HOSTS) / HOSTS, METRICS) * np.tile(np.linspace(1, 0.3, METRICS), HOSTS)
    fleet = table("fleet", series, scores.tolist(), [_NAN] * len(series), [""] * len(series))
    texts = list(HOSTILE.values())
    foreign = table(
        "foreign",
        [foreign_series(text) for text in texts],
        [0.7] * len(texts),
        [0.7] * len(texts),
        ["spike"] * len(texts),
    )
    host = labels_of({"instance": "host00.example.org:9100"})
    said = verdict(
        "fleet-0", "fleet", host, NOW - 300, group_score=0.9, summary="All cores of host00 are busy at once."
    )
    pictures = [
        WatchPicture("fleet", "ok", "", NOW - 20, (fleet,), {host: said}, {host: 0.9}, group_by=("instance",)),
        WatchPicture("backups", "stale", "the newest value is 940 s old", NOW - 900),
        WatchPicture("tsdb-lag", "failed", f"http://tsdb:9090: 503 {HOSTILE['markup']}", NOW - 15),
        WatchPicture(
            FOREIGN,
            "ok",
            "",
            NOW - 5,
            (foreign,),
            {one.group: one for one in foreign_verdicts()[2:]},
            group_by=("queue",),
        ),
    ]
    odd = [
        Model(text[:200], LINK, "llm", True, text[:200], text[:200], text[:200], "gguf", 10, 4096, status="loading")
        for text in texts
    ]
    servers = [
        ServerHealth(
            "lab", "http://lab:8080", True, "openai", "", (Model("qwen3", "qwen3", "unknown", None),), 0.1, NOW - 3
        ),
        ServerHealth("foreign", "http://foreign:1234", True, "v1", HOSTILE["markup"], tuple(odd), 0.1, NOW - 3),
        ServerHealth("gone", "http://gone:1234", False, None, "", (), 2.0, NOW - 3, "malformed", HOSTILE["markup"]),
    ]
    source = Collected("nodes", "db4:9100", False, 1.0, 0, NOW - 3, HOSTILE["markup"], (HOSTILE["endless"],))
    renderer = WatchRenderer()
    return replace(
        board,
        servers={**board.servers, **{server.server: server for server in servers}},
        sources={**board.sources, (source.source, source.target): source},
        watches={**board.watches, **{picture.name: picture for picture in pictures}},
        rendered={**board.rendered, **{picture.name: renderer.render(picture) for picture in pictures}},
    )


def busy_alerts() -> list[Alert]:
    """One pending, one firing, one about a hostile label."""
    about = [
        ("node-health", DB1, "pending"),
        ("fleet", (), "firing"),
        (FOREIGN, labels_of({"queue": HOSTILE["markup"]}), "firing"),
    ]
    return [
        Alert(
            Subject(watch, "node_load1", labels),
            state,
            "warning",
            "spike",
            identity(Subject(watch, "node_load1", labels), "warning", "spike", {}),
            0.8,
            Words(f"node_load1 in {watch}", "", (), "score 0.80", ""),
            NOW - 500,
            NOW - 300 if state == "firing" else None,
        )
        for watch, labels, state in about
    ]


def many_verdicts(count: int) -> list[Verdict]:
    """Ordinary verdicts, one a minute back from an hour ago."""
    hosts = [labels_of({"instance": f"host{host:02d}.example.org:9100"}) for host in range(HOSTS)]
    made = []
    for number in range(count):
        outcome = _OUTCOMES[number % len(_OUTCOMES)]
        readable = outcome in ("ok", "ungrounded")
        made.append(
            verdict(
                f"old-{number:05d}",
                "fleet" if number % 3 else "node-health",
                hosts[number % HOSTS],
                NOW - 3600 - 60 * number,
                outcome=outcome,
                group_score=(number % 10) / 10 if readable else None,
                summary=f"Number {number}: user time of a few cores rose, the others did not." if readable else "",
                problems=() if outcome == "ok" else ("finding 1: the number 0.91 does not occur in the snapshot",),
                predictions=(prediction(),) if readable else (),
            )
        )
    return made


def fill_journal(path: Path, verdicts: int = VERDICTS) -> None:
    """Make the file of a journal with so many ordinary verdicts, the hostile ones, events and notifications."""
    journal = Journal(path)
    # Else each of 10,000 records would wait for the disk.
    journal._database._connection.execute("PRAGMA synchronous = OFF")
    explained = verdict(
        "triage-1", "", (), NOW - 400, answers="HighLatency on checkout", summary="The database is slow."
    )
    for one in (*many_verdicts(verdicts), *make_verdicts(), *foreign_verdicts(), explained):
        journal.put(Record(one.id, one.watch, one.group, one.at, one.outcome, to_document(one)))
    for place, kind in enumerate(("loaded", "unloaded", "down", "up", "restarted")):
        journal.put_event(
            Event("desk", kind, NOW - 60 * place - 60, {"model": "qwen3-8b", "detail": f"qwen3-8b: {kind}"})
        )
    journal.put_event(
        Event("foreign", "loaded", NOW - 50, {"model": HOSTILE["markup"], "detail": HOSTILE["right-to-left"]})
    )
    for key in ('{}:{alertname="HighLatency"}', *HOSTILE.values()):
        alerts = [AlertState("f", "firing", "2026-02-02T02:00:00Z")]
        journal.notifications.take(
            group_key=key, status="firing", at=NOW - 450, payload="{}", alerts=alerts, repeat_after=60.0, pending=False
        )
    journal.notifications.explained(1, "explained", "triage-1")
    journal.close()
