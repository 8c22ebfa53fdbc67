"""Runs a demo: says what happens as it happens, and at the end what was planted and what was found."""

import logging
import queue
import signal
import threading
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter.clock import Clock, SystemClock
from exporter.demo.scorekeeper import Outcome, Scorekeeper
from exporter.demo.stage import Stage, stage
from exporter.embedded.plan import plan_default
from exporter.reasoning.document import explain
from exporter.reasoning.verdict import Verdict

_ENDLESS_PLAN_SECONDS = 3600.0
_LOOK_SECONDS = 0.5


def run_demo(*, seconds: float | None, model: Path | None, listen: str, seed: int) -> int:
    """Run the demo for `seconds`, or until it is stopped.

    Returns:
        0 when at least one planted anomaly was found by the combined score and judged by the model, and nothing
        failed on the way; 0 as well for a demo that was stopped by hand; else 1.
    """
    console = Console(highlight=False, soft_wrap=True)
    clock = SystemClock()
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    troubles = Troubles()
    logging.getLogger().addHandler(troubles)
    console.print("Loading a small model into this process …")
    try:
        plan = plan_default(seconds or _ENDLESS_PLAN_SECONDS)
        with stage(model=model, listen=listen, seed=seed, plan=plan, clock=clock, on_verdict=verdicts.put) as running:
            _introduce(console, running, seconds)
            keeper = Scorekeeper(running.target.planted, running.target.began)
            _follow(console, running, clock=clock, keeper=keeper, verdicts=verdicts, stopped=stopped, seconds=seconds)
            troubles.check(running)
    finally:
        logging.getLogger().removeHandler(troubles)
    return _conclude(console, keeper, troubles.seen, by_itself=seconds is not None and not stopped.is_set())


class Troubles(logging.Handler):
    """Remembers what was logged as an error: nothing of the kind may happen in a demo."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember one message."""
        self.seen.append(record.getMessage())

    def check(self, running: Stage) -> None:
        """Remember what is not well at the end."""
        board = running.app.board.current()
        self.seen += [
            f"the server {health.server} is down: {health.detail}" for health in board.servers.values() if not health.up
        ]
        self.seen += [
            f"the target {state.target} is down: {state.error}" for state in board.sources.values() if not state.up
        ]
        self.seen += [
            f"the watch {watch.name} failed: {watch.reason}"
            for watch in board.watches.values()
            if watch.state == "failed"
        ]


def _introduce(console: Console, running: Stage, seconds: float | None) -> None:
    watched = "a simulated shop and this host" + (
        f", and the node_exporter at {running.node_exporter}" if running.node_exporter else ""
    )
    ending = f"It ends by itself after {seconds:g} s." if seconds else "Ctrl-C ends it."
    first = min((planted.starts_after_seconds for planted in running.target.planted), default=0.0)
    console.print(
        f"\n[bold]http://{escape(running.app.addresses[0])}[/] shows what lmwatch sees: {watched}.\n"
        "The model has 135 million parameters unless another was named: its answers show the road, not the destination.\n"
        f"The first anomaly is planted after {first:.0f} s; until then lmwatch learns what is usual. {ending}\n",
    )


def _follow(
    console: Console,
    running: Stage,
    *,
    clock: Clock,
    keeper: Scorekeeper,
    verdicts: "queue.SimpleQueue[Verdict]",
    stopped: threading.Event,
    seconds: float | None,
) -> None:
    """Say what is planted, found and judged, until the time is over or the demo is stopped."""
    while not stopped.wait(_LOOK_SECONDS) and (seconds is None or running.target.elapsed < seconds):
        now = clock.now()
        at = f"[dim]{running.target.elapsed:4.0f} s[/] "
        for planted in keeper.begun(now):
            console.print(f"{at}[yellow]planted[/]  {planted.kind} of {planted.metric}: {planted.description}")
        for outcome in keeper.look(running.app.board.current(), now):
            console.print(f"{at}[green]found[/]    {_found(outcome)}")
        _tell(console, at, keeper, verdicts)
    _tell(console, f"[dim]{running.target.elapsed:4.0f} s[/] ", keeper, verdicts)


def _tell(console: Console, at: str, keeper: Scorekeeper, verdicts: "queue.SimpleQueue[Verdict]") -> None:
    while not verdicts.empty():
        verdict = verdicts.get()
        keeper.hear(verdict)
        console.print(f"{at}[cyan]verdict[/]  {escape(explain(verdict))}")


def _found(outcome: Outcome) -> str:
    return f"{outcome.planted.metric} after {outcome.found_after:.0f} s, score {outcome.best_score:.2f}"


def _conclude(console: Console, keeper: Scorekeeper, troubles: list[str], *, by_itself: bool) -> int:
    table = Table(title="\nWhat was planted, and what was found", title_justify="left", box=None, pad_edge=False)
    for heading in ("PLANTED", "METRIC", "FOUND BY THE COMBINED SCORE", "JUDGED BY THE MODEL"):
        table.add_column(heading, overflow="fold")
    for outcome in keeper.outcomes:
        found = (
            f"after {outcome.found_after:.0f} s, up to {outcome.best_score:.2f}"
            if outcome.found
            else f"no, up to {outcome.best_score:.2f}"
        )
        judged = ", ".join(verdict.outcome for verdict in outcome.verdicts) or "not asked"
        table.add_row(outcome.planted.kind, outcome.planted.metric, found, judged)
    console.print(table)
    for trouble in troubles:
        console.print(f"[red]went wrong:[/] {escape(trouble)}")
    if not by_itself:
        return 0
    good = any(outcome.found and outcome.judged for outcome in keeper.outcomes) and not troubles
    console.print("\nThe demo did what it should." if good else "\nThe demo did not do what it should.")
    return 0 if good else 1
