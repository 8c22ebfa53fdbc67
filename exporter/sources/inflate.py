"""Content decoding piece by piece: gzip and deflate, never more than a piece in memory."""

import zlib
from collections.abc import Iterator

PIECE = 1 << 18
"""Most bytes that come out at once, so that a small body that unpacks to gigabytes can be stopped on the way."""
_GZIP_MAGIC = b"\x1f\x8b"
_HEADER = 2
"""Bytes that tell a gzip member from padding, and the zlib format from raw deflate."""


class Inflater:
    """Undoes one `Content-Encoding`.

    Raises:
        ValueError: the encoding is none that lmwatch asks for.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        self._packed = self._encoding not in ("", "identity")
        if self._packed and self._encoding not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(f"content encoding {encoding!r}, where gzip, deflate or none was asked for")
        self._decoder = zlib.decompressobj()
        self._started = False
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these further bytes of the body unpack to, in pieces of up to PIECE bytes.

        Raises:
            ValueError: the bytes are not of this encoding.
        """
        if not self._packed:
            yield data
            return
        data, self._rest = self._rest + data, b""
        while data:
            if (self._decoder.eof or not self._started) and not self._begin(data):
                return
            try:
                yield self._decoder.decompress(data, PIECE)
            except zlib.error:
                raise ValueError(f"the body is not {self._encoding} as its header says") from None
            data = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail

    def finish(self) -> None:
        """Check that the body was whole.

        Raises:
            ValueError: the packed body ends too early.
        """
        if (self._started and not self._decoder.eof) or (self._rest and not self._started):
            raise ValueError(f"the {self._encoding} body ends too early")

    def _begin(self, data: bytes) -> bool:
        """Start on the body, or on its next gzip member; False for padding after it, or too little to tell."""
        if len(data) < _HEADER:
            self._rest = data
            return False
        if self._encoding == "deflate":
            if self._started:
                return False
            # RFC 9110 means the zlib format (RFC 1950: a multiple of 31, method 8); some servers send raw deflate.
            zlib_header = int.from_bytes(data[:_HEADER]) % 31 == 0 and data[0] & 0x0F == 8
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
        elif self._started and not data.startswith(_GZIP_MAGIC):
            return False
        else:
            self._decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._started = True
        return True
