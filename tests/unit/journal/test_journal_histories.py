"""Histories on disk: what was saved comes back, whatever happens to files and to the one who writes them."""

import dataclasses
import errno
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import TransientError
from exporter.journal.histories import Histories, Remembered, RememberedGroups
from exporter.screening.archive import Archive
from exporter.screening.slots import FIELDS, Code
from exporter.screening.standing import PEAKS, Habits

TARGET = "10.0.0.1:9100"
COUNTED, KNOWN = (len(array) for array in (Archive.empty(2).running, Archive.empty(2).episode))
"""Rows of what is counted of the running slot, and of what is known of episodes."""


def remembered(rows=3, slots=5, fill=1.5, *, seen=1_700_000_000.0, names=None):
    """A history in which every array holds something of its own."""
    count = np.arange(rows * FIELDS * slots, dtype=np.float32).reshape(rows, FIELDS, slots)
    archive = Archive(
        identities=names or [("up", (("instance", str(row)),)) for row in range(rows)],
        kept=count * np.float32(fill),
        unsettled=(np.arange(rows * slots).reshape(rows, slots) % 3 == 0),
        code=Code(np.full(rows, fill), np.full(rows, 2 * fill)),
        running=fill + np.arange(float(COUNTED * rows)).reshape(COUNTED, rows),
        episode=fill - np.arange(float(KNOWN * rows)).reshape(KNOWN, rows),
        last_seen=seen - np.arange(float(rows)),
        slot=int(seen // 3600),
        seen=seen,
    )
    return Remembered(archive, tuple("as auto" if row % 2 else "query up" for row in range(rows)), 3600.0)


def plain(one: Remembered):
    """Everything of it, field by field, comparable; a field that is not kept would show as a difference."""
    parts = {}
    for field in dataclasses.fields(one.archive):
        value = getattr(one.archive, field.name)
        if isinstance(value, Code):
            parts |= {"offset": value.offset, "scale": value.scale}
        else:
            parts[field.name] = value
    return {
        **{
            name: (part.dtype.str, part.shape, part.tobytes()) if isinstance(part, np.ndarray) else part
            for name, part in parts.items()
        },
        "meanings": one.meanings,
        "slot_length": one.slot_length,
    }


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "lmwatch.db.history"


@pytest.fixture
def histories(folder):
    return Histories(folder)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def numbers(rows):
    return st.lists(
        st.floats(width=64) | st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -0.0]),
        min_size=rows,
        max_size=rows,
    ).map(np.array)


@st.composite
def anything(draw):
    """Any history: other shapes, hostile names, every kind of number."""
    rows, slots = draw(st.integers(0, 4)), draw(st.integers(2, 6))
    name = st.text(min_size=1, max_size=8)
    labels = st.dictionaries(name, st.text(max_size=12), max_size=3).map(lambda pairs: tuple(sorted(pairs.items())))
    identities = draw(st.lists(st.tuples(name, labels), min_size=rows, max_size=rows))
    small = draw(numbers(rows * FIELDS * slots))
    with np.errstate(over="ignore"):
        kept = small.astype(np.float32).reshape(rows, FIELDS, slots)
    archive = Archive(
        identities=identities,
        kept=kept,
        unsettled=np.array(
            draw(st.lists(st.booleans(), min_size=rows * slots, max_size=rows * slots)), dtype=bool
        ).reshape(rows, slots),
        code=Code(draw(numbers(rows)), draw(numbers(rows))),
        running=draw(numbers(COUNTED * rows)).reshape(COUNTED, rows),
        episode=draw(numbers(KNOWN * rows)).reshape(KNOWN, rows),
        last_seen=draw(numbers(rows)),
        slot=draw(st.integers(-1, 2**40)),
        seen=draw(st.just(-np.inf) | st.floats(allow_nan=False, allow_infinity=False)),
    )
    meanings = tuple(draw(st.lists(st.text(max_size=10), min_size=rows, max_size=rows)))
    return Remembered(archive, meanings, draw(st.floats(1, 1e9)))


@given(anything(), st.text(max_size=300))
@settings(max_examples=60)
def test_what_was_saved_comes_back_bit_by_bit(tmp_path_factory, one, target):
    histories = Histories(tmp_path_factory.mktemp("histories"))
    histories.save("w", target, one)
    found = histories.load("w", target)
    assert plain(found) == plain(one)
    found.archive.kept[:] = 0  # what comes back can be gone on with


def test_each_target_of_each_watch_has_its_own(histories):
    wanted = {("a", "t:1"): 1.0, ("a", "t:2"): 2.0, ("A", "t:1"): 3.0, ("a", "../../t"): 4.0, ("a", "x" * 5000): 5.0}
    for (watch, target), fill in wanted.items():
        histories.save(watch, target, remembered(fill=fill))
    assert {key: histories.load(*key).archive.code.offset[0] for key in wanted} == wanted
    assert histories.load("b", "t:1") is None
    assert histories.of("a").load("t:2").archive.code.offset[0] == 2.0


def test_saving_again_takes_the_place_of_what_was_there(histories, folder):
    for fill in (1.0, 2.0):
        histories.save("w", TARGET, remembered(fill=fill))
    assert plain(histories.load("w", TARGET)) == plain(remembered(fill=2.0))
    assert only_file(folder).suffix == ".history"


def test_only_the_owner_may_read(histories, folder):
    before = os.umask(0)
    try:
        histories.save("w", TARGET, remembered())
    finally:
        os.umask(before)
    assert (folder.stat().st_mode & 0o777, only_file(folder).stat().st_mode & 0o777) == (0o700, 0o600)


def test_nothing_was_saved_yet(histories, folder):
    assert histories.load("w", TARGET) is None
    assert histories.prune(2e9) == 0
    assert not folder.exists()


def damages():
    """Ways in which a file can be spoilt, by name."""
    yield "empty", lambda _: b""
    yield "cut off in the header", lambda data: data[:40]
    yield "cut off at the end", lambda data: data[:-1]
    yield "longer than it was", lambda data: data + b"\0"
    yield "another program's", lambda _: b"SQLite format 3\0" + bytes(100)
    yield "of another version", lambda data: data.replace(b"lmwatch history 1\n", b"lmwatch history 2\n")
    for place in (0, 18, 30, 300, -5, -1):
        yield f"byte {place} flipped", lambda data, at=place: _flipped(data, at)


def _flipped(data, at):
    spoilt = bytearray(data)
    spoilt[at] ^= 0x10
    return bytes(spoilt)


@pytest.mark.parametrize(("spoil"), [pytest.param(spoil, id=name) for name, spoil in damages()])
def test_a_file_that_cannot_be_used_is_set_aside_with_one_warning(histories, folder, caplog, spoil):
    histories.save("w", TARGET, remembered())
    path = only_file(folder)
    path.write_bytes(spoil(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert histories.load("w", TARGET) is None
        assert histories.load("w", TARGET) is None
    assert len(caplog.records) == 1
    assert only_file(folder).name == f"{path.name}.damaged-1"
    histories.save("w", TARGET, remembered(fill=7.0))
    assert histories.load("w", TARGET).archive.code.offset[0] == 7.0


@given(st.data())
@settings(max_examples=150)
def test_no_damage_to_a_file_goes_unnoticed_or_stops_a_start(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("histories")
    histories = Histories(folder)
    histories.save("w", TARGET, remembered(rows=2, slots=3))
    path = only_file(folder)
    whole = path.read_bytes()
    spoilt = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if spoilt:
            spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(spoilt)
    found = histories.load("w", TARGET)
    assert (found is not None) == (bytes(spoilt) == whole)


def test_a_file_of_another_target_is_not_taken_for_this_ones(histories, folder):
    histories.save("w", "other:1", remembered())
    theirs = only_file(folder)
    histories.save("w", TARGET, remembered())
    (ours,) = set(folder.iterdir()) - {theirs}
    theirs.replace(ours)
    assert histories.load("w", TARGET) is None


def test_a_file_of_another_layout_of_arrays_is_not_used(histories):
    one = remembered()
    one.archive.running = one.archive.running[1:]
    histories.save("w", TARGET, one)
    assert histories.load("w", TARGET) is None


def test_several_damaged_files_get_names_of_their_own(histories, folder):
    for number in (1, 2):
        histories.save("w", TARGET, remembered())
        path = next(path for path in folder.iterdir() if path.suffix == ".history")
        path.write_bytes(b"x" * number)
        assert histories.load("w", TARGET) is None
    assert sorted(path.name[-9:] for path in folder.iterdir()) == ["damaged-1", "damaged-2"]


def test_a_full_disk_leaves_what_was_there_and_nothing_unfinished(histories, folder, monkeypatch):
    histories.save("w", TARGET, remembered(fill=1.0))

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TransientError, match="No space left"):
        histories.save("w", TARGET, remembered(fill=2.0))
    assert plain(histories.load("w", TARGET)) == plain(remembered(fill=1.0))
    assert only_file(folder).suffix == ".history"


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    histories = Histories(tmp_path / "file" / "lmwatch.db.history")
    with pytest.raises(TransientError, match="file"):
        histories.save("w", TARGET, remembered())


WRITER = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from test_journal_histories import TARGET, Histories, remembered
histories = Histories(Path({folder!r}))
for fill in range(1, 1_000_000):
    histories.save("w", TARGET, remembered(rows=2000, slots=100, fill=float(fill)))
    print(fill, flush=True)
"""


def test_kill_9_leaves_a_whole_history_and_the_next_save_clears_up(histories, folder):
    """Killed at moments that differ by as much as a save takes: each time what is there is what was saved last, or next."""
    script = WRITER.format(here=str(Path(__file__).parent), folder=str(folder))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as writer:
        saved = [int(writer.stdout.readline()) for _ in range(3)][-1]
        writer.kill()
        saved = max([saved, *map(int, writer.stdout.read().split())])
    found = histories.load("w", TARGET)
    fill = found.archive.code.offset[0]
    assert fill in (saved, saved + 1)
    assert plain(found) == plain(remembered(rows=2000, slots=100, fill=fill))
    histories.save("w", TARGET, remembered())
    assert only_file(folder).suffix == ".history"


def test_saves_of_the_same_target_at_the_same_time_do_not_mix(histories, folder):
    wanted = [plain(remembered(rows=300, slots=50, fill=float(fill))) for fill in (1, 2)]
    threads = [
        threading.Thread(
            target=lambda fill=fill: [
                histories.save("w", TARGET, remembered(rows=300, slots=50, fill=fill)) for _ in range(15)
            ]
        )
        for fill in (1.0, 2.0)
    ]
    histories.save("w", TARGET, remembered(rows=300, slots=50, fill=1.0))
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert plain(histories.load("w", TARGET)) in wanted
    for thread in threads:
        thread.join()
    assert only_file(folder).suffix == ".history"


def test_what_was_not_saved_for_long_is_removed_with_all_that_is_left_of_it(histories, folder):
    histories.save("w", "gone:1", remembered())
    (old,) = folder.iterdir()
    for suffix in ("", ".tmp", ".damaged-1"):
        path = old.with_name(old.name + suffix)
        path.touch()
        os.utime(path, (1000.0, 1000.0))
    (folder / "note.txt").touch()
    os.utime(folder / "note.txt", (1000.0, 1000.0))
    histories.save("w", TARGET, remembered())
    assert histories.prune(2000.0) == 3
    assert histories.load("w", "gone:1") is None
    assert histories.load("w", TARGET) is not None
    assert (folder / "note.txt").exists()


def test_without_a_folder_what_is_saved_is_handed_over_once():
    histories = Histories(None)
    one = remembered()
    histories.save("w", TARGET, one)
    assert histories.load("w", TARGET) is one
    assert histories.load("w", TARGET) is None
    assert histories.prune(2e9) == 0


def groups(count=2, fill=1.5):
    """Habits in which every array holds something of its own."""
    keys = tuple((("instance", f"db{number}"), ("zone", 'a"\n\u00e9')) for number in range(count))
    peaks = fill + np.arange(float(count * PEAKS)).reshape(count, PEAKS)
    peaks[:, PEAKS // 2 :] = np.nan
    return RememberedGroups(Habits(keys, fill * np.arange(4.0 * count).reshape(count, 4), peaks), "of x")


def plain_groups(one):
    habits = one.habits
    return habits.keys, habits.state.tobytes(), habits.peaks.tobytes(), one.meaning


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_is_remembered_of_groups_comes_back_too(histories, count):
    histories.save("w", "", remembered())
    histories.save_groups("w", groups(count))
    histories.save_groups("W", groups(count, fill=9.0))
    assert plain_groups(histories.load_groups("w")) == plain_groups(groups(count))
    assert plain_groups(histories.of("W").load_groups()) == plain_groups(groups(count, fill=9.0))
    assert histories.load_groups("other") is None
    assert plain(histories.load("w", "")) == plain(remembered())


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: data[:-1], id="cut off"),
        pytest.param(lambda data: _flipped(data, 60), id="a byte flipped"),
        pytest.param(lambda data: data.replace(b"history 1\n", b"history 2\n"), id="of another version"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_a_file_of_groups_that_cannot_be_used_is_set_aside(histories, folder, caplog, spoil):
    histories.save_groups("w", groups())
    path = only_file(folder)
    path.write_bytes(spoil(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert histories.load_groups("w") is None
    assert only_file(folder).name == f"{path.name}.damaged-1"
    assert len(caplog.records) == 1


def test_groups_of_another_watch_are_not_taken_for_this_ones(histories, folder):
    histories.save_groups("other", groups())
    theirs = only_file(folder)
    histories.save_groups("w", groups())
    (ours,) = set(folder.iterdir()) - {theirs}
    theirs.replace(ours)
    assert histories.load_groups("w") is None


def test_groups_are_pruned_with_the_rest_and_handed_over_once_without_a_folder(histories, folder):
    histories.save_groups("w", groups())
    os.utime(only_file(folder), (1000.0, 1000.0))
    assert histories.prune(2000.0) == 1
    in_memory, one = Histories(None), groups()
    in_memory.save_groups("w", one)
    assert in_memory.load_groups("w") is one
    assert in_memory.load_groups("w") is None
