"""Values sent between processes arrive as they were sent, and nothing else arrives."""

import json
import math
import pickle
import random

import numpy as np
import pytest
from worker_jobs import Choosy, Fact

from genrekit.isolation.wire import Incoming, Wire, WireError, named

WIRE = Wire([Fact, Choosy])


def through(value, sender=WIRE, receiver=WIRE):
    """Return `value` after sending it in pieces of odd sizes."""
    stream = b"".join(sender.pack(value))
    rng = random.Random(1)
    message, at, done = Incoming(1 << 24), 0, False
    while not done:
        room = message.room
        count = min(len(room), rng.randint(1, 9), len(stream) - at)
        assert count, "it wants more than was sent"
        room[:count] = stream[at : at + count]
        at += count
        done = message.add(count)
    assert at == len(stream)
    return receiver.unpack(message.parts)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        10**30,
        0.1,
        math.inf,
        "Größe \ud800 \0 🎵",
        b"",
        b"\0\xff" * 40,
        (),
        (1, [2, (3,)], {"t": {}}),
        {1: "a", (2, 3): b"b", None: []},
        ["c", "builtins:eval", "1"],
        {"tracks": (Fact("a", 0.5, (1, 2)), Choosy(1.0))},
    ],
)
def test_values_arrive_as_they_were_sent(value):
    back = through(value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3, 4)])
def test_arrays_arrive_writable_with_shape_and_type(dtype, shape):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    back = through(array)
    assert back.dtype == array.dtype
    assert back.shape == shape
    np.testing.assert_array_equal(back, array)
    back[...] = 1


def test_arrays_that_are_not_contiguous_and_single_numbers():
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(through(array.T[::2]), array.T[::2])
    assert through((np.float32(0.5), np.int64(3), np.bool_(True))) == (0.5, 3, True)
    assert math.isnan(through(math.nan))


@pytest.mark.parametrize("refer", [["b", 1], ["a", 1, "uint8", 4]])
def test_a_part_is_used_only_once(refer):
    """A short message of many references would fill the receiver's memory."""
    part = bytearray(b"part")

    def unpack(value):
        return WIRE.unpack([bytearray(json.dumps(value).encode()), part])

    assert bytes(unpack(refer)) == b"part"
    for bad in (["t", refer, refer], [refer[0], 0, *refer[2:]], [refer[0], -1, *refer[2:]]):
        with pytest.raises(WireError):
            unpack(bad)


def test_large_values_are_sent_without_copying():
    content = bytes(1000)
    pieces = WIRE.pack((content, np.zeros(10)))
    assert any(piece.obj is content for piece in pieces)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        1j,
        len,
        Fact,
        np.array([object()]),
        np.array(["text"]),
        np.zeros(2, [("a", "f4")]),
    ],
)
def test_only_plain_values_are_sent(value):
    with pytest.raises(WireError, match="cannot be sent"):
        WIRE.pack([value])


def test_a_class_that_was_not_named_is_neither_sent_nor_received():
    nobody = Wire([])
    with pytest.raises(WireError, match="Fact cannot be sent"):
        nobody.pack(Fact("a", 1))
    with pytest.raises(WireError):
        through(Fact("a", 1), receiver=nobody)


def received(code, *others):
    return WIRE.unpack([bytearray(json.dumps(code).encode()), *map(bytearray, others)])


@pytest.mark.parametrize(
    "code",
    [
        ["c", "builtins:eval", "1"],
        ["c", "os:system", "true"],
        ["c", "worker_jobs:echo", 1],
        ["c", "worker_jobs:Fact"],
        ["c", "worker_jobs:Fact", "a", 1, 2, 3],
        ["c", "worker_jobs:Choosy", 7],
        ["c", ["t"], 1],
        ["x", 1],
        [],
        {"a": 1},
        ["d", 1],
        ["d", ["l"], 1],
        ["b", 9],
        ["b", "1"],
        ["a", 1, "object", 1],
        ["a", 1, "O", 1],
        ["a", 1, "S8", 1],
        ["a", 1, "M8[s]", 1],
        ["a", 1, "f4,f4", 1],
        ["a", 1, "float32", 9],
        ["a", 1, "float32", -1, -1],
        ["a", 1, "float32", "1"],
        ["a", 2, "float32", 1],
    ],
)
def test_a_message_of_anything_else_is_refused(code):
    with pytest.raises(WireError, match="not a message"):
        received(code, bytes(8), bytes(5))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", pickle.dumps(1), b"[" * 100_000, b"9" * 10_000]
)
def test_invalid_json_is_refused(text):
    with pytest.raises(WireError, match="not a message"):
        WIRE.unpack([bytearray(text)])


def test_the_refused_values_are_well_formed():
    assert received(["c", "worker_jobs:Fact", "a", 1]) == Fact("a", 1)
    assert received(["c", "worker_jobs:Choosy", 0.7]) == Choosy(0.7)
    assert received(["a", 1, "float32", 2], bytes(8)).shape == (2,)


def announce(*numbers, limit=1000):
    message = Incoming(limit)
    stream = b"".join(number.to_bytes(8, "little") for number in numbers)
    while stream:
        room = message.room
        count = min(len(room), len(stream))
        room[:count] = stream[:count]
        stream = stream[count:]
        message.add(count)
    return message


def test_a_message_that_is_too_large_is_refused_before_it_is_read():
    assert len(announce(2, 400, 600).parts[1]) == 600
    with pytest.raises(WireError, match="1001 bytes"):
        announce(2, 400, 601)
    for parts in (0, 1 << 40):
        with pytest.raises(WireError, match="parts"):
            announce(parts)


def test_types_are_found_by_their_names():
    again = Wire(map(named, WIRE.names))
    assert through(Fact("b", 0.1), receiver=again) == Fact("b", 0.1)
