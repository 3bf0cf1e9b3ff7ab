"""The errors GenreKit raises on purpose.

GenreKitError
├── AudioError      a sound that cannot be read, or not as music
├── DatasetError    a folder or a dataset file that cannot be used
├── ModelError      a model bundle that cannot be used
└── SettingsError   a parameter outside its range

Each message is one plain sentence for the person who caused it: the value met, what was
expected, and the likely remedy. Anything else that escapes from the package is a defect.
"""

__all__ = ["AudioError", "DatasetError", "GenreKitError", "ModelError", "SettingsError"]


class GenreKitError(Exception):
    """Root of all errors raised on purpose."""


class AudioError(GenreKitError):
    """A sound cannot be decoded, or holds nothing to work with."""


class DatasetError(GenreKitError):
    """A folder of audio, a dataset file or a split cannot be used."""


class ModelError(GenreKitError):
    """A model bundle is missing, damaged or does not fit the data."""


class SettingsError(GenreKitError, ValueError):
    """A parameter is outside its range."""
