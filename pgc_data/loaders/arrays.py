"""Arrow columns as NumPy arrays, without pandas or polars, which worker processes that were forked cannot use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pgc_data.errors import DataError

_DTYPES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def is_numeric(type_: pa.DataType) -> bool:
    """Whether values are numbers, booleans, or lists of fixed sizes of them, and so fit into one array."""
    if pa.types.is_fixed_size_list(type_):
        return is_numeric(type_.value_type)
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_boolean(type_))


def shape_of(type_: pa.DataType) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape of one value, and the dtype of its numbers.

    Example:
        >>> shape_of(pa.list_(pa.list_(pa.float32(), 3), 21))
        ((21, 3), dtype('float32'))
    """
    if pa.types.is_fixed_size_list(type_):
        shape, dtype = shape_of(type_.value_type)
        return (type_.list_size, *shape), dtype
    name = str(type_)
    return (), np.dtype(_DTYPES.get(name, name))


def to_array(column: pa.ChunkedArray, name: str) -> NDArray[Any]:
    """A numeric column as an array: n values, each of the shape that `shape_of` says.

    Nulls become NaN.

    Raises:
        DataError: there are nulls among integers or booleans.
    """
    chunks = [_values(chunk, name) for chunk in column.chunks]
    if len(chunks) == 1:
        return chunks[0]
    shape, dtype = shape_of(column.type)
    return np.concatenate([np.empty((0, *shape), dtype), *chunks])


def _values(array: pa.Array, name: str) -> NDArray[Any]:
    shape, dtype = shape_of(array.type)
    if array.null_count and dtype.kind != "f":
        raise DataError(
            f"column {name!r} has {array.null_count} nulls, which no {dtype} can say: leave it out"
        )
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        # Not `flatten`, which leaves out the places of nulls.
        inner = _values(array.values.slice(array.offset * size, len(array) * size), name)
        found = inner.reshape(len(array), *shape)
        if array.null_count:
            found = found.copy()
            found[_values(pc.is_null(array), name)] = np.nan
        return found
    if not len(array):
        return np.empty(0, dtype)
    if array.null_count:
        array = pc.fill_null(array, np.nan)
    start, stop = array.offset, array.offset + len(array)
    if dtype == np.bool_:
        bits = np.frombuffer(array.buffers()[1], np.uint8)[: (stop + 7) // 8]
        return np.unpackbits(bits, count=stop, bitorder="little")[start:].view(np.bool_)
    return np.frombuffer(array.buffers()[1], dtype)[start:stop]


class EncodedImages:
    """The bytes of n images, as one Arrow column holds them: `images[i]` is (bytes,) uint8, not copied."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        """Takes a column of structs with a binary field `bytes`; a null is an image of no bytes."""
        array = pc.struct_field(column.combine_chunks(), "bytes")
        _, offsets, data = array.buffers()
        bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
        self._bounds: list[int] = bounds.tolist()
        self._data = np.frombuffer(data if data is not None else b"", np.uint8)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self._data[self._bounds[index] : self._bounds[index + 1]]
