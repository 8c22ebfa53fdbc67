"""What a backtest found, as a person at a terminal reads it."""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from exporter.config.durations import format_duration
from exporter.drawing.terminal import NOTHING, make_table, open_console, put
from exporter.drawing.wording import duration
from exporter.evaluation.backtesting.pushes import Push
from exporter.evaluation.backtesting.results import Backtest, SensitivityTable, WatchResult
from exporter.evaluation.backtesting.words import sensitivity_words, states_words, subject_words
from exporter.evaluation.words import figure, moment, share
from exporter.reasoning.clean import one_line

_OWN = "*"
_NAME = 200
_ALERTS = 10
_HEADINGS = ("THRESHOLD", "ALERTS", "A DAY", "CRITICAL", "SERIES", "IN ALARM", "LONGEST")


def print_backtest(backtest: Backtest, console: Console | None = None, *, stderr: bool = False) -> None:
    """Print for each watch what would have alerted, and how often at which threshold.

    Args:
        backtest: what was found.
        console: where to; standard output or error when None.
        stderr: which of them.
    """
    put(console if console is not None else open_console(stderr=stderr), *_parts(backtest))


def _parts(backtest: Backtest) -> Iterator[RenderableType]:
    yield (
        f"[bold]{_text(backtest.source)}[/]: {moment(backtest.begin)} to {moment(backtest.end)} UTC,"
        f" {duration(backtest.end - backtest.begin)} in {duration(backtest.seconds)}"
        f" ({backtest.speed:,.0f} times as fast), model {_text(backtest.model)}"
    )
    for result in backtest.watches:
        yield ""
        yield from _watch(result)


def _watch(result: WatchResult) -> Iterator[RenderableType]:
    watch = result.watch
    yield (
        f"[bold]{_text(watch.name)}[/]: {result.series:,} series, {result.screenings:,} screenings each"
        f" {format_duration(watch.interval)}, {states_words(result)}"
    )
    for note in result.notes:
        yield f"[dim]note: {escape(note)}[/]"
    for table in result.tables:
        yield f"\nsensitivity {sensitivity_words(table)}"
        yield _thresholds(table)
    yield f"[dim]{_OWN} the watch's own threshold[/]"
    yield ""
    yield from _alerts(result.pushes, watch.threshold)


def _thresholds(table: SensitivityTable) -> Table:
    rows = []
    for row in table.rows:
        cells = (
            f"{_OWN} {row.threshold:g}" if row.present else f"{row.threshold:g}",
            f"{row.alerts:,}",
            figure(row.alerts_per_day),
            f"{row.critical:,}",
            f"{row.subjects:,}",
            share(row.alarm_share, 1),
            duration(row.longest_seconds) if row.alerts else NOTHING,
        )
        rows.append(tuple(f"[bold]{cell}[/]" for cell in cells) if row.present else cells)
    return make_table(_HEADINGS, rows)


def _alerts(pushes: Sequence[Push], threshold: float) -> Iterator[RenderableType]:
    if not pushes:
        yield f"no alert at threshold {threshold:g}"
        return
    shown = pushes if len(pushes) <= _ALERTS else sorted(pushes, key=lambda push: -push.peak)[:_ALERTS]
    shown = sorted(shown, key=lambda push: push.fired_at)
    rows = [
        (
            moment(push.fired_at),
            NOTHING if push.resolved_at is None else duration(push.resolved_at - push.fired_at),
            figure(push.peak),
            f"[red]{push.severity}[/]" if push.severity == "critical" else f"[yellow]{push.severity}[/]",
            push.kind.replace("_", " ") or NOTHING,
            _text(subject_words(push.subject)),
        )
        for push in shown
    ]
    yield make_table(
        ("FIRED (UTC)", "LASTED", "PEAK", "SEVERITY", "KIND", "ALERT"),
        rows,
        left=("FIRED (UTC)", "SEVERITY", "KIND", "ALERT"),
    )
    if len(pushes) > len(shown):
        yield f"[dim]the {len(shown)} with the highest scores of {len(pushes):,}; --report and --json have more[/]"


def _text(text: str) -> str:
    """A foreign text as markup that shows it and does nothing else, to the terminal neither."""
    return escape(one_line(text, _NAME))
