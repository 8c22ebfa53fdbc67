"""What goes to a terminal, and the same without colours, folding and blanks at line ends where it goes into a pipe."""

import sys
from collections.abc import Collection, Sequence
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table

NOTHING: Final = "-"
"""Stands where there is nothing to say."""
_PLAIN_WIDTH: Final = 10_000
"""Columns where the output is no terminal: nothing is folded there."""


def open_console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error: as wide as the terminal, and as wide as need be where it is none.

    Colours are for terminals, and for those who set no NO_COLOR.
    """
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _PLAIN_WIDTH)


def put(console: Console, *parts: RenderableType) -> None:
    """Print parts below each other; where that is no terminal, without blanks at the ends of lines."""
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    for line in captured.get().splitlines():
        console.file.write(line.rstrip() + "\n")
    console.file.flush()


def make_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[str] = ()) -> Table:
    """A table of markup without lines.

    Args:
        headings: as they are printed.
        rows: as many cells each.
        left: the headings of columns with texts; all others hold figures, and stand on the right.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(
            heading, overflow="fold", justify="left" if heading in left else "right", no_wrap=heading not in left
        )
    for row in rows:
        table.add_row(*row)
    return table
