"""`lmwatch backtest`: the configured watches over the past of a Prometheus, faster than it happened."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from exporter import __version__
from exporter.clock import SystemClock
from exporter.config.durations import format_duration
from exporter.config.model import Config, Source, Watch
from exporter.config.similar import suggestion
from exporter.drawing.wording import utc
from exporter.errors import BadDataError, ConfigError
from exporter.evaluation.backtesting.document import to_json
from exporter.evaluation.backtesting.moments import Moment
from exporter.evaluation.backtesting.report import write_report
from exporter.evaluation.backtesting.results import Backtest, WatchResult
from exporter.evaluation.backtesting.run import Plan, run_watch
from exporter.evaluation.backtesting.table import print_backtest
from exporter.evaluation.document import write_whole
from exporter.evaluation.models import DEADLINE_SECONDS, NONE, Respondent, open_model, parse_model
from exporter.evaluation.outputs import STANDARD_OUTPUT, Outputs, check_writable, command_line, without_credentials
from exporter.evaluation.progress import progress
from exporter.sources.prometheus import PrometheusSource

_LONGEST_DAYS = 366
_NO_PAST = (
    "add a source with prometheus: {url: …} for the Prometheus that scrapes the same targets, and a watch on it whose"
    " select has queries"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is replayed, and how."""

    begin: Moment
    end: Moment
    source: str | None = None
    """None: the only prometheus source."""
    watches: tuple[str, ...] = ()
    """Only these; none: all on the source."""
    step: float | None = None
    """Seconds between screenings; None: each watch's interval."""
    warm_up: float | None = None
    """Seconds; None: each watch's history."""
    sensitivities: tuple[float, ...] = ()
    """Seconds; further ones to be tried."""
    model: str = NONE
    """As after `--model`: `none`, `config`, a URL, `replay:FILE`."""
    record: Path | None = None
    """Where calls to the model are recorded."""
    deadline_seconds: float = DEADLINE_SECONDS
    """For one call to the server at a URL."""
    api_token_file: Path | None = None


def run_backtest(config: Config, options: Options, outputs: Outputs, *, typed: Sequence[str] = ()) -> int:
    """Replay, print the tables, write the other outputs, and return the exit code.

    Args:
        config: a checked configuration.
        options: what is replayed, and how.
        outputs: beside the tables.
        typed: the arguments of the program, as the user typed them.

    Returns:
        0, or 1 where a watch found no values at all.

    Raises:
        LmwatchError: something cannot be used, asked, read or written; says what to do.
    """
    clock = SystemClock()
    source = chosen_source(config, options.source)
    watches = chosen_watches(config, source, options.watches)
    plan = _plan(config, options, clock.now())
    _check_plan(plan, watches)
    choice = parse_model(options.model, configured=True)
    _check_outputs(outputs, options.record)
    began = clock.monotonic()
    with (
        open_model(
            choice,
            record=options.record,
            deadline_seconds=options.deadline_seconds,
            api_token_file=options.api_token_file,
            servers=config.servers,
        ) as respondent,
        closing(PrometheusSource(source, clock)) as prometheus,
    ):
        results = _replayed(watches, prometheus, plan, respondent)
    _check_found(results, source, plan)
    backtest = Backtest(
        source=source.name,
        begin=plan.begin,
        end=plan.end,
        warm_up=plan.warm_up,
        model=without_credentials(str(choice)),
        pending=config.alerting.for_,
        watches=tuple(results),
        seconds=clock.monotonic() - began,
        command=command_line(typed),
        version=__version__,
    )
    _put_out(backtest, outputs)
    return 0 if all(result.samples for result in results) else 1


def chosen_source(config: Config, name: str | None) -> Source:
    """The source that is replayed.

    Raises:
        ConfigError: there is no such source, or it has no past; says what to do.
    """
    past = [source for source in config.sources if source.prometheus is not None]
    if name is None:
        if len(past) == 1:
            return past[0]
        named = f"name one with --source: {', '.join(source.name for source in past)}" if past else _NO_PAST
        raise ConfigError(f"the configuration has {len(past) or 'no'} prometheus sources; {named}")
    found = next((source for source in config.sources if source.name == name), None)
    if found is None:
        meant = suggestion(name, [source.name for source in past or config.sources], noun="sources")
        raise ConfigError(f"--source {name}: no such source{meant}")
    if found.prometheus is None:
        raise ConfigError(f"--source {name}: scrapes its targets, and what is scraped has no past; {_NO_PAST}")
    return found


def chosen_watches(config: Config, source: Source, names: Sequence[str]) -> list[Watch]:
    """The watches that are replayed, in the order of the configuration.

    Raises:
        ConfigError: there is none, or one of the names is no watch on the source.
    """
    there = {watch.name: watch for watch in config.watches if watch.source == source.name}
    for name in names:
        if name not in there:
            meant = suggestion(name, there, noun=f"watches on {source.name}")
            raise ConfigError(f"--watch {name}: no such watch on source {source.name}{meant}")
    if not there:
        raise ConfigError(f"--source {source.name}: no watch is on it; add one to watches")
    return [watch for name, watch in there.items() if not names or name in names]


def _replayed(
    watches: Sequence[Watch], source: PrometheusSource, plan: Plan, respondent: Respondent | None
) -> list[WatchResult]:
    names = watches[0].name if len(watches) == 1 else f"{len(watches)} watches"
    amount = sum(map(plan.amount, watches))
    with progress(f"{names} on {source.name}", amount, unit="screenings and steps of warm-up") as tell:
        return [run_watch(watch, source, plan, respondent, tell) for watch in watches]


def _plan(config: Config, options: Options, now: float) -> Plan:
    return Plan(
        begin=options.begin.at(now),
        end=min(options.end.at(now), now),
        step=options.step,
        warm_up=options.warm_up,
        sensitivities=options.sensitivities,
        alerting=config.alerting,
    )


def _check_outputs(outputs: Outputs, record: Path | None) -> None:
    for option, path in (("--json", outputs.json), ("--report", outputs.report), ("--record", record)):
        if path is not None and path not in STANDARD_OUTPUT:
            check_writable(option, Path(path))


def _check_plan(plan: Plan, watches: Sequence[Watch]) -> None:
    span = f"--from {utc(plan.begin)} --to {utc(plan.end)}"
    if plan.end <= plan.begin:
        raise ConfigError(f"{span}: ends before it begins")
    if plan.end - plan.begin > _LONGEST_DAYS * 86400:
        raise ConfigError(f"{span}: is longer than {_LONGEST_DAYS} days; replay it in parts")
    if plan.step is not None and plan.step < 1:
        raise ConfigError("--step: must be at least 1s")
    if any(one < 3600 for one in plan.sensitivities):
        raise ConfigError("--sensitivity: must be at least 1h")
    for watch in watches:
        step = plan.step_of(watch)
        if watch.window < 2 * step:
            raise ConfigError(
                f"--step {format_duration(step)}: the window of watch {watch.name} is {format_duration(watch.window)},"
                " and has to be at least twice as long"
            )
        if len(plan.moments(watch)) < 2:
            raise ConfigError(
                f"{span}: watch {watch.name} is screened each {format_duration(step)}; give it a longer span"
            )


def _check_found(results: Sequence[WatchResult], source: Source, plan: Plan) -> None:
    """Raise BadDataError where nothing at all came; tell of single watches."""
    empty = [result for result in results if not result.samples]
    where = f"between {utc(plan.begin)} and {utc(plan.end)}"
    if len(empty) == len(results):
        url = source.prometheus.url if source.prometheus else ""
        raise BadDataError(
            f"{without_credentials(url)} has no values of {_named(empty)} {where}; run the queries there, and look how far its"
            " storage reaches back"
        )
    if empty:
        note = f"note: {_named(empty)} found no values {where}"
        Console(stderr=True, highlight=False, markup=False).print(note, soft_wrap=True)


def _named(results: Sequence[WatchResult]) -> str:
    names = ", ".join(result.watch.name for result in results)
    return f"watch {names}" if len(results) == 1 else f"watches {names}"


def _put_out(backtest: Backtest, outputs: Outputs) -> None:
    if outputs.json in STANDARD_OUTPUT:
        print_backtest(backtest, stderr=True)
        sys.stdout.write(to_json(backtest))
        sys.stdout.flush()
    else:
        print_backtest(backtest)
        if outputs.json is not None:
            write_whole(Path(outputs.json), to_json(backtest))
    if outputs.report is not None:
        write_report(backtest, outputs.report)
