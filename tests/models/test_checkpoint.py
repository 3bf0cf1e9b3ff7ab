"""The reader of TensorFlow checkpoints, on checkpoints written here byte by byte."""

import struct

import numpy as np
import pytest

from genrekit.errors import ModelError
from models.pretraining.checkpoint import read_checkpoint

MAGIC = bytes.fromhex("57fb808b247547db")
FLOAT32, INT64 = 1, 9


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def whole(field, value):
    return varint(field << 3) + varint(value)


def message(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


def entry(shape, offset, size, dtype=FLOAT32, checksum=0xC0FFEE):
    dimensions = b"".join(message(2, whole(1, n)) for n in shape)
    where = (whole(4, offset) if offset else b"") + whole(5, size)
    fixed = varint(6 << 3 | 5) + struct.pack("<I", checksum)
    return whole(1, dtype) + message(2, dimensions) + where + fixed


def block(pairs, kind=b"\0"):
    """A block whose keys leave out what they share with the one before."""
    content, last = b"", b""
    for key, value in pairs:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
            min(len(key), len(last)),
        )
        content += varint(shared) + varint(len(key) - shared) + varint(len(value))
        content += key[shared:] + value
        last = key
    content += struct.pack("<II", 0, 1)  # one restart, at the beginning
    return content, content + kind + b"crc!"


def table(blocks, kind=b"\0"):
    """A table of several data blocks, an empty index of metadata and the footer."""
    out, handles = b"", []
    for pairs in blocks:
        content, stored = block(pairs, kind)
        handles.append((pairs[-1][0], varint(len(out)) + varint(len(content))))
        out += stored
    meta, stored = block([])
    meta_handle = varint(len(out)) + varint(len(meta))
    out += stored
    index, stored = block(handles)
    footer = meta_handle + varint(len(out)) + varint(len(index))
    return out + stored + footer.ljust(40, b"\0") + MAGIC


def checkpoint(tensors, kind=b"\0"):
    data, pairs = b"", [(b"", b"\x08\x01")]
    for name, tensor in sorted(tensors.items()):
        dtype = FLOAT32 if tensor.dtype == np.float32 else INT64
        pairs.append((name.encode(), entry(tensor.shape, len(data), tensor.nbytes, dtype)))
        data += tensor.tobytes()
    return table([pairs[:3], pairs[3:]], kind), data


TENSORS = {
    "conv2d/bias": np.arange(3, dtype=np.float32),
    "conv2d/kernel": np.arange(2 * 4 * 1 * 3, dtype=np.float32).reshape(2, 4, 1, 3) / 7,
    "conv2d_1/kernel": np.full((200, 5), -1.5, np.float32),
    "scale": np.float32(2.5).reshape(()),
}


def test_every_tensor_comes_back():
    read = read_checkpoint(*checkpoint(TENSORS))
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(read[name], tensor)
        assert read[name].shape == tensor.shape
        assert read[name].dtype == np.float32


def test_other_types_are_left_out():
    steps = {"global_step": np.int64([1200])}
    assert read_checkpoint(*checkpoint(TENSORS | steps)).keys() == TENSORS.keys()


def test_a_compressed_block_is_refused():
    with pytest.raises(ModelError, match="no checkpoint .* compressed blocks"):
        read_checkpoint(*checkpoint(TENSORS, kind=b"\1"))


def test_what_is_no_checkpoint_is_refused():
    with pytest.raises(ModelError, match="no LevelDB table"):
        read_checkpoint(bytes(100), b"")
    with pytest.raises(ModelError, match="no checkpoint"):
        read_checkpoint(b"", b"")
    index, data = checkpoint(TENSORS)
    with pytest.raises(ModelError, match="no checkpoint"):
        read_checkpoint(index, data[:20])
