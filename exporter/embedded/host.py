"""Real figures of this machine, by psutil: what a small node exporter would say."""

from collections.abc import Iterator
from typing import Any

from exporter.embedded.exposition_text import Family, by_label, plain
from exporter.errors import LmwatchError


class Host:
    """This machine.

    Raises:
        LmwatchError: psutil is not installed.
    """

    def __init__(self) -> None:
        try:
            import psutil  # noqa: PLC0415 - an extra: only the demo target needs it
        except ImportError as error:
            raise LmwatchError(
                "the demo target needs the package psutil: install lmwatch with the extra `embedded`"
            ) from error
        self._psutil: Any = psutil

    def families(self) -> Iterator[Family]:
        """The figures of this moment; what the system does not tell is left out."""
        yield from self._processor()
        yield from self._memory()
        yield from self._disk()
        yield from self._network()

    def _processor(self) -> Iterator[Family]:
        times = self._psutil.cpu_times()
        modes = ((mode, getattr(times, mode)) for mode in times._fields if not mode.startswith("guest"))
        yield by_label("host_cpu_seconds_total", "counter", "Seconds the processors spent in each mode.", "mode", modes)
        yield plain("host_cpu_count", "gauge", "Logical processors.", self._psutil.cpu_count() or 1)
        load = self._psutil.getloadavg()[0]
        yield plain("host_load1", "gauge", "Load average over one minute.", load)
        yield plain("host_boot_time_seconds", "gauge", "Unix time of the last boot.", self._psutil.boot_time())

    def _memory(self) -> Iterator[Family]:
        memory, swap = self._psutil.virtual_memory(), self._psutil.swap_memory()
        yield plain("host_memory_total_bytes", "gauge", "Memory there is.", memory.total)
        yield plain("host_memory_available_bytes", "gauge", "Memory that programs can still get.", memory.available)
        yield plain("host_swap_used_bytes", "gauge", "Swap in use.", swap.used)

    def _disk(self) -> Iterator[Family]:
        usage = self._psutil.disk_usage("/")
        root = "mountpoint", [("/", float(usage.total))]
        yield by_label("host_filesystem_size_bytes", "gauge", "Size of the file system.", *root)
        free = [("/", float(usage.free))]
        yield by_label("host_filesystem_avail_bytes", "gauge", "Free space for programs.", "mountpoint", free)
        counters = self._psutil.disk_io_counters()
        if counters is not None:
            yield plain("host_disk_read_bytes_total", "counter", "Bytes read from disks.", counters.read_bytes)
            yield plain("host_disk_written_bytes_total", "counter", "Bytes written to disks.", counters.write_bytes)

    def _network(self) -> Iterator[Family]:
        devices = sorted((self._psutil.net_io_counters(pernic=True) or {}).items())
        received = [(name, float(counters.bytes_recv)) for name, counters in devices]
        sent = [(name, float(counters.bytes_sent)) for name, counters in devices]
        if devices:
            yield by_label("host_network_receive_bytes_total", "counter", "Bytes received.", "device", received)
            yield by_label("host_network_transmit_bytes_total", "counter", "Bytes sent.", "device", sent)
