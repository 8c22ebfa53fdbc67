import pytest
from series_helpers import Bench


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    return Bench
