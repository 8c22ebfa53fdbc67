"""The compose file as Docker would read it without any environment, and what is documented about its images."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def load(name: str | Path) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def interpolated(text: str, environ: dict[str, str]) -> str:
    """`${NAME:-default}` as compose replaces it; a variable without a default has to be in the environment."""
    return _VARIABLE.sub(lambda found: environ.get(found[1]) or _default(found), text)


def _default(found: re.Match[str]) -> str:
    assert found[2] is not None, f"{found[0]} has no default"
    return found[2]


def compose(environ: dict[str, str] | None = None) -> dict[str, Any]:
    text = interpolated((ROOT / "docker-compose.yml").read_text(), environ or {})
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@dataclass(frozen=True)
class Image:
    """What an image's own Dockerfile or documentation says of it."""

    user: str
    port: int
    programs: frozenset[str]
    """What a health check may start."""
    config: str = ""
    """The folder that its configuration is read from."""
    state: str = ""
    """The folder that it writes to, which belongs to the user."""


# The Dockerfiles in the repositories of Prometheus, Alertmanager and node_exporter (the tag without a suffix is made of
# busybox, which brings wget; it runs as nobody) and Grafana's page "Configure a Grafana Docker image" (Alpine, user 472).
IMAGES = {
    "prom/prometheus:v3.15.0": Image(
        "65534:65534", 9090, frozenset({"/bin/promtool", "wget"}), "/etc/prometheus", "/prometheus"
    ),
    "prom/alertmanager:v0.34.1": Image(
        "65534:65534", 9093, frozenset({"/bin/amtool", "wget"}), "/etc/alertmanager", "/alertmanager"
    ),
    "prom/node-exporter:v1.12.1": Image("65534:65534", 9100, frozenset({"wget"})),
    "grafana/grafana:13.2.3": Image("472:0", 3000, frozenset({"wget"}), "/etc/grafana", "/var/lib/grafana"),
    "lmwatch:0.1.0": Image("65532:65532", 9917, frozenset({"python"}), "/etc/lmwatch", "/var/lib/lmwatch"),
    "lmwatch:0.1.0-embedded": Image("65532:65532", 1234, frozenset({"python"})),
}
