"""Where the files are that come with GenreKit beside its code: models, examples, pages."""

from pathlib import Path
from typing import Final

__all__ = ["data_folder", "shipped_folder"]

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_IN_A_WHEEL: Final = _PACKAGE / "shipped"


def shipped_folder() -> Path:
    """Return the folder with ``streamlit_app.py``, ``pages``, ``models`` and ``examples``.

    It is the top of the repository, or in the package where a wheel was installed (see setup.py).
    """
    return _IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _PACKAGE.parent


def data_folder() -> Path:
    """Return the folder for what is made: the top of the repository, or one of the user's own."""
    if not _IN_A_WHEEL.is_dir():
        return _PACKAGE.parent
    from platformdirs import user_data_path

    return user_data_path("genrekit", appauthor=False)
