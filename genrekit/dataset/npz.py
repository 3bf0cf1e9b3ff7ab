"""Arrays from NPZ files of strangers, read only if the memory that is free allows it.

The sizes in a zip file's directory may lie, and 2 MB of it may be 2 GB of zeros. So the size of an
array is taken from its own header, and has to be that of its member in the directory, beyond which
zipfile does not unpack. bzip2 and LZMA, which unpack a block of any size at once, are refused.
"""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.system.memory import require_room

__all__ = ["read_arrays"]

_VERSIONS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_HEADER_LETTERS: Final = 10_000


def read_arrays(path: Path, names: Sequence[str], times: float) -> dict[str, NDArray[Any]]:
    """Return arrays of an NPZ file by their names; those that it lacks are left out.

    Parameters
    ----------
    times : float
        The memory that reading them and using them takes, as a multiple of theirs.

    Raises
    ------
    DatasetError
        They would need more memory than there is.
    OSError, DAMAGED_NPZ
        The file cannot be read, or is damaged.
    """
    with zipfile.ZipFile(path) as packed:
        members = {name: f"{name}.npy" for name in names}
        present = set(packed.namelist())
        members = {name: member for name, member in members.items() if member in present}
        need = sum(_unpacked_bytes(packed, member) for member in members.values())
        require_room(path.name, times * need)
        arrays = {}
        for name, member in members.items():
            with packed.open(member) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
        return arrays


def _unpacked_bytes(packed: zipfile.ZipFile, member: str) -> int:
    """Return the bytes of an array; ValueError if header and directory differ on them."""
    about = packed.getinfo(member)
    if about.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member} is packed in a way that NumPy never uses")
    with packed.open(about) as file:
        shape, dtype = _header(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or size != about.file_size - file.tell():
            raise ValueError(f"{member} is not the array that its header describes")
    return size


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    read = _VERSIONS.get(np.lib.format.read_magic(file))
    if read is None:
        raise ValueError("an array with another header than NumPy's of numbers and text")
    shape, _, dtype = read(file, max_header_size=_HEADER_LETTERS)
    return shape, dtype
