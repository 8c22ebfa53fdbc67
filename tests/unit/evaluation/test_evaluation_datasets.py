"""Labelled data is recognised by its files; a folder without any is told what was looked for."""

import json

import numpy as np
import pytest

from exporter.errors import BadDataError
from exporter.evaluation.datasets import read_dataset


def write_nab(folder):
    (folder / "group").mkdir(parents=True)
    (folder / "group" / "a.csv").write_text("timestamp,value\n2014-04-01 00:00:00,1\n2014-04-01 00:05:00,2\n")
    (folder / "windows.json").write_text(json.dumps({"group/a.csv": []}))


def write_smd(folder):
    folder.mkdir()
    np.savez(folder / "m.npz", train=np.ones((2, 1)), test=np.ones((2, 1)), label=np.zeros(2))


def test_layouts_are_told_by_their_files(tmp_path):
    write_nab(tmp_path / "one")
    write_smd(tmp_path / "two")
    assert [read_dataset(tmp_path / name).layout for name in ("one", "two")] == ["nab", "smd"]


def test_a_folder_without_labelled_data_is_told_what_was_looked_for(tmp_path):
    (tmp_path / "a.csv").write_text("timestamp,value\n")
    with pytest.raises(BadDataError) as raised:
        read_dataset(tmp_path)
    text = str(raised.value)
    assert str(tmp_path) in text
    assert all(name in text for name in ("windows.json", "<machine>.npz", "faults.json", "_metric.csv.gz"))
    assert "There is some in" not in text


def test_a_folder_of_data_sets_is_told_which_it_holds(tmp_path):
    write_nab(tmp_path / "one")
    write_smd(tmp_path / "two")
    with pytest.raises(BadDataError, match=f"There is some in {tmp_path / 'one'}, {tmp_path / 'two'}$"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(("name", "message"), [("gone", "does not exist"), ("file", "is no folder")])
def test_what_is_no_folder_is_refused(tmp_path, name, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadDataError, match=f"{name}: {message}; name the folder of the data"):
        read_dataset(tmp_path / name)
