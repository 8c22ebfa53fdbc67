"""The command line: arguments, signals, exit codes.

Exit codes: 0 fine (for `once`: calm), 1 failed, 2 wrong usage, 3 anomalous (`once` only).
"""

import argparse
import logging
import os
import platform
import queue
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from exporter import __version__
from exporter.config.durations import parse_duration
from exporter.errors import LmwatchError
from exporter.evaluation.arguments import add_arguments

if TYPE_CHECKING:
    from exporter.shipped import Shipped

logger = logging.getLogger(__name__)

DEFAULT_PORT = 9917


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    arguments = _parser().parse_args(argv)
    arguments.typed = tuple(sys.argv[1:] if argv is None else argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except LmwatchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output left; point stdout elsewhere so that the interpreter's last flush is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lmwatch",
        description="A Prometheus exporter for LM Studio: its health, and a local model's verdicts on your metrics.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="watch, judge and serve until stopped"))
    _add_check(commands.add_parser("check", help="validate the configuration and summarise it"))
    _add_status(commands.add_parser("status", help="show the servers and their models"))
    _add_once(commands.add_parser("once", help="collect, judge once, print the verdicts"))
    _add_demo(commands.add_parser("demo", help="show everything on this machine; needs no LM Studio"))
    _add_embedded(commands.add_parser("embedded", help="serve a small model as LM Studio would, for those without it"))
    _add_eval(commands.add_parser("eval", help="measure screen and model on labelled data"))
    _add_rules(commands.add_parser("rules", help="print or write the alerting rules for Prometheus"))
    _add_dashboards(commands.add_parser("dashboards", help="print or write the dashboards for Grafana"))
    return parser


def _version() -> str:
    return (
        f"lmwatch {__version__} (Python {platform.python_version()}, {platform.system().lower()}/{platform.machine()})"
    )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config.file",
        dest="config",
        type=Path,
        metavar="FILE",
        help="the configuration; without it: the health of http://127.0.0.1:1234 and nothing else",
    )


def _add_logging(parser: argparse.ArgumentParser, level: str = "info") -> None:
    parser.add_argument("--log.level", dest="log_level", default=level, choices=("debug", "info", "warn", "error"))
    parser.add_argument("--log.format", dest="log_format", default="logfmt", choices=("logfmt", "json"))


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--config.check", dest="check_only", action="store_true", help="validate and exit")
    parser.add_argument(
        "--web.listen-address",
        dest="listen",
        action="append",
        metavar="ADDRESS",
        help=f"host:port to listen on, repeatable (default :{DEFAULT_PORT})",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config",
        type=Path,
        metavar="FILE",
        help="TLS, authentication and headers, in exporter-toolkit's format",
    )
    _add_logging(parser)
    parser.set_defaults(command=_run)


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.set_defaults(command=_check)


def _add_status(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--watch",
        type=_duration,
        nargs="?",
        const="2s",
        default=None,
        metavar="DURATION",
        help="print anew after so long, until stopped (2s if no duration is given)",
    )
    parser.add_argument(
        "--url",
        default=None,
        help="of the running lmwatch that knows the figures of predictions (default: this host's)",
    )
    parser.set_defaults(command=_status)


def _add_once(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--collect",
        type=_duration,
        default="40s",
        metavar="DURATION",
        help="how long scraped targets are collected, once a second, before they are judged (default 40s)",
    )
    _add_logging(parser, level="warn")
    parser.set_defaults(command=_once)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for", dest="duration", type=_duration, default=None, metavar="DURATION", help="end by itself"
    )
    parser.add_argument("--model", type=Path, default=None, metavar="FILE.gguf", help="judge with another model")
    parser.add_argument("--web.listen-address", dest="listen", default=f"127.0.0.1:{DEFAULT_PORT}", metavar="ADDRESS")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated shop")
    _add_logging(parser, level="error")
    parser.set_defaults(command=_demo)


def _add_embedded(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, default=None, metavar="FILE.gguf", help="another model than that of the demo"
    )
    parser.add_argument(
        "--web.listen-address",
        dest="listen",
        default="127.0.0.1:1234",
        metavar="ADDRESS",
        help="host:port; who reaches it may use the model (default 127.0.0.1:1234)",
    )
    _add_logging(parser)
    parser.set_defaults(command=_embedded)


def _add_eval(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, _duration)
    _add_logging(parser, level="error")
    parser.set_defaults(command=_eval)


def _add_shipped(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="FILE", help="print this one; without it, list them")
    parser.add_argument(
        "--output", type=Path, default=None, metavar="DIR", help="write them into this folder, replacing older ones"
    )


def _add_dashboards(parser: argparse.ArgumentParser) -> None:
    _add_shipped(parser)
    parser.set_defaults(command=_dashboards)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    _add_shipped(parser)
    parser.add_argument(
        "--runbook-url",
        default=None,
        metavar="URL",
        help="link alerts to a copy of docs/runbooks.md at this address (default: lmwatch's own page)",
    )
    parser.set_defaults(command=_rules)


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _check(arguments: argparse.Namespace) -> int:
    from exporter.config.show import summarise
    from exporter.loading import load

    print(summarise(load(arguments.config)))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from exporter.app import App, Options
    from exporter.loading import load
    from exporter.logs import configure, fields
    from exporter.systemd import notify

    if arguments.check_only:
        return _check(arguments)
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
        while signals.get() == reload_signal:
            try:
                app.reload()
            except LmwatchError:
                continue  # already logged and shown on the board
        logger.info("stopping")
        notify("STOPPING=1")
    finally:
        app.stop()
    return 0


def _raise_open_files_limit() -> None:
    """A connection is kept to each target: the soft limit of most systems is too low for a thousand of them."""
    try:
        import resource
    except ImportError:  # Windows has neither the module nor the limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _status(arguments: argparse.Namespace) -> int:
    from exporter.loading import load
    from exporter.terminal import print_status

    return print_status(
        load(arguments.config), as_json=arguments.json, watch_seconds=arguments.watch, url=arguments.url
    )


def _once(arguments: argparse.Namespace) -> int:
    from exporter.loading import load
    from exporter.logs import configure
    from exporter.once import judge_once

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    return judge_once(load(arguments.config), collect_seconds=arguments.collect, as_json=arguments.json)


def _demo(arguments: argparse.Namespace) -> int:
    from exporter.demo.run import run_demo
    from exporter.logs import configure

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    return run_demo(
        seconds=arguments.duration,
        model=arguments.model,
        listen=arguments.listen,
        seed=arguments.seed,
    )


def _embedded(arguments: argparse.Namespace) -> int:
    from exporter.demo.serve import serve_model
    from exporter.logs import configure

    configure(arguments.log_level, arguments.log_format, sys.stderr)
    return serve_model(model=arguments.model, listen=arguments.listen)


def _eval(arguments: argparse.Namespace) -> int:
    from exporter.evaluation.command import Outputs, parse_references, run_eval
    from exporter.evaluation.evaluate import Options
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


def _rules(arguments: argparse.Namespace) -> int:
    from exporter import shipped

    found = shipped.rules()
    if arguments.runbook_url is not None:
        found = shipped.with_runbooks_at(arguments.runbook_url, found)
    return _hand_out(found, arguments)


def _dashboards(arguments: argparse.Namespace) -> int:
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


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main())
