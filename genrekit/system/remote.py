"""Files elsewhere: what fsspec reaches by a URL, such as s3://, gs://, sftp:// or https://.

A file is fetched whole into a temporary file before it is read, and stored whole when it is
written. Credentials are those that fsspec finds by itself. fsspec is imported when the first
URL is met: local paths never need it.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from genrekit.errors import DatasetError, SettingsError

__all__ = ["Location", "LocationName", "RemoteFile", "local_copy", "local_path", "location"]

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BYTES_AT_ONCE: Final = 1 << 22


@dataclass(frozen=True)
class RemoteFile:
    """A file or folder by its URL; `stamp` is what its folder's listing says of its version."""

    url: str
    stamp: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "RemoteFile":
        return RemoteFile(f"{self.url.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rstrip("/").rpartition("/")[2]

    def files_below(self) -> dict[str, "RemoteFile"]:
        """Every file in this folder and its folders, by its path below it.

        Raises
        ------
        DatasetError
            It cannot be listed, or there is nothing.
        """
        with _plain_errors("read", self.url):
            system, root = _file_system(self.url)
            found = system.find(root, detail=True)
        if not found:
            raise DatasetError(f"{self.url} is no folder with files: check the address.")
        below = {path.removeprefix(root.rstrip("/") + "/"): found[path] for path in sorted(found)}
        return {
            name: RemoteFile((self / name).url, json.dumps(about, sort_keys=True, default=str))
            for name, about in below.items()
        }

    def fetch(self, local: Path) -> None:
        """Copy the file to `local`, a few megabytes at a time.

        Raises
        ------
        FileNotFoundError, PermissionError
        DatasetError
            The connection or the store failed.
        """
        with _plain_errors("read", self.url, pass_on=(FileNotFoundError, PermissionError)):
            system, path = _file_system(self.url)
            with system.open(path, "rb", cache_type="readahead") as source, local.open("wb") as to:
                shutil.copyfileobj(source, to, _BYTES_AT_ONCE)

    def store(self, local: Path) -> None:
        """Copy `local` there: what stood there stays until the copy is complete.

        Raises
        ------
        DatasetError
        """
        with _plain_errors("written", self.url):
            system, path = _file_system(self.url)
            with system.transaction, system.open(path, "wb") as to, local.open("rb") as source:
                shutil.copyfileobj(source, to, _BYTES_AT_ONCE)

    def check(self) -> None:
        """Know before the work whether URLs like this one can be used here.

        Raises
        ------
        DatasetError, SettingsError
        """
        with _plain_errors("used", self.url):
            _file_system(self.url)


Location = Path | RemoteFile
LocationName = str | os.PathLike[str] | RemoteFile


def local_path(name: str | os.PathLike[str]) -> Path:
    """The path of a file or folder on this machine.

    Raises
    ------
    SettingsError
        It is none: another type, or a text with a NUL, which no system takes.
    """
    if not isinstance(name, str | os.PathLike) or not isinstance(os.fspath(name), str):
        raise SettingsError(f"{name!r:.40} is no path: give one path, as text.")
    if "\0" in os.fspath(name):
        raise SettingsError(f"{os.fspath(name)!r:.40} is no path: it holds a NUL.")
    return Path(name)


def location(name: LocationName) -> Location:
    """A local path, also from a file:// URL, or a file elsewhere.

    Raises
    ------
    SettingsError
        As `local_path`.
    """
    if isinstance(name, RemoteFile):
        return name
    if not isinstance(name, str) or not _URL.match(name):
        return local_path(name)
    text = name
    if text.lower().startswith("file://"):
        return Path(unquote(text[len("file://") :]))
    return RemoteFile(text)


@contextmanager
def local_copy(source: Location) -> Iterator[Path]:
    """The file as a local one, for as long as the block lasts.

    Raises
    ------
    FileNotFoundError, PermissionError, DatasetError
        Only for a file elsewhere; a local path is passed through.
    """
    if isinstance(source, Path):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="genrekit-") as folder:
        local = Path(folder) / source.name
        source.fetch(local)
        yield local


def _file_system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise SettingsError(
            f"{url} is a URL, and fsspec, which reads those, is not installed: "
            "pip install -r requirements-cluster.txt"
        ) from None
    system, path = url_to_fs(url)
    return system, path


@contextmanager
def _plain_errors(what: str, url: str, pass_on: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Each store's library has errors of its own: all become one plain sentence."""
    through: tuple[type[Exception], ...] = (DatasetError, SettingsError, *pass_on)
    try:
        yield
    except through:
        raise
    except FileNotFoundError:
        raise DatasetError(f"{url} cannot be {what}: there is no such file or folder.") from None
    except PermissionError:
        raise DatasetError(
            f"{url} cannot be {what}: the store refuses it; check the credentials."
        ) from None
    except ImportError as error:
        raise SettingsError(f"{url} cannot be {what} yet: {error}") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(
            f"{url} cannot be {what}: {reason:.200}. Check the address, the credentials and the "
            "network, and run again."
        ) from None
