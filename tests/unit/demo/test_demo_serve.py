"""Addresses of `lmwatch embedded`; that it serves is seen in tests/integration/test_deploy_files.py."""

import pytest

from exporter.demo.serve import serve_model
from exporter.errors import ConfigError


@pytest.mark.parametrize("listen", ["1234", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536"])
def test_what_is_no_address_is_refused_before_the_model_is_loaded(listen: str) -> None:
    with pytest.raises(ConfigError, match="no address to listen on"):
        serve_model(model=None, listen=listen)
