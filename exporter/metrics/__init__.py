"""What lmwatch exposes to Prometheus: the catalogue of metrics, how they are filled, and how they are written out."""
