"""Fixtures that start the real thing."""

import pytest
from real_programs import NodeExporter, Prometheus


@pytest.fixture
def prometheus(tmp_path):
    """Starts real Prometheus servers with a configuration, each in a folder of its own."""
    started = []

    def start(config: str) -> Prometheus:
        server = Prometheus(config, tmp_path / f"prometheus{len(started)}")
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def node_exporter(tmp_path):
    """A real node_exporter; as a string, its address."""
    with NodeExporter(tmp_path / "node_exporter.log") as exporter:
        yield exporter
