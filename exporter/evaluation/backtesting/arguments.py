"""The arguments of `lmwatch backtest`. Imports nothing heavy: every start of the program reads this."""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from exporter.evaluation.backtesting.moments import Moment, parse_moment

_SPANS = ("--from", "--to")
_BACK = re.compile(r"-\d")


def add_arguments(parser: argparse.ArgumentParser, duration: Callable[[str], float]) -> None:
    """Add them, but for the configuration's file.

    Args:
        parser: of the command.
        duration: reads a duration, as the type of an argument.
    """
    parser.add_argument(
        "--source",
        default=None,
        metavar="NAME",
        help="a prometheus source of the configuration (default: the only one)",
    )
    parser.add_argument(
        "--watch",
        action="append",
        default=None,
        metavar="NAME",
        help="only this watch, repeatable (default: all on it)",
    )
    parser.add_argument(
        "--from",
        dest="begin",
        type=_moment,
        default="-7d",
        metavar="TIME",
        help="-7d (default), now, 2026-11-20T08:00:00Z or Unix seconds",
    )
    parser.add_argument("--to", dest="end", type=_moment, default="now", metavar="TIME", help="likewise (default now)")
    parser.add_argument(
        "--step",
        type=duration,
        default=None,
        metavar="DURATION",
        help="screen so often (default: the watch's interval)",
    )
    parser.add_argument(
        "--warmup",
        type=duration,
        default=None,
        metavar="DURATION",
        help="fill baselines from so much before --from (default: the watch's history)",
    )
    parser.add_argument(
        "--sensitivity",
        type=duration,
        action="append",
        default=None,
        metavar="DURATION",
        help="try this one too, repeatable; each takes as long again",
    )
    _add_model(parser, duration)
    parser.add_argument("--json", default=None, metavar="OUT", help="write all figures; - is standard output")
    parser.add_argument("--report", type=Path, default=None, metavar="OUT.html", help="write a page with pictures")


def joined(typed: Sequence[str]) -> list[str]:
    """The arguments with `--from -7d` as `--from=-7d`, since argparse takes what begins with a dash for an option."""
    found: list[str] = []
    for argument in typed:
        if found and found[-1] in _SPANS and _BACK.match(argument):
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found


def _add_model(parser: argparse.ArgumentParser, duration: Callable[[str], float]) -> None:
    parser.add_argument(
        "--model",
        default="none",
        metavar="none|config|URL|replay:FILE",
        help="who is asked: nobody (default), a configured server, one as http://127.0.0.1:1234 or URL#MODEL, a recording",
    )
    parser.add_argument(
        "--api-token-file", type=Path, default=None, metavar="FILE", help="the token of the server at URL"
    )
    parser.add_argument(
        "--deadline",
        type=duration,
        default="2m",
        metavar="DURATION",
        help="for one call to the server at URL (default 2m)",
    )
    parser.add_argument("--record", type=Path, default=None, metavar="FILE", help="append the calls, for replay:FILE")


def _moment(text: str) -> Moment:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
