"""The arguments of `lmwatch eval`. Imports nothing heavy: every start of the program reads this."""

import argparse
from collections.abc import Callable
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser, duration: Callable[[str], float]) -> None:
    """Add them.

    Args:
        parser: of the command.
        duration: reads a duration, as the type of an argument.
    """
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="a folder of labelled data, in a layout of docs/evaluation.md"
    )
    _add_model(parser, duration)
    parser.add_argument("--json", default=None, metavar="OUT", help="write all figures; - is standard output")
    parser.add_argument(
        "--report", type=Path, default=None, metavar="OUT.html", help="write a page with a picture of each series"
    )
    parser.add_argument(
        "--tune-on",
        type=Path,
        default=None,
        metavar="DIR",
        help="choose the threshold of each row on these data, instead of 0.5",
    )
    parser.add_argument(
        "--references",
        default="all",
        metavar="all|none|NAME,NAME",
        help="the detectors to stand beside the product (default all)",
    )
    parser.add_argument("--only", default=None, metavar="PATTERN", help="only cases of such a name: 'realTweets/*'")
    parser.add_argument(
        "--window-samples",
        type=_counted(2),
        default=None,
        metavar="N",
        help="values in a window (default 288, or as many as an hour has)",
    )
    parser.add_argument(
        "--jobs",
        type=_counted(1),
        default=None,
        metavar="N",
        help="processes at the same time (default: as many as processors)",
    )


def _add_model(parser: argparse.ArgumentParser, duration: Callable[[str], float]) -> None:
    parser.add_argument(
        "--model",
        default="none",
        metavar="none|URL|replay:FILE|scripted:NAME",
        help="who is asked: nobody (default), a server as http://127.0.0.1:1234 or URL#MODEL, a recording, or a script:"
        " oracle, always-yes, always-no, random",
    )
    parser.add_argument("--api-token-file", type=Path, default=None, metavar="FILE", help="the server's API token")
    parser.add_argument(
        "--deadline", type=duration, default="2m", metavar="DURATION", help="for one call to a server (default 2m)"
    )
    parser.add_argument("--record", type=Path, default=None, metavar="FILE", help="append the calls, for replay:FILE")
    parser.add_argument(
        "--seed", type=_counted(0), default=0, metavar="N", help="of all that is drawn at random (default 0)"
    )


def _counted(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return read
