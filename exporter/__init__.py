"""lmwatch: a Prometheus exporter and alerting bridge for LM Studio."""

__version__ = "0.1.0"
