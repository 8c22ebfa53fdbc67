"""Reading expositions and keeping their values: how fast beside prometheus_client's parser, and in how much memory."""

import itertools
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator

from prometheus_client.parser import text_string_to_metric_families

from exporter.series.exposition import ExpositionReader, Limits
from exporter.series.selector import Selector
from exporter.series.transforms import FrameBuilder, Pick
from exporter.series.window import TargetWindow

SAMPLES = 5000
INTERVAL, HORIZON = 15.0, 3600.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ROUNDS = 7

_MODES = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
_DISK = ("read_bytes", "written_bytes", "reads_completed", "writes_completed", "read_time_seconds", "io_time_seconds")
_NETWORK = ("receive_bytes", "receive_packets", "receive_errs", "transmit_bytes", "transmit_packets", "transmit_drop")
_FILESYSTEM = ("avail_bytes", "free_bytes", "size_bytes", "files", "files_free", "readonly")
_STATES = ("activating", "active", "deactivating", "failed", "inactive")


def families() -> Iterator[tuple[str, str, list[str]]]:
    """Name, type and label sets, as node_exporter exposes them on a large host."""
    yield "node_cpu_seconds_total", "counter", [f'{{cpu="{c}",mode="{m}"}}' for c in range(96) for m in _MODES]
    for what in _DISK:
        yield f"node_disk_{what}_total", "counter", [f'{{device="nvme{d}n1"}}' for d in range(48)]
    for what in _NETWORK:
        yield f"node_network_{what}_total", "counter", [f'{{device="veth{d:08x}"}}' for d in range(120)]
    for what in _FILESYSTEM:
        mounts = [f'{{device="/dev/mapper/vg0-data{m}",fstype="ext4",mountpoint="/srv/data{m}"}}' for m in range(60)]
        yield f"node_filesystem_{what}", "gauge", mounts
    for i in range(120):
        yield f"node_memory_Area{i}_bytes", "gauge", [""]
    units = [f'{{name="worker@{u}.service",state="{s}",type="simple"}}' for u in range(1000) for s in _STATES]
    yield "node_systemd_unit_state", "gauge", units


def exposition(seed: int, samples: int = SAMPLES) -> bytes:
    """The first so many samples, all values drawn anew for each seed, written as Go writes them."""
    numbers = random.Random(seed)
    lines: list[str] = []
    left = samples
    for name, kind, label_sets in families():
        lines += [f"# HELP {name} Statistic {name} of this host.", f"# TYPE {name} {kind}"]
        for labels in itertools.islice(label_sets, left):
            value = numbers.choice((numbers.randrange(10**4), numbers.random() * 10**9, numbers.random() * 100))
            lines.append(f"{name}{labels} {value:.9g}")
        left -= min(left, len(label_sets))
        if not left:
            break
    return ("\n".join(lines) + "\n").encode()


def fastest(action: Callable[[], object]) -> float:
    """CPU seconds of the fastest of several calls."""
    taken = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        action()
        taken.append(time.thread_time() - started)
    return min(taken)


def new_window() -> TargetWindow:
    reader = ExpositionReader((("instance", "host:9100"), ("job", "node")), False, Limits(50_000, 64, 4096))
    return TargetWindow("host:9100", reader, INTERVAL, HORIZON)


class Scrapes:
    """Ingests one body after the other, at one interval's distance."""

    def __init__(self, window: TargetWindow, bodies: list[bytes]) -> None:
        self._window = window
        self._bodies = itertools.cycle(bodies)
        self._at = 0.0

    def __call__(self) -> None:
        self._at += INTERVAL
        self._window.ingest(next(self._bodies), CONTENT_TYPE, self._at)


def row(
    name: str, value: float, unit: str, note: str, *, bar: float | None = None, ok: bool | None = None
) -> dict[str, object]:
    return {"name": name, "value": round(value, 2), "unit": unit, "bar": bar, "ok": ok, "note": note}


def speed() -> Iterator[dict[str, object]]:
    """Against prometheus_client's parser, which only parses."""
    bodies = [exposition(seed) for seed in range(8)]
    theirs = fastest(lambda: sum(len(family.samples) for family in text_string_to_metric_families(bodies[0].decode())))
    first = fastest(lambda: new_window().ingest(bodies[0], CONTENT_TYPE, 0.0))
    same = Scrapes(new_window(), bodies)
    for _ in bodies:
        same()
    alike = fastest(lambda: [same() for _ in bodies]) / len(bodies)
    shorter = [exposition(seed, SAMPLES - seed % 2) for seed in range(8)]
    changing = Scrapes(new_window(), shorter)
    for _ in shorter:
        changing()
    otherwise = fastest(lambda: [changing() for _ in shorter]) / len(shorter)
    for name, taken, bar in (
        ("parse and append, layout unchanged", alike, 30.0),
        ("parse and append, a series comes or goes each time", otherwise, 10.0),
        ("parse and append, all series new", first, 1.0),
    ):
        note = f"{SAMPLES} samples, all values new: {taken * 1e3:.2f} ms; prometheus_client {theirs * 1e3:.1f} ms"
        yield row(name, theirs / taken, "x", note, bar=bar, ok=theirs / taken >= bar)


def memory() -> Iterator[dict[str, object]]:
    """A full window whose series came one by one at the end, so that rows are in reserve."""
    instants = round(HORIZON / INTERVAL) + 1
    bodies = [exposition(seed, SAMPLES - 20 + seed) for seed in range(21)]
    tracemalloc.start()
    window = new_window()
    scrape = Scrapes(window, [bodies[0]] * instants + bodies)
    for _ in range(instants + len(bodies)):
        scrape()
    everything = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    samples = len(window.series) * instants
    value = window.nbytes / samples
    note = f"{samples} samples; {everything / samples:.1f} with names, labels and the reader's layout"
    yield row("memory of a full window", value, "bytes/sample", note, bar=12.0, ok=value <= 12)
    builder = FrameBuilder([Pick(Selector.parse('{__name__=~".+"}'), "auto")], HORIZON)
    frame = builder.build(window)
    taken = fastest(lambda: builder.build(window))
    note = f"{frame.values.shape[0]} series x {frame.values.shape[1]} instants, counters as rates"
    yield row("frame of a whole target", taken * 1e3, "ms", note)


def run() -> list[dict[str, object]]:
    """All rows."""
    return [*speed(), *memory()]


if __name__ == "__main__":
    for found in run():
        print(found)
