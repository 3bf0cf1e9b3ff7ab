"""The tree of errors."""

import pytest

from genrekit import errors


@pytest.mark.parametrize("name", ["AudioError", "DatasetError", "ModelError", "SettingsError"])
def test_one_root_catches_all(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.GenreKitError)
    with pytest.raises(errors.GenreKitError, match=r"^what happened, what to do$"):
        raise kind("what happened, what to do")


def test_settings_are_values_and_the_rest_is_not():
    assert issubclass(errors.SettingsError, ValueError)
    for kind in (errors.AudioError, errors.DatasetError, errors.ModelError):
        assert not issubclass(kind, (ValueError, OSError, RuntimeError))


def test_kinds_do_not_catch_one_another():
    kinds = [errors.AudioError, errors.DatasetError, errors.ModelError, errors.SettingsError]
    for one in kinds:
        assert [issubclass(one, other) for other in kinds].count(True) == 1
