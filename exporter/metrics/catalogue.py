"""Every metric that lmwatch exposes, in one table: collectors, dashboards, rules and documentation take names from here.

Source of the conventions: Prometheus' "Writing exporters" and "Metric and label naming".
`python -m exporter.metrics.catalogue` prints the reference page `docs/metrics.md`.
"""

import sys
from types import MappingProxyType

from exporter.metrics import genai, reference
from exporter.metrics.row import Row
from exporter.metrics.rows_alerting import GRAFANA, PUSH, WEBHOOK
from exporter.metrics.rows_lmstudio import LMSTUDIO
from exporter.metrics.rows_lmwatch import PROCESS, SCORES, SELF

CATALOGUE: tuple[Row, ...] = LMSTUDIO + SCORES + SELF + PUSH + WEBHOOK + GRAFANA + PROCESS
_BY_NAME = MappingProxyType({row.name: row for row in CATALOGUE})


def row(name: str) -> Row:
    """The row of the metric with this name.

    Raises:
        KeyError: no metric is called so.
    """
    return _BY_NAME[name]


def reference_page() -> str:
    """The text of `docs/metrics.md`."""
    return reference.markdown(CATALOGUE) + genai.markdown()


if __name__ == "__main__":
    sys.stdout.write(reference_page())
