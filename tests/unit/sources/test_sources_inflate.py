"""Decoding piece by piece gives what decoding at once gives."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.inflate import PIECE, Inflater

PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    " Deflate ": lambda data: zlib.compress(data, wbits=-zlib.MAX_WBITS),
    "": bytes,
    "identity": bytes,
}


def unpack(encoding, parts):
    inflater = Inflater(encoding)
    pieces = [piece for part in parts for piece in inflater.feed(part)]
    inflater.finish()
    return pieces


@given(st.sampled_from(sorted(PACKERS)), st.binary(max_size=2000), st.lists(st.integers(1, 50), max_size=20))
def test_a_body_unpacks_to_itself_however_it_is_cut(encoding, body, cuts):
    packed = PACKERS[encoding](body)
    parts = []
    for cut in cuts:
        parts.append(packed[:cut])
        packed = packed[cut:]
    assert b"".join(unpack(encoding, [*parts, packed])) == body


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), st.integers(1, 9))
def test_gzip_members_are_joined_and_padding_is_ignored(bodies, cut):
    packed = b"".join(gzip.compress(body) for body in bodies) + bytes(8)
    parts = [packed[at : at + cut] for at in range(0, len(packed), cut)]
    assert b"".join(unpack("gzip", parts)) == b"".join(bodies)


def test_no_piece_is_larger_than_the_limit():
    pieces = unpack("gzip", [gzip.compress(bytes(10 * PIECE))])
    assert sum(map(len, pieces)) == 10 * PIECE
    assert max(map(len, pieces)) <= PIECE


@given(st.sampled_from(["gzip", "deflate"]), st.binary(max_size=200))
def test_garbage_is_refused_or_unpacked_but_breaks_in_no_other_way(encoding, garbage):
    with contextlib.suppress(ValueError):
        unpack(encoding, [garbage])


@given(st.sampled_from(["gzip", "deflate"]), st.binary(min_size=1, max_size=200), st.integers(1, 5))
def test_a_body_that_was_cut_off_is_refused(encoding, body, missing):
    packed = PACKERS[encoding](body)
    with pytest.raises(ValueError, match="too early"):
        unpack(encoding, [packed[:-missing]])


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding):
    with pytest.raises(ValueError, match=encoding):
        Inflater(encoding)
