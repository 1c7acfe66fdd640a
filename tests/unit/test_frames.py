"""Compressed bodies of the embedded ClickHouse."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded import frames


def split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.binary(max_size=5_000), st.integers(1, 700))
def test_frames_there_and_back(data: bytes, size: int) -> None:
    packed = b"".join(frames.to_frames(split(data, size)))
    assert b"".join(frames.from_frames(split(packed, size))) == data


def test_a_frame_as_clickhouse_writes_it() -> None:
    # `SELECT 1 FORMAT TSV` of clickhouse-server with compress=1: the two bytes in one LZ4 frame.
    data = b"".join(frames.to_frames([b"1\n"]))
    assert data[16] == frames.LZ4
    assert int.from_bytes(data[17:21], "little") == len(data) - 16
    assert int.from_bytes(data[21:25], "little") == 2


@pytest.mark.parametrize("at", [0, 15, 17, 22, 26, -1])
def test_a_damaged_frame_is_refused(at: int) -> None:
    packed = bytearray(b"".join(frames.to_frames([b"some data that is long enough" * 10])))
    packed[at] ^= 0x55
    with pytest.raises(frames.FrameError):
        b"".join(frames.from_frames([bytes(packed)]))


def test_a_cut_frame_is_refused() -> None:
    packed = b"".join(frames.to_frames([b"data"]))
    with pytest.raises(frames.FrameError):
        b"".join(frames.from_frames([packed[:-1]]))


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "lz4"])
def test_content_encodings_there_and_back(name: str) -> None:
    offered = frames.encoder(f"br, {name};q=0.5")
    assert offered is not None
    assert offered[0] == name
    data = b"a line of text\n" * 50_000
    packed = b"".join(offered[1](split(data, 100_000)))
    assert len(packed) < len(data) / 5
    assert b"".join(frames.decode(split(packed, 999), name)) == data
    with pytest.raises(frames.FrameError):
        b"".join(frames.decode([b"nonsense, not compressed"], name))


def test_several_gzip_members_and_deflate() -> None:
    assert b"".join(frames.decode([gzip.compress(b"a") + gzip.compress(b"b")], "gzip")) == b"ab"
    assert b"".join(frames.decode([zlib.compress(b"a")], "deflate")) == b"a"


def test_nothing_known_is_accepted() -> None:
    assert frames.encoder("br, gzip;q=0, *") is None
    with pytest.raises(frames.FrameError, match="unknown Content-Encoding"):
        b"".join(frames.decode([b""], "br"))
