"""Remote files: what fsspec reaches by a URL, such as s3://, gs://, sftp:// or https://.

A file is downloaded whole into a temporary file before it is read, and uploaded whole when it is
written. fsspec finds the credentials, and is imported for the first URL only.
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
    """A file or folder by its URL; `stamp` is its version, as its folder's listing has it."""

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
        """Return every file below this folder, by its relative path; DatasetError if none."""
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
        """Download the file to `local`; FileNotFoundError, PermissionError or DatasetError."""
        with _plain_errors("read", self.url, pass_on=(FileNotFoundError, PermissionError)):
            system, path = _file_system(self.url)
            with system.open(path, "rb", cache_type="readahead") as source, local.open("wb") as to:
                shutil.copyfileobj(source, to, _BYTES_AT_ONCE)

    def store(self, local: Path) -> None:
        """Upload `local`; the file that was there stays until the upload is complete."""
        with _plain_errors("written", self.url):
            system, path = _file_system(self.url)
            with system.transaction, system.open(path, "wb") as to, local.open("rb") as source:
                shutil.copyfileobj(source, to, _BYTES_AT_ONCE)

    def check(self) -> None:
        """Raise DatasetError or SettingsError if URLs of this kind cannot be used here."""
        with _plain_errors("used", self.url):
            _file_system(self.url)


Location = Path | RemoteFile
LocationName = str | os.PathLike[str] | RemoteFile


def local_path(name: str | os.PathLike[str]) -> Path:
    """Return a path of this machine; SettingsError for other types and for a NUL in `name`."""
    if not isinstance(name, str | os.PathLike) or not isinstance(os.fspath(name), str):
        raise SettingsError(f"{name!r:.40} is no path: give one path, as text.")
    if "\0" in os.fspath(name):
        raise SettingsError(f"{os.fspath(name)!r:.40} is no path: it contains a NUL.")
    return Path(name)


def location(name: LocationName) -> Location:
    """Return a local path, also for a file:// URL, or a remote file; raise as `local_path`."""
    if isinstance(name, RemoteFile):
        return name
    if not isinstance(name, str) or not _URL.match(name):
        return local_path(name)
    if name.lower().startswith("file://"):
        return Path(unquote(name[len("file://") :]))
    return RemoteFile(name)


@contextmanager
def local_copy(source: Location) -> Iterator[Path]:
    """Yield a local path itself, or a download that lasts as long as the block."""
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
    found: tuple[Any, str] = url_to_fs(url)
    return found


@contextmanager
def _plain_errors(what: str, url: str, pass_on: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise any error, of whatever library, as one plain sentence."""
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
