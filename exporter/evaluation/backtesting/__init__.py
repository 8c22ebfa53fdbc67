"""What the configured watches would have made of the past of a Prometheus."""
