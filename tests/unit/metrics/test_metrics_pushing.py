"""What is counted of pushed alerts: at 0 from the start, gone with the Alertmanager, reasons from a closed list."""

import pytest
from metrics_fakes import names_with
from prometheus_client import CollectorRegistry

from exporter.metrics.pushing import PushInstruments

HERE = "http://a:9093"


@pytest.fixture
def pushed(registry: CollectorRegistry) -> PushInstruments:
    return PushInstruments(registry, ["timeout", "rejected"], 10_000)


def value(registry, name, **labels):
    return registry.get_sample_value(name, labels)


def test_an_alertmanager_that_nothing_happened_to_is_shown_at_0(registry, pushed):
    pushed.declare(HERE)
    assert value(registry, "lmwatch_alerts_sent_total", alertmanager=HERE) == 0
    assert value(registry, "lmwatch_alerts_dropped_total", alertmanager=HERE) == 0
    assert value(registry, "lmwatch_alert_queue_length", alertmanager=HERE) == 0
    for reason in ("timeout", "rejected"):
        assert value(registry, "lmwatch_alert_failures_total", alertmanager=HERE, reason=reason) == 0
    assert value(registry, "lmwatch_alert_last_success_timestamp_seconds", alertmanager=HERE) is None
    assert value(registry, "lmwatch_alert_queue_capacity") == 10_000


def test_what_happens_is_counted_by_alerts(registry, pushed):
    pushed.declare(HERE)
    pushed.sent(HERE, 3, at=50.0)
    pushed.failed(HERE, "timeout", 2)
    pushed.dropped(HERE, 4)
    pushed.queue_length(HERE, 5)
    pushed.active(firing=6, pending=7)
    pushed.discovered(1)
    assert value(registry, "lmwatch_alerts_sent_total", alertmanager=HERE) == 3
    assert value(registry, "lmwatch_alert_last_success_timestamp_seconds", alertmanager=HERE) == 50
    assert value(registry, "lmwatch_alert_failures_total", alertmanager=HERE, reason="timeout") == 2
    assert value(registry, "lmwatch_alerts_dropped_total", alertmanager=HERE) == 4
    assert value(registry, "lmwatch_alert_queue_length", alertmanager=HERE) == 5
    assert value(registry, "lmwatch_alerts_firing") == 6
    assert value(registry, "lmwatch_alerts_pending") == 7
    assert value(registry, "lmwatch_alertmanagers_discovered") == 1


def test_a_reason_outside_of_the_list_is_a_mistake(pushed):
    with pytest.raises(ValueError, match="timeout, rejected"):
        pushed.failed(HERE, "because", 1)


def test_an_alertmanager_that_left_takes_its_series_with_it(registry, pushed):
    pushed.declare(HERE)
    pushed.sent(HERE, 1, at=1.0)
    pushed.declare("http://b:9093")
    pushed.forget(HERE)
    assert names_with(registry, HERE) == set()
    assert value(registry, "lmwatch_alerts_sent_total", alertmanager="http://b:9093") == 0
