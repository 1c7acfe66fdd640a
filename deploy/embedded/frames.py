"""Compressed bodies: HTTP content encodings, and ClickHouse's own frames (`compress=1`, `decompress=1`)."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import lz4.block
import lz4.frame
from clickhouse_cityhash.cityhash import CityHash128  # type: ignore[import-untyped]

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Checksum (two 64-bit halves), then method, compressed size with this header, size of the data.
CHECKSUM = struct.Struct("<QQ")
HEADER = struct.Struct("<BII")
NONE, LZ4, ZSTD = 0x02, 0x82, 0x90
#: Largest frame that is taken, as in ClickHouse; and how much goes into one frame.
LARGEST = 1 << 30
BLOCK = 1 << 20

#: How much of a body is read at a time.
PIECE = 1 << 17


class FrameError(ValueError):
    """A compressed body that is cut short or damaged."""


class Reader(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, none at the end."""


def pieces(body: Reader) -> Iterator[bytes]:
    """The body in pieces; small ones stay in the processor's cache."""
    while piece := body.read(PIECE):
        yield piece


def decode(body: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Undo the HTTP content encoding `encoding` (gzip, deflate, zstd, lz4).

    Raises:
        FrameError: unknown encoding, or damaged data.
    """
    if encoding in ("", "identity"):
        yield from body
        return
    makers: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.decompressobj(31),
        "deflate": zlib.decompressobj,
        "zstd": zstd.ZstdDecompressor,
        "lz4": lz4.frame.LZ4FrameDecompressor,
    }
    if encoding not in makers:
        raise FrameError(f"unknown Content-Encoding {encoding[:40]!r}; known are {', '.join(makers)}")
    decoder = makers[encoding]()
    try:
        for piece in body:
            rest = piece
            while rest:
                yield decoder.decompress(rest)
                rest = decoder.unused_data
                # One body may be several members behind one another.
                if decoder.eof:
                    decoder = makers[encoding]()
    except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as error:
        raise FrameError(f"damaged {encoding} body: {error}") from error


def encoder(accepted: str) -> tuple[str, Callable[[Iterable[bytes]], Iterator[bytes]]] | None:
    """The first content encoding of the header `accepted` that is known here, and what applies it."""
    known = {"gzip": _gzip, "deflate": _deflate, "zstd": _zstd, "lz4": _lz4}
    for offer in accepted.lower().split(","):
        name, _, weight = offer.strip().partition(";")
        if name in known and weight.replace(" ", "") not in ("q=0", "q=0.0"):
            return name, known[name]
    return None


def _gzip(body: Iterable[bytes]) -> Iterator[bytes]:
    yield from _flushing(body, zlib.compressobj(3, wbits=31))


def _deflate(body: Iterable[bytes]) -> Iterator[bytes]:
    yield from _flushing(body, zlib.compressobj(3))


def _zstd(body: Iterable[bytes]) -> Iterator[bytes]:
    yield from _flushing(body, zstd.ZstdCompressor(level=1))


def _lz4(body: Iterable[bytes]) -> Iterator[bytes]:
    compressor = lz4.frame.LZ4FrameCompressor()
    yield compressor.begin()
    yield from _flushing(body, compressor)


def _flushing(body: Iterable[bytes], compressor: Any) -> Iterator[bytes]:
    for piece in body:
        yield compressor.compress(piece)
    yield compressor.flush()


def to_frames(body: Iterable[bytes]) -> Iterator[bytes]:
    """ClickHouse's LZ4 frames of a body."""
    for piece in body:
        for at in range(0, len(piece), BLOCK):
            data = piece[at : at + BLOCK]
            packed = lz4.block.compress(data, store_size=False)
            frame = HEADER.pack(LZ4, len(packed) + HEADER.size, len(data)) + packed
            yield CHECKSUM.pack(*_halves(frame)) + frame


def from_frames(body: Iterable[bytes]) -> Iterator[bytes]:
    """The data of ClickHouse's frames (not compressed, LZ4 or ZSTD).

    Raises:
        FrameError: damaged data.
    """
    buffer = bytearray()
    start = CHECKSUM.size + HEADER.size
    for piece in body:
        buffer += piece
        while len(buffer) >= start:
            method, packed, size = HEADER.unpack_from(buffer, CHECKSUM.size)
            if max(packed, size) > LARGEST or packed < HEADER.size:
                raise FrameError("a compressed frame gives an impossible size")
            end = CHECKSUM.size + packed
            if len(buffer) < end:
                break
            frame = bytes(buffer[CHECKSUM.size : end])
            if CHECKSUM.unpack_from(buffer) != _halves(frame):
                raise FrameError("the checksum of a compressed frame does not match")
            del buffer[:end]
            yield _unpack(method, frame[HEADER.size :], size)
    if buffer:
        raise FrameError("the compressed body is cut short")


def _halves(frame: bytes) -> tuple[int, int]:
    value = CityHash128(frame)
    return value >> 64, value & 0xFFFF_FFFF_FFFF_FFFF


def _unpack(method: int, data: bytes, size: int) -> bytes:
    try:
        if method == NONE:
            return data
        if method == LZ4:
            unpacked: bytes = lz4.block.decompress(data, uncompressed_size=size)
            return unpacked
        if method == ZSTD:
            return bytes(zstd.decompress(data))
    except (lz4.block.LZ4BlockError, zstd.ZstdError) as error:
        raise FrameError(f"damaged compressed frame: {error}") from error
    raise FrameError(f"unknown compression method {method:#x}")
