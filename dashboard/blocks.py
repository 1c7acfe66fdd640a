"""Rows in blocks, as a stream brings them: columns of Arrow, and items for who wants Python's values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dashboard import rows
from dashboard.columns import Column
from dashboard.rows import Item

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Block:
    """Rows, with the values that items have: JSON columns as text.

    Args:
        arrays: by the column's name and all of one length. Texts are valid UTF-8, those of few different values perhaps
            a dictionary.
    """

    __slots__ = ("arrays",)

    def __init__(self, arrays: Mapping[str, pa.Array]) -> None:
        self.arrays = arrays

    @classmethod
    def of(cls, columns: Sequence[Column], found: pa.Table) -> Block:
        """A block of what `ClickHouse.arrow` gives for what `selected` says of each column; more may follow."""
        return cls(
            {
                column.name: pa.concat_arrays([_text(piece) for piece in array.chunks])
                for column, array in zip(columns, found.columns, strict=False)
            }
        )

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __iter__(self) -> Iterator[Item]:
        names = tuple(self.arrays)
        for part in self.parts(1000):  # Python's values take many times as much memory
            for values in zip(*map(_values, part.arrays.values()), strict=True):
                yield dict(zip(names, values, strict=True))

    def parts(self, rows: int) -> Iterator[Block]:
        """The block in smaller ones of at most so many rows."""
        for first in range(0, len(self), rows):
            yield Block({name: array.slice(first, rows) for name, array in self.arrays.items()})

    def last(self, name: str) -> Any:
        """A column's value in the last row."""
        return _values(self.arrays[name][-1:])[0]

    def filter(self, mask: pa.BooleanArray) -> Block:
        """The rows where `mask` is true."""
        return Block({name: array.filter(mask) for name, array in self.arrays.items()})


def selected(column: Column) -> str:
    """The expression that a block reads a column with."""
    if column.kind == "address":  # as `rows.address` makes it, for as many addresses as there may be
        text = f"toString({column.name})"
        return f"multiIf({text} = '::', '', startsWith({text}, '::ffff:'), substring({text}, 8), {text})"
    return f"toString({column.name})" if column.kind == "uuid" or column.choices else column.name


def counted(array: pa.Array) -> list[tuple[str, int]]:
    """How often each text is in the lists of an array, in the order of their first row."""
    return [(entry["values"], entry["counts"]) for entry in pc.value_counts(array.flatten()).to_pylist()]


def _text(array: pa.Array) -> pa.Array:
    """Bytes as text, in which what is not UTF-8 is replaced; other values as they are."""
    if pa.types.is_dictionary(array.type):
        return pa.DictionaryArray.from_arrays(array.indices, _text(array.dictionary))
    if pa.types.is_list(array.type):
        items = array.values.dictionary_decode() if pa.types.is_dictionary(array.values.type) else array.values
        return pa.ListArray.from_arrays(array.offsets, _text(items))
    if pa.types.is_string(array.type):  # what ClickHouse calls one need not be UTF-8
        array = array.cast(pa.binary())
    if not pa.types.is_binary(array.type):
        return array
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([rows.text(value) for value in array.to_pylist()], pa.string())


def _values(array: pa.Array) -> list[Any]:
    """Python's values of an array."""
    if pa.types.is_timestamp(array.type):
        return [_EPOCH + dt.timedelta(milliseconds=count) for count in array.cast(pa.int64()).to_pylist()]
    if pa.types.is_dictionary(array.type):
        known = array.dictionary.to_pylist()
        return [known[index] for index in array.indices.to_pylist()]
    return list(array.to_pylist())
