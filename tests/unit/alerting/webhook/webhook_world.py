"""A world around the inbox: a clock that stands, a pool that keeps jobs, a watch."""

import json

import numpy as np
from fake_pool import Pool
from prometheus_client import CollectorRegistry

from exporter.alerting.inbox import Inbox
from exporter.alerting.window import Sights
from exporter.clock import ManualClock
from exporter.config.alerting import Webhook
from exporter.journal.store import Journal, Record
from exporter.lmstudio.wire import ChatRequest
from exporter.metrics.webhook import WebhookInstruments
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.document import to_document
from exporter.reasoning.memory import Memory
from exporter.screening.result import Evidence, ScreenedGroup, ScreenedSeries
from exporter.series.labels import Series, labels_of

START = 1_770_024_000.0
"""2026-02-02T09:20:00Z."""


def series(name="node_load1", instance="a:1", score=0.9) -> ScreenedSeries:
    return ScreenedSeries(
        series=Series(name, labels_of({"instance": instance})),
        description="",
        times=START - 15.0 * np.arange(60)[::-1],
        values=np.array([1.0] * 50 + [9.0] * 10),
        interval=15.0,
        score=score,
        kind="level_shift",
        expected_lower=0.7,
        expected_upper=1.3,
        evidence=(Evidence("rank", "now 9, 8 times the highest of the last 14 d", (9.0, 8.0, 14.0), score),),
    )


class FakeWatcher:
    """A watch with one group an instance."""

    def __init__(self, *instances) -> None:
        self.instances = instances

    def groups(self, wanted):
        keys = {instance: labels_of({"instance": instance}) for instance in self.instances}
        return tuple(
            ScreenedGroup("nodes", key, (series(instance=name),), 3, 1) for name, key in keys.items() if wanted(key)
        )


class ScriptedModel:
    """Answers well and remembers what it was asked."""

    def __init__(self, summary="The load jumped.", cause="A job started.") -> None:
        self.asked: list[ChatRequest] = []
        self.summary, self.cause = summary, cause

    def __call__(self, request: ChatRequest) -> str:
        self.asked.append(request)
        findings = {
            name: {
                "evidence": finding["properties"]["evidence"]["items"]["enum"][:1],
                "text": "It left its usual range.",
                "kind": "level_shift",
                "score": 9,
                "confidence": 9,
            }
            for name, finding in request.schema["properties"]["findings"]["properties"].items()
        }
        rest = {"summary": self.summary, "cause": self.cause, "next_steps": "Look at it.", "score": 8}
        return json.dumps({"findings": findings, **rest})


class World:
    """An inbox that is driven by hand: `step` does what its threads would."""

    def __init__(self, path=None, *, clock=None, watcher=None, sights=None, **settings) -> None:
        self.clock = clock or ManualClock(START)
        self.registry = CollectorRegistry()
        self.journal = Journal(path)
        self.pool = Pool()
        self.model = ScriptedModel()
        analyst = Analyst(lambda text, _model: len(text) // 4, lambda *_: None, Memory())
        self.inbox = Inbox(
            self.clock,
            self.journal,
            WebhookInstruments(self.registry),
            analyst,
            base_url="http://lmwatch:9917",
            on_verdict=self.keep,
        )
        self.sights = sights or Sights(watchers={"nodes": watcher or FakeWatcher("a:1", "b:1")})
        self.follow(**settings)

    def follow(self, **settings) -> None:
        self.inbox.follow(Webhook.model_validate({"enabled": True, **settings}), self.sights, self.pool)

    def keep(self, verdict) -> None:
        record = Record(verdict.id, verdict.watch, verdict.group, verdict.at, verdict.outcome, to_document(verdict))
        self.journal.put(record)

    def step(self) -> int:
        """Do what is due now; how much it was."""
        cases, letters = self.inbox.triage.due(), self.inbox.forwarder.due()
        for case in cases:
            self.inbox.triage.investigate(case)
        for letter in letters:
            self.inbox.forwarder.attempt(letter)
        return len(cases) + len(letters)

    def settle(self) -> None:
        while self.step():
            pass

    def count(self, name: str, **labels) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def counts(self, name: str) -> dict[tuple[str, ...], float]:
        """All that is not 0."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and sample.value
        }

    def close(self) -> None:
        self.inbox.stop(1.0)
        self.journal.close()
