"""The bridge to Alertmanager."""
