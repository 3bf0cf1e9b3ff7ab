"""TensorFlow checkpoints ("tensor bundles"), read with NumPy alone.

A bundle is two files: `.index`, a LevelDB table that says for each tensor's name where it lies, and
`.data-00000-of-00001`, the tensors one after another. Only what a checkpoint of one shard uses is
understood: uncompressed blocks and little-endian float32.

Table: https://github.com/google/leveldb/blob/main/doc/table_format.md
Entries: BundleEntryProto in tensorflow/core/protobuf/tensor_bundle.proto
"""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError

__all__ = ["read_checkpoint"]

_MAGIC: Final = 0xDB4775248B80FB57
_FOOTER_BYTES: Final = 48
_FLOAT32: Final = 1  # DT_FLOAT in tensorflow/core/framework/types.proto
_DTYPE, _SHAPE, _SHARD, _OFFSET, _SIZE = 1, 2, 3, 4, 5  # fields of BundleEntryProto
_DIMENSION, _LENGTH = 2, 1  # fields of TensorShapeProto and of its Dim
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types of Protocol Buffers


def read_checkpoint(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return all float32 tensors of a checkpoint by name.

    Parameters
    ----------
    index, data : bytes
        The contents of the `.index` and the `.data-00000-of-00001` file.

    Returns
    -------
    dict of ndarray, float32
        In TensorFlow's layout: convolutions as (height, width, in, out), dense layers as (in, out).

    Raises
    ------
    ModelError
        The table is damaged, or uses what is not understood.
    """
    try:
        return dict(_tensors(index, data))
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise ModelError(f"This is no checkpoint that can be read here: {error}.") from error


def _tensors(index: bytes, data: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for name, entry in _entries(index):
        if not name:
            continue  # the header: number of shards, byte order, version
        fields = dict(_fields(entry))
        if fields.get(_DTYPE) != _FLOAT32 or fields.get(_SHARD, 0):
            continue
        shape = [
            dict(_fields(dimension)).get(_LENGTH, 0)
            for field, dimension in _fields(fields[_SHAPE])
            if field == _DIMENSION
        ]
        start = fields.get(_OFFSET, 0)
        flat = np.frombuffer(data[start : start + fields[_SIZE]], "<f4")
        yield name.decode(), flat.reshape(shape).astype(np.float32)


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each key of a table with its value, in order."""
    footer = table[-_FOOTER_BYTES:]
    if struct.unpack("<Q", footer[-8:]) != (_MAGIC,):
        raise ValueError("no LevelDB table")
    _, at = _handle(footer, 0)  # of the index of metadata
    index, _ = _handle(footer, at)
    for _, handle in _block(table, index):
        yield from _block(table, _handle(handle, 0)[0])


def _block(table: bytes, where: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of one block; a key may repeat the start of the one before."""
    offset, size = where
    if table[offset + size]:
        raise ValueError("compressed blocks are not understood")
    block = table[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = size - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where the next handle begins."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a Protocol Buffers message: number and value."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire == _FIXED32:
            length = 4
        else:
            raise ValueError(f"wire type {wire} is not understood")
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, and where the next value begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
