"""Segments: the files in which API events wait for Kafka. One process at a time holds a segment, by a lock.

A segment is a row of frames: length and CRC-32 of what follows (little endian, 4 bytes each), then one record in
MessagePack. Frames are only ever appended, so what a crash tears is the end of a file, and its CRC shows it. The lock
ends with its process: a segment that can be locked has lost its owner, and whoever locks it sends what it holds.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

#: A segment that has grown beyond this is followed by another one, in bytes.
SEGMENT_BYTES = 8 * 1024 * 1024

ENDING = ".spool"
_UNNAMED = ".new"

#: After so many messages, about a millisecond's work, whoever handles more of them calls `give_way`.
BURST = 50

_FRAME = struct.Struct("<II")


class Message(msgspec.Struct, array_like=True, tag="message", gc=False):
    """A Kafka message. `doubt_ms` is the Unix time in ms since when it may be in Kafka already, 0 if it cannot be."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    doubt_ms: int = 0


class Head(msgspec.Struct, array_like=True, tag="head"):
    """First record of a segment: the brokers for which its messages are meant, as `bootstrap.servers` names them."""

    bootstrap: str


class Done(msgspec.Struct, array_like=True, tag="done"):
    """Numbers of messages of this segment (from 0) that Kafka has, or that it will never take."""

    numbers: list[int]


class Trying(msgspec.Struct, array_like=True, tag="trying"):
    """From this Unix time in ms on, any message of this segment may be in Kafka already."""

    at_ms: int


Record = Message | Head | Done | Trying

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


class Segment:
    """An open and locked file of the spool."""

    def __init__(self, path: Path, file: int, size: int) -> None:
        self.path = path
        self.size = size
        self.messages = 0
        #: Whether it holds a `Trying`.
        self.tried = False
        #: Messages that are on their way to Kafka in this process.
        self.in_flight: set[int] = set()
        #: Messages that Kafka has; `keep_acknowledged` writes them down.
        self.acknowledged: set[int] = set()
        self._kept: set[int] = set()
        self._file = file

    @classmethod
    def create(cls, folder: Path, bootstrap: str) -> Segment:
        """A new segment. Raises OSError."""
        path = folder / f"{time.time_ns()}-{os.getpid()}-{secrets.token_hex(4)}{ENDING}"
        # Locked before it gets its name, so that nobody takes it for one that lost its owner.
        unnamed = path.with_suffix(_UNNAMED)
        file = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        segment = cls(path, file, 0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            segment.append([Head(bootstrap)])
            unnamed.rename(path)
        except OSError:
            os.close(file)
            unnamed.unlink(missing_ok=True)
            raise
        return segment

    @classmethod
    def claim(cls, path: Path) -> Segment | None:
        """Take over a segment whose owner is gone; None if it has one, or is no more. Raises OSError."""
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(file)
        except OSError as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                return None
            raise
        if status.st_nlink == 0:  # sent and removed by another process just now
            os.close(file)
            return None
        return cls(path, file, status.st_size)

    def append(self, records: Sequence[Record]) -> list[int]:
        """Append records with one write: all of them, or none.

        Returns:
            The numbers of the messages among them.

        Raises:
            OSError: the disk is full or fails.
        """
        frames = bytearray()
        for record in records:
            body = _encoder.encode(record)
            frames += _FRAME.pack(len(body), zlib.crc32(body))
            frames += body
        view, written = memoryview(frames), 0
        try:
            while written < len(view):
                written += os.write(self._file, view[written:])
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += written
        first = self.messages
        self.messages += sum(isinstance(record, Message) for record in records)
        return list(range(first, self.messages))

    def read(self) -> tuple[list[Record], int]:
        """All records, and how many bytes of a torn end are left out; they are cut off. Raises OSError."""
        content = self.path.read_bytes()
        records: list[Record] = []
        good = 0
        for record, end in _frames(content):
            records.append(record)
            if len(records) % BURST == 0:
                give_way()
            good = end
        if good < len(content):
            os.ftruncate(self._file, good)
        self.size = good
        self.messages = sum(isinstance(record, Message) for record in records)
        return records, len(content) - good

    def keep_acknowledged(self) -> None:
        """Write down what Kafka has, so that whoever takes this segment over does not send it again."""
        fresh = self.acknowledged - self._kept
        if fresh:
            self.append([Done(sorted(fresh))])
            self._kept |= fresh

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fdatasync(self._file)

    def remove(self) -> None:
        """Delete the file: all of it is in Kafka."""
        with suppress(OSError):
            self.path.unlink()
        os.close(self._file)

    def close(self) -> None:
        """Leave the file to whoever claims it next."""
        os.close(self._file)


def give_way() -> None:
    """Let the requests of this process run: while a thread works in Python, they wait for it."""
    time.sleep(0.0005)


def segments(folder: Path) -> list[Path]:
    """The segments of all processes, the oldest first; removes files that a crash left half made. Raises OSError."""
    found = sorted(folder.iterdir())
    for path in found:
        with suppress(FileNotFoundError):
            if path.suffix == _UNNAMED and time.time() - path.stat().st_mtime > 3600:
                path.unlink()
    return [path for path in found if path.suffix == ENDING]


def used(folder: Path) -> int:
    """Bytes of all segments. Raises OSError."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(ENDING):
                with suppress(FileNotFoundError):  # sent and removed meanwhile
                    total += entry.stat().st_size
    return total


def open_folder(folder: Path) -> None:
    """Make the folder, for this user alone.

    Raises:
        OSError: it cannot be made or written, or it belongs to somebody else, who could read or forge events.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written")


def _frames(content: bytes) -> Iterator[tuple[Record, int]]:
    at = 0
    while at + _FRAME.size <= len(content):
        length, crc = _FRAME.unpack_from(content, at)
        end = at + _FRAME.size + length
        body = content[at + _FRAME.size : end]
        if len(body) < length or zlib.crc32(body) != crc:
            return
        try:
            record = _decoder.decode(body)
        except msgspec.DecodeError:
            return
        yield record, end
        at = end
