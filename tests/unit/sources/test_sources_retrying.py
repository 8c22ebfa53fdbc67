"""What answers say about asking again."""

import pytest
from requests.structures import CaseInsensitiveDict

from exporter.sources.retrying import LONGEST_SECONDS, may_help, retry_after

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 599])
def test_a_refusal_of_the_moment_may_end(status: int):
    assert may_help(status)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410, 413])
def test_a_refusal_of_the_request_does_not(status: int):
    assert not may_help(status)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "30"}, 30.0),
        ({"Retry-After": " 5 "}, 5.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "86400"}, LONGEST_SECONDS),
        ({"Retry-After": "9" * 5000}, LONGEST_SECONDS),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "1.5"}, 0.0),
        ({"Retry-After": "٣"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:20 GMT", "Date": DATE}, 20.0),
        ({"Retry-After": "Wed, 21 Oct 2026 09:28:20 +0200", "Date": DATE}, 20.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:20 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Thu, 22 Oct 2026 07:27:20 GMT", "Date": DATE}, LONGEST_SECONDS),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:20 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:20 -0000", "Date": DATE}, 0.0),
        ({"Retry-After": "Wed, 99 Oct 2026 07:28:20 GMT", "Date": DATE}, 0.0),
    ],
)
def test_what_a_server_asks_for_is_honoured_within_bounds(headers: dict[str, str], seconds: float):
    assert retry_after(CaseInsensitiveDict(headers)) == seconds
