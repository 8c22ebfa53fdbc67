"""What each command of the command line does, given its arguments; returns its exit code.

Each imports what it needs when it is called, so that `lmwatch --version` does not wait for numpy.
"""

import argparse
import contextlib
import logging
import platform
import queue
import signal
import sys
from typing import TYPE_CHECKING

from exporter import __version__
from exporter.errors import LmwatchError

if TYPE_CHECKING:
    from exporter.shipped import Shipped

logger = logging.getLogger(__name__)

DEFAULT_PORT = 9917
_SIGNAL_SECONDS = 1.0
_MACOS_FILES = 10_240
"""OPEN_MAX: macOS names no hard limit for open files and refuses a soft one beyond this (setrlimit(2), COMPATIBILITY)."""


def check(arguments: argparse.Namespace) -> int:
    """Validate the configuration and summarise it."""
    from exporter.config.show import summarise
    from exporter.loading import load

    print(summarise(load(arguments.config)))
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Watch, judge and serve until stopped."""
    from exporter.app import App, Options
    from exporter.loading import load
    from exporter.logs import configure, fields
    from exporter.systemd import notify

    if arguments.check_only:
        return check(arguments)
    configure(arguments.log_level, arguments.log_format, sys.stderr)
    _raise_open_files_limit()
    logger.info("starting lmwatch", extra=fields(version=__version__, python=platform.python_version()))
    app = App(
        lambda: load(arguments.config),
        Options(listen=tuple(arguments.listen or [f":{DEFAULT_PORT}"]), web_config=arguments.web_config),
    )
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    reload_signal = getattr(signal, "SIGHUP", None)  # Windows has none
    for number in (signal.SIGTERM, signal.SIGINT, *([reload_signal] if reload_signal else [])):
        signal.signal(number, lambda received, _frame: signals.put(received))
    app.start()
    notify("READY=1")
    try:
        while _next_signal(signals) == reload_signal:
            try:
                app.reload()
            except LmwatchError:
                continue  # already logged and shown on the board
        logger.info("stopping")
        notify("STOPPING=1")
    finally:
        app.stop()
    return 0


def _next_signal(signals: queue.SimpleQueue[int]) -> int:
    """The next signal. On Windows a wait without an end cannot be interrupted: Ctrl-C would never be seen."""
    while True:
        with contextlib.suppress(queue.Empty):
            return signals.get(timeout=_SIGNAL_SECONDS)


def _raise_open_files_limit() -> None:
    """A connection is kept to each target: the soft limit of most systems is too low for a thousand of them."""
    try:
        import resource
    except ImportError:  # Windows has neither the module nor the limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in (hard, _MACOS_FILES):
        if soft != hard and (files == hard or soft < files):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
                return


def status(arguments: argparse.Namespace) -> int:
    """Show the servers, their models and the watches."""
    from exporter.loading import load
    from exporter.terminal import print_status

    return print_status(
        load(arguments.config), as_json=arguments.json, watch_seconds=arguments.watch, url=arguments.url
    )


def once(arguments: argparse.Namespace) -> int:
    """Collect, judge once, print the verdicts."""
    from exporter.loading import load
    from exporter.logs import configure
    from exporter.once import judge_once

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    return judge_once(load(arguments.config), collect_seconds=arguments.collect, as_json=arguments.json)


def demo(arguments: argparse.Namespace) -> int:
    """Show everything on this machine."""
    from exporter.demo.run import run_demo
    from exporter.logs import configure

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    return run_demo(
        seconds=arguments.duration,
        model=arguments.model,
        listen=arguments.listen,
        seed=arguments.seed,
    )


def embedded(arguments: argparse.Namespace) -> int:
    """Serve a small model as LM Studio would."""
    from exporter.demo.serve import serve_model
    from exporter.logs import configure

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    return serve_model(model=arguments.model, listen=arguments.listen)


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure screen and model on labelled data."""
    from exporter.evaluation.command import parse_references, run_eval
    from exporter.evaluation.evaluate import Options
    from exporter.evaluation.outputs import Outputs
    from exporter.evaluation.run import RunSettings
    from exporter.logs import configure

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    options = Options(
        model=arguments.model,
        record=arguments.record,
        seed=arguments.seed,
        references=parse_references(arguments.references),
        jobs=arguments.jobs,
        settings=RunSettings(window_samples=arguments.window_samples),
        deadline_seconds=arguments.deadline,
        api_token_file=arguments.api_token_file,
    )
    return run_eval(
        arguments.data,
        options,
        Outputs(json=arguments.json, report=arguments.report),
        tune_on=arguments.tune_on,
        only=arguments.only,
        typed=arguments.typed,
    )


def rules(arguments: argparse.Namespace) -> int:
    """Print or write the alerting rules."""
    from exporter import shipped

    found = shipped.rules()
    if arguments.runbook_url is not None:
        found = shipped.with_runbooks_at(arguments.runbook_url, found)
    return _hand_out(found, arguments)


def dashboards(arguments: argparse.Namespace) -> int:
    """Print or write Grafana's dashboards."""
    from exporter import shipped

    return _hand_out(shipped.dashboards(), arguments)


def _hand_out(found: "tuple[Shipped, ...]", arguments: argparse.Namespace) -> int:
    from exporter import shipped

    if arguments.name is not None:
        found = (shipped.pick(found, arguments.name),)
    if arguments.output is not None:
        for path in shipped.write(found, arguments.output):
            print(path)
    elif arguments.name is not None:
        print(found[0].text, end="")
    else:
        for one in found:
            print(f"{one.name:24} {one.summary}")
    return 0


def backtest(arguments: argparse.Namespace) -> int:
    """Replay the past of a Prometheus through the configured watches."""
    from exporter.evaluation.backtest import Options, run_backtest
    from exporter.evaluation.outputs import Outputs
    from exporter.loading import load
    from exporter.logs import configure

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    options = Options(
        begin=arguments.begin,
        end=arguments.end,
        source=arguments.source,
        watches=tuple(arguments.watch or ()),
        step=arguments.step,
        warm_up=arguments.warmup,
        sensitivities=tuple(arguments.sensitivity or ()),
        model=arguments.model,
        record=arguments.record,
        deadline_seconds=arguments.deadline,
        api_token_file=arguments.api_token_file,
    )
    outputs = Outputs(json=arguments.json, report=arguments.report)
    return run_backtest(load(arguments.config), options, outputs, typed=arguments.typed)
