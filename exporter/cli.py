"""The command line: arguments, signals, exit codes.

Exit codes: 0 fine (for `once`: calm), 1 failed, 2 wrong usage, 3 anomalous (`once` only).
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from exporter import __version__, commands
from exporter.commands import DEFAULT_PORT
from exporter.config.durations import parse_duration
from exporter.errors import LmwatchError
from exporter.evaluation.arguments import add_arguments
from exporter.evaluation.backtesting import arguments as backtesting


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    typed = tuple(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(backtesting.joined(typed))
    arguments.typed = typed
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
    added = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(added.add_parser("run", help="watch, judge and serve until stopped"))
    _add_check(added.add_parser("check", help="validate the configuration and summarise it"))
    _add_status(added.add_parser("status", help="show servers, models and watches"))
    _add_once(added.add_parser("once", help="collect, judge once, print the verdicts"))
    _add_demo(added.add_parser("demo", help="show everything on this machine; needs no LM Studio"))
    _add_embedded(added.add_parser("embedded", help="serve a small model as LM Studio would, for those without it"))
    _add_eval(added.add_parser("eval", help="measure screen and model on labelled data"))
    _add_backtest(added.add_parser("backtest", help="replay the past of a Prometheus through the watches"))
    _add_rules(added.add_parser("rules", help="print or write the alerting rules for Prometheus"))
    _add_dashboards(added.add_parser("dashboards", help="print or write the dashboards for Grafana"))
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
    parser.set_defaults(command=commands.run)


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.set_defaults(command=commands.check)


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
    parser.set_defaults(command=commands.status)


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
    parser.set_defaults(command=commands.once)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for", dest="duration", type=_duration, default=None, metavar="DURATION", help="end by itself"
    )
    parser.add_argument("--model", type=Path, default=None, metavar="FILE.gguf", help="judge with another model")
    parser.add_argument("--web.listen-address", dest="listen", default=f"127.0.0.1:{DEFAULT_PORT}", metavar="ADDRESS")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated shop")
    _add_logging(parser, level="error")
    parser.set_defaults(command=commands.demo)


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
    parser.set_defaults(command=commands.embedded)


def _add_eval(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, _duration)
    _add_logging(parser, level="error")
    parser.set_defaults(command=commands.evaluate)


def _add_backtest(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    backtesting.add_arguments(parser, _duration)
    _add_logging(parser, level="error")
    parser.set_defaults(command=commands.backtest)


def _add_shipped(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="FILE", help="print this one; without it, list them")
    parser.add_argument(
        "--output", type=Path, default=None, metavar="DIR", help="write them into this folder, replacing older ones"
    )


def _add_dashboards(parser: argparse.ArgumentParser) -> None:
    _add_shipped(parser)
    parser.set_defaults(command=commands.dashboards)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    _add_shipped(parser)
    parser.add_argument(
        "--runbook-url",
        default=None,
        metavar="URL",
        help="link alerts to a copy of docs/runbooks.md at this address (default: lmwatch's own page)",
    )
    parser.set_defaults(command=commands.rules)


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main())
