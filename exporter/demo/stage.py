"""What a demo consists of: a model in this process, a target with planted anomalies, and lmwatch over both."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.app import App, Options
from exporter.clock import Clock
from exporter.config.model import Config
from exporter.embedded.engine import LlamaEngine, find_demo_model
from exporter.embedded.plan import Plan
from exporter.embedded.studio import StudioServer
from exporter.embedded.target import DemoTarget
from exporter.reasoning.verdict import Verdict

NODE_EXPORTER = "127.0.0.1:9100"
_SHOP_CONTEXT = (
    "A small web shop, simulated. Its day lasts six minutes: traffic rises and falls with it. "
    "Orders follow visits; the heap is stable when all is well."
)


@dataclass(frozen=True)
class Stage:
    """A running demo."""

    app: App
    target: DemoTarget
    node_exporter: str | None
    """The address of a node_exporter that is watched too, where one answers."""


@contextmanager
def stage(
    *,
    model: Path | None,
    listen: str,
    seed: int,
    plan: Plan,
    clock: Clock,
    on_verdict: Callable[[Verdict], None],
) -> Iterator[Stage]:
    """Everything started; ended in the opposite order on the way out.

    Raises:
        LmwatchError: the model cannot be loaded, or an address cannot be listened on.
    """
    with ExitStack() as cleanup:
        engine = LlamaEngine(model or find_demo_model())
        cleanup.callback(engine.close)
        studio = cleanup.enter_context(StudioServer([engine], clock=clock))
        target = cleanup.enter_context(DemoTarget(clock, seed, plan))
        node_exporter = NODE_EXPORTER if is_node_exporter(NODE_EXPORTER) else None
        config = demo_config(studio.url, target.address, node_exporter)
        app = App(lambda: config, Options(listen=(listen,)), clock, on_verdict)
        app.start()
        cleanup.callback(app.stop)
        yield Stage(app, target, node_exporter)


def demo_config(studio_url: str, target: str, node_exporter: str | None) -> Config:
    """The configuration that a user would write for this, in small intervals.

    Only the shop is put to the model: two cores judge about two groups a minute, and the model's own work shows in the
    figures of the host. The host, and a node_exporter where there is one, are screened.
    """
    scrape = {"interval": "1s", "timeout": "1s"}
    sources: list[dict[str, Any]] = [{"name": "demo", "scrape": {"targets": [target], **scrape}}]
    screened = {"window": "3m", "interval": "5s", "sensitivity": "1h", "reason": {"when": "never"}}
    watches: list[dict[str, Any]] = [
        {
            "name": "shop",
            "source": "demo",
            "select": ['{__name__=~"shop_.*"}'],
            "window": "3m",
            "interval": "5s",
            "sensitivity": "1h",
            "reason": {"when": "suspicious", "every": "10m", "cooldown": "15s", "max_series": 3},
            "context": _SHOP_CONTEXT,
        },
        {"name": "host", "source": "demo", "select": ['{__name__=~"host_.*"}'], **screened},
    ]
    if node_exporter is not None:
        sources.append({"name": "node", "scrape": {"targets": [node_exporter], "interval": "5s", "timeout": "5s"}})
        node_select = ["node_load1", 'node_cpu_seconds_total{mode!="idle"}', "node_memory_MemAvailable_bytes"]
        watches.append({"name": "node", "source": "node", "select": node_select, **screened})
    return Config.model_validate(
        {
            "servers": [
                {
                    "name": "embedded",
                    "url": studio_url,
                    "poll_interval": "5s",
                    "deadline": "90s",
                    "probe": {"interval": 0},
                },
            ],
            "sources": sources,
            "watches": watches,
            "heartbeat": {"interval": 0},
        },
    )


def is_node_exporter(address: str) -> bool:
    """Whether something that calls itself node_exporter answers there."""
    connection = http.client.HTTPConnection(address, timeout=2)
    try:
        connection.request("GET", "/")
        return b"Node Exporter" in connection.getresponse().read(4096)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
