"""Where target metrics come from: scraped targets, and servers with Prometheus' query API."""
