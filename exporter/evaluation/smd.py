"""The layout of the Server Machine Dataset: one `.npz` file a machine, the first part without labels.

Su et al., "Robust Anomaly Detection for Multivariate Time Series through Stochastic Recurrent Neural Network", KDD 2019.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.npyio import NpzFile

from exporter.errors import BadDataError
from exporter.evaluation.labelled import Case, Dataset, LabelledWindow
from exporter.evaluation.spans import true_spans
from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Series

METRIC = "machine_metric"
INTERVAL = 60.0
START = 0.0
"""Unix seconds of the first row: the data have no dates, and a time in 1970 says so."""

_NEEDED = ("train", "test", "label")
_FAULTS = ("fault_intervals", "fault_dimensions")


def is_smd(path: Path) -> bool:
    """Whether a folder has `.npz` files in it."""
    return any(path.glob("*.npz"))


def read_smd(path: Path) -> Dataset:
    """One case a machine, in the order of their names: `train` to learn from, `test` judged, as one series a minute.

    `label` decides what is a window: each unbroken run of ones. `fault_intervals`, which may overlap, only tell the
    culprits of the windows that they touch: their end is the row after the last in some files, and the last in others.

    Raises:
        BadDataError: names file and array.
    """
    return Dataset(path.name, "smd", tuple(_read_case(file) for file in sorted(path.glob("*.npz"))))


@dataclass(frozen=True, eq=False)
class _Machine:
    train: FloatArray
    """[rows × dimensions]."""
    test: FloatArray
    label: BoolArray
    """[rows of `test`]."""
    intervals: IntArray
    """[faults × 2]."""
    culprits: tuple[tuple[int, ...], ...]
    """[faults]: dimensions, counted from 0."""


def _read_case(file: Path) -> Case:
    machine = _read_machine(file)
    learned = len(machine.train)
    values = np.ascontiguousarray(np.concatenate([machine.train, machine.test]).T)
    times = START + INTERVAL * np.arange(values.shape[1], dtype=np.float64)
    digits = max(2, len(str(len(values))))
    return Case(
        name=file.stem,
        series=tuple(
            Series(METRIC, (("dimension", f"{number:0{digits}d}"),), type="gauge")
            for number in range(1, len(values) + 1)
        ),
        group_by=(),
        times=times,
        values=values,
        interval=INTERVAL,
        judged_from=learned,
        windows=tuple(
            LabelledWindow(float(times[learned + first]), float(times[learned + last]), _at_fault(machine, first, last))
            for first, last in np.transpose(true_spans(machine.label)).tolist()
        ),
    )


def _at_fault(machine: _Machine, first: int, last: int) -> tuple[int, ...]:
    touching = (machine.intervals[:, 0] <= last) & (machine.intervals[:, 1] >= first)
    return tuple(sorted({culprit for fault in np.flatnonzero(touching) for culprit in machine.culprits[fault]}))


def _read_machine(file: Path) -> _Machine:
    arrays = _arrays(file)
    train, test = (_matrix(file, name, arrays[name]) for name in ("train", "test"))
    if train.shape[1] != test.shape[1]:
        raise BadDataError(
            f"{file}: train has {train.shape[1]} columns and test {test.shape[1]}; they must be the same"
        )
    if arrays["label"].shape != (len(test),):
        raise BadDataError(f"{file}: label has shape {arrays['label'].shape}; expected one entry a row of test")
    if arrays["label"].dtype.kind not in "biuf":
        raise BadDataError(f"{file}: label is {arrays['label'].dtype}; expected 0 and 1, or false and true")
    return _Machine(train, test, arrays["label"] != 0, *_faults_of(file, arrays, dimensions=test.shape[1]))


def _faults_of(
    file: Path, arrays: Mapping[str, npt.NDArray[np.generic]], *, dimensions: int
) -> tuple[IntArray, tuple[tuple[int, ...], ...]]:
    """Intervals, and the culprits in each; none where the file does not say."""
    intervals = arrays.get("fault_intervals", np.empty((0, 2), dtype=np.intp))
    if intervals.size and (intervals.shape[1:] != (2,) or intervals.dtype.kind not in "iu"):
        raise BadDataError(
            f"{file}: fault_intervals is {intervals.dtype} {intervals.shape}; expected whole numbers, faults × 2"
        )
    named = np.atleast_1d(arrays.get("fault_dimensions", np.empty(0, dtype=np.str_))).tolist()
    if len(named) != len(intervals):
        raise BadDataError(f"{file}: fault_dimensions has {len(named)} entries and fault_intervals {len(intervals)}")
    culprits = tuple(_dimensions(file, str(numbers), dimensions) for numbers in named)
    return intervals.reshape(-1, 2).astype(np.intp), culprits


def _arrays(file: Path) -> dict[str, npt.NDArray[np.generic]]:
    try:
        # np.load would leave a file open that is no archive.
        with file.open("rb") as opened, NpzFile(opened, allow_pickle=False) as archive:
            found = {name: archive[name] for name in (*_NEEDED, *_FAULTS) if name in archive}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadDataError(f"{file}: cannot be read as a .npz archive: {error}") from error
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise BadDataError(f"{file}: has no array {' and no '.join(missing)}; needed are {', '.join(_NEEDED)}")
    return found


def _matrix(file: Path, name: str, array: npt.NDArray[np.generic]) -> FloatArray:
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise BadDataError(f"{file}: {name} is {array.dtype} {array.shape}; expected numbers, rows × metrics")
    return array.astype(np.float64)


def _dimensions(file: Path, numbers: str, count: int) -> tuple[int, ...]:
    try:
        found = tuple(int(number) - 1 for number in numbers.split(",") if number.strip())
    except ValueError:
        found = (-1,)
    if not all(0 <= one < count for one in found):
        raise BadDataError(f"{file}: fault_dimensions: {numbers!r}; expected numbers from 1 to {count}, as in 1,9,12")
    return found
