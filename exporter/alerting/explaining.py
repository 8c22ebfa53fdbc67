"""Alerts that begin to fire without a model's evidence get the screen's."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from exporter.alerting.alert import Alert
from exporter.alerting.lifecycle import Ledger
from exporter.alerting.wording import evidence_words
from exporter.logs import fields
from exporter.screening.result import ScreenedGroup

logger = logging.getLogger(__name__)

Groups = Callable[[str], Sequence[ScreenedGroup]]
"""The groups of a watch with the evidence of their most anomalous series."""


def explained(watch: str, before: Ledger, after: Ledger, groups: Groups) -> Ledger:
    """The ledger with the screen's evidence for series that begin to fire without a model's."""
    silent = {
        subject
        for subject, alert in after.active.items()
        if alert.state == "firing" and subject.metric and not alert.words.evidence and _begins(before, alert)
    }
    if not silent:
        return after
    known = _evidence(watch, groups)
    active = {
        subject: replace(alert, words=replace(alert.words, evidence=known.get((subject.metric, subject.labels), ())))
        if subject in silent
        else alert
        for subject, alert in after.active.items()
    }
    return replace(after, active=active)


def _begins(before: Ledger, alert: Alert) -> bool:
    known = before.active.get(alert.subject)
    return known is None or known.starts_at != alert.starts_at


def _evidence(watch: str, groups: Groups) -> Mapping[tuple[str, object], tuple[str, ...]]:
    """What the screen says of the most anomalous series of a watch."""
    try:
        found = groups(watch)
    except Exception:
        # An alert without evidence is better than none.
        logger.exception("an alert goes out without evidence", extra=fields(watch=watch))
        return {}
    return {
        (one.series.name, one.series.labels): evidence_words(tuple(fact.text for fact in one.evidence))
        for group in found
        for one in group.series
    }
