"""What goes to a terminal, and the same without colours, folding and blanks at line ends where it goes into a pipe."""

import sys
from collections.abc import Collection, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

NOTHING: Final = "-"
"""Stands where there is nothing to say."""
_PLAIN_WIDTH: Final = 10_000
"""Columns where the output is no terminal: nothing is folded there."""

_GAP: Final = 2
"""Columns between the columns of a table."""


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


def fitted_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    left: Collection[str] = (),
    expendable: Sequence[str] = (),
) -> Table:
    """A table of markup that leaves out columns rather than fold them, and says which.

    Args:
        headings: as they are printed.
        rows: as many cells each.
        width: of the terminal; None where nothing has to fit.
        left: the headings of columns with texts.
        expendable: the headings of columns that may be left out, the first of them first.
    """
    sizes = [
        max(cell_len(Text.from_markup(cell).plain) for cell in column) for column in zip(headings, *rows, strict=True)
    ]
    kept = list(range(len(headings)))
    for heading in expendable:
        if width is None or sum(sizes[at] for at in kept) + _GAP * (len(kept) - 1) <= width:
            break
        kept = [at for at in kept if headings[at] != heading]
    table = make_table([headings[at] for at in kept], [[row[at] for at in kept] for row in rows], left=left)
    missing = [heading for at, heading in enumerate(headings) if at not in kept]
    if missing:
        table.caption, table.caption_justify, table.caption_style = f"no room for {', '.join(missing)}", "left", "dim"
    return table
