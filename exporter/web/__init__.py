"""The HTTP side of lmwatch: `/metrics`, the management endpoints, the API and the pages."""
