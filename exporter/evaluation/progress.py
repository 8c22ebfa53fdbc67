"""How far a long evaluation is, for whoever waits for it."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from exporter.clock import Clock, SystemClock
from exporter.drawing.wording import duration


@contextlib.contextmanager
def progress(
    what: str,
    amount: int,
    console: Console | None = None,
    clock: Clock | None = None,
    *,
    unit: str = "instants",
) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal while the block runs, and one line of how long it took when it is through.

    Where the console is no terminal there is the line only; after an error there is nothing.

    Args:
        what: is going on: `nab: 41 cases`.
        amount: how many there are to do.
        console: where to show it; standard error when None, so that what is printed can be piped on.
        clock: tells how long it took.
        unit: what is done, in the plural.

    Yields:
        What is to be told how many were done since the last time; any thread may.
    """
    console = console if console is not None else Console(stderr=True, highlight=False)
    clock = clock if clock is not None else SystemClock()
    began = clock.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(escape(what), total=max(amount, 1))
        yield lambda done: shown.update(task, advance=done)
    console.print(f"{escape(what)}, {amount:,} {unit} in {duration(clock.monotonic() - began)}", soft_wrap=True)
