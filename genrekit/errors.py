"""The errors that GenreKit raises on purpose.

GenreKitError
├── AudioError
├── DatasetError
├── ModelError
└── SettingsError

Each message is one plain sentence for the user: the value, what was expected, and the likely
remedy. Any other error that escapes from the package is a bug.
"""

__all__ = ["AudioError", "DatasetError", "GenreKitError", "ModelError", "SettingsError"]


class GenreKitError(Exception):
    """The base class of all errors raised on purpose."""


class AudioError(GenreKitError):
    """A sound cannot be decoded, or is too short or silent."""


class DatasetError(GenreKitError):
    """A folder of audio, a dataset file or a split cannot be used."""


class ModelError(GenreKitError):
    """A model bundle is missing, damaged or does not fit the data."""


class SettingsError(GenreKitError, ValueError):
    """A parameter is out of range."""
