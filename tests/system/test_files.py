"""Atomic writing, and the system's errors in plain sentences."""

import errno
import json
import os

import pytest

from genrekit.errors import DatasetError, ModelError
from genrekit.system.files import atomic_write, plain_os_errors, without_nan


def test_a_file_appears_when_the_block_succeeds(tmp_path):
    path = tmp_path / "out.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_the_old_file_stays_whole_when_the_block_fails(tmp_path, error):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail():
        with atomic_write(path) as temporary:
            temporary.write_text("half of")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_temporary_file_remains_when_nothing_was_written(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "x"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(), "x cannot be read: there is no such file or folder."),
        (PermissionError(), "x cannot be read: permission denied; change its permissions."),
        (IsADirectoryError(), "x cannot be read: it is a folder; name a file."),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "x cannot be read: the disk is full; free some space and run again. "
            "The file that was there is untouched.",
        ),
        (
            OSError(errno.EDQUOT, "Quota exceeded"),
            "x cannot be read: the disk is full; free some space and run again. "
            "The file that was there is untouched.",
        ),
        (OSError(errno.EIO, "Input/output error"), "x cannot be read: Input/output error."),
        (OSError("odd"), "x cannot be read: odd."),
        (OSError(), "x cannot be read: OSError."),
    ],
)
@pytest.mark.parametrize("kind", [DatasetError, ModelError])
def test_errors_of_the_operating_system_in_plain_sentences(
    tmp_path, monkeypatch, error, message, kind
):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    with pytest.raises(kind) as caught, plain_os_errors("read", Path("x"), kind):
        raise error
    assert str(caught.value) == message
    assert caught.value.__suppress_context__


def test_other_errors_pass(tmp_path):
    with pytest.raises(ValueError, match="mine"), plain_os_errors("read", tmp_path):
        raise ValueError("mine")


def test_numbers_that_json_lacks():
    value = {"a": [1.5, float("nan"), (float("inf"), {"b": -float("inf")})], "c": "nan", "d": 3}
    clean = without_nan(value)
    assert clean == {"a": [1.5, None, [None, {"b": None}]], "c": "nan", "d": 3}
    assert json.loads(json.dumps(clean, allow_nan=False)) == clean


def test_two_processes_do_not_share_a_temporary_name(tmp_path, monkeypatch):
    names = set()
    for pid in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        with atomic_write(tmp_path / "x") as temporary:
            temporary.touch()
            names.add(temporary)
    assert len(names) == 2
