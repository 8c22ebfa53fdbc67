"""The bridge to Alertmanager: from scores to alerts, and to everyone that has to know of them."""
