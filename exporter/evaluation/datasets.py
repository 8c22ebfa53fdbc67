"""Reading labelled data, whose layout its files tell."""

from collections.abc import Callable
from pathlib import Path

from exporter.errors import BadDataError
from exporter.evaluation.labelled import Dataset, Layout
from exporter.evaluation.nab import is_nab, read_nab
from exporter.evaluation.nezha import is_nezha, read_nezha
from exporter.evaluation.smd import is_smd, read_smd

_LAYOUTS: dict[Layout, tuple[Callable[[Path], bool], Callable[[Path], Dataset], str]] = {
    "nab": (is_nab, read_nab, "windows.json and <group>/<name>.csv"),
    "smd": (is_smd, read_smd, "<machine>.npz"),
    "nezha": (is_nezha, read_nezha, "<day>/faults.json and <day>/<pod>_metric.csv.gz"),
}


def read_dataset(path: Path) -> Dataset:
    """Labelled data in one of the layouts that are known.

    Args:
        path: the folder that holds it; for `nab` also one group in it, for `nezha` also one day.

    Raises:
        BadDataError: no layout is recognised, or a file cannot be used; names file, line and what to do.
    """
    folder = path.resolve()
    if not folder.is_dir():
        raise BadDataError(
            f"{path}: {'is no folder' if folder.exists() else 'does not exist'}; name the folder of the data"
        )
    layout = _layout_of(folder)
    if layout is None:
        raise BadDataError(f"{path}: no labelled data here. {_looked_for()}{_suggestion(path)}")
    return _LAYOUTS[layout][1](folder)


def _layout_of(folder: Path) -> Layout | None:
    return next((layout for layout, (recognises, _, _) in _LAYOUTS.items() if recognises(folder)), None)


def _looked_for() -> str:
    return "Looked for " + "; ".join(f"{files} ({layout})" for layout, (_, _, files) in _LAYOUTS.items())


def _suggestion(path: Path) -> str:
    better = sorted(str(child) for child in path.glob("*") if child.is_dir() and _layout_of(child.resolve()))
    return f". There is some in {', '.join(better)}" if better else ""
