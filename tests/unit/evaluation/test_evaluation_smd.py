"""Machines are read as cases: the part without labels first, and windows where the labels are."""

import numpy as np
import pytest

from exporter.errors import BadDataError
from exporter.evaluation.datasets import read_dataset
from exporter.evaluation.labelled import LabelledWindow

MACHINE = {
    "train": np.arange(12, dtype=np.float32).reshape(4, 3),
    "test": np.arange(100, 124, dtype=np.float32).reshape(8, 3),
    "label": np.array([0, 1, 1, 0, 0, 1, 1, 1], dtype=np.uint8),
    "fault_intervals": np.array([[1, 3], [5, 8], [6, 7]], dtype=np.int32),
    "fault_dimensions": np.array(["2", "1,3", "2, 3"]),
}


def write_machine(root, name="machine-9-1", **changes):
    root.mkdir(exist_ok=True)
    arrays = {key: array for key, array in {**MACHINE, **changes}.items() if array is not None}
    np.savez(root / f"{name}.npz", **arrays)
    return root


def test_a_machine_is_judged_from_the_end_of_its_train_part(tmp_path):
    dataset = read_dataset(write_machine(tmp_path / "smd"))
    assert (dataset.name, dataset.layout) == ("smd", "smd")
    (case,) = dataset.cases
    assert (case.name, case.interval, case.judged_from, case.group_by) == ("machine-9-1", 60.0, 4, ())
    assert [str(series) for series in case.series] == [f'machine_metric{{dimension="0{one}"}}' for one in (1, 2, 3)]
    assert case.values[1].tolist() == [1, 4, 7, 10, *range(101, 124, 3)]
    assert (case.values.dtype, case.values.flags.c_contiguous) == (np.float64, True)
    assert np.diff(case.times).tolist() == [60.0] * 11
    assert case.times[0] % (7 * 86400) == 0
    assert case.label[4:].tolist() == MACHINE["label"].astype(bool).tolist()
    assert not case.label[:4].any()


def test_overlapping_faults_are_one_window_with_the_culprits_of_both(tmp_path):
    (case,) = read_dataset(write_machine(tmp_path)).cases
    assert case.windows == (LabelledWindow(300.0, 360.0, (1,)), LabelledWindow(540.0, 660.0, (0, 1, 2)))


@pytest.mark.parametrize("intervals", [[[1, 3], [5, 8], [6, 7]], [[1, 2], [5, 7], [6, 6]]])
def test_culprits_are_the_same_whether_the_last_row_of_a_fault_counts_or_not(tmp_path, intervals):
    (case,) = read_dataset(write_machine(tmp_path, fault_intervals=np.array(intervals))).cases
    assert [window.culprits for window in case.windows] == [(1,), (0, 1, 2)]


def test_without_named_faults_windows_have_no_culprits(tmp_path):
    (case,) = read_dataset(write_machine(tmp_path, fault_intervals=None, fault_dimensions=None)).cases
    assert [window.culprits for window in case.windows] == [(), ()]


def test_machines_come_in_the_order_of_their_names(tmp_path):
    for name in ("machine-3-3", "machine-1-6"):
        write_machine(tmp_path, name)
    assert [case.name for case in read_dataset(tmp_path).cases] == ["machine-1-6", "machine-3-3"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": None, "label": None}, "has no array train and no label"),
        ({"train": np.zeros(4)}, r"train is float64 \(4,\); expected numbers, rows × metrics"),
        ({"test": np.zeros((8, 3), dtype=np.bool_)}, "test is bool"),
        ({"train": np.zeros((4, 2))}, "train has 2 columns and test 3"),
        ({"label": np.zeros(7)}, r"label has shape \(7,\); expected one entry a row of test"),
        ({"label": np.array(list("00110000"))}, "label is <U1; expected 0 and 1, or false and true"),
        ({"fault_intervals": np.arange(3)}, r"fault_intervals is int64 \(3,\); expected whole numbers, faults × 2"),
        ({"fault_intervals": np.zeros((3, 2))}, r"fault_intervals is float64 \(3, 2\); expected whole numbers"),
        ({"fault_dimensions": np.array("1")}, "fault_dimensions has 1 entries and fault_intervals 3"),
        ({"fault_dimensions": np.array(["1"])}, "fault_dimensions has 1 entries and fault_intervals 3"),
        ({"fault_dimensions": np.array(["1", "0", "2"])}, "fault_dimensions: '0'; expected numbers from 1 to 3"),
        ({"fault_dimensions": np.array(["1", "x", "2"])}, "fault_dimensions: 'x'; expected numbers from 1 to 3"),
        ({"label": np.array([{}] * 8)}, "cannot be read as a .npz archive"),
    ],
)
def test_a_mistake_in_a_machine_is_named(tmp_path, changes, message):
    with pytest.raises(BadDataError, match=rf"machine-9-1\.npz: {message}"):
        read_dataset(write_machine(tmp_path, **changes))


def test_half_an_archive_is_named(tmp_path):
    file = write_machine(tmp_path) / "machine-9-1.npz"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(BadDataError, match=r"machine-9-1\.npz: cannot be read as a \.npz archive"):
        read_dataset(tmp_path)
