"""lmwatch: a Prometheus exporter for LM Studio, with a local model's verdicts on metrics."""

__version__ = "0.1.0"
