"""Equal but for rounding.

The same sum comes out a little different with other instructions, more threads, or numbers that
lie elsewhere in memory, and learning makes the difference larger. So what was computed twice is
compared with a tolerance, and two runs of training by how far their weights have come.
"""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch


def assert_alike(one: Any, other: Any, rel: float = 1e-4, near: float = 1e-5) -> None:
    """Of the same kind and the same in all but their last digits; whole numbers by one at most."""
    assert type(other) is type(one)
    if is_dataclass(one):
        for field in fields(one):
            assert_alike(getattr(one, field.name), getattr(other, field.name), rel, near)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        assert_alike(list(one.values()), list(other.values()), rel, near)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_alike(a, b, rel, near)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        most = near if one.dtype.kind == "f" else 1.01
        np.testing.assert_allclose(
            one.astype(float), other.astype(float), rtol=rel, atol=most, equal_nan=True
        )
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=rel, abs=near, nan_ok=True)
    elif isinstance(one, bytes):
        assert len(one) == len(other)
    else:
        assert one == other


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Root mean square of the difference between the weights of two runs."""
    return float((one - other).square().mean().sqrt())


# No run of the tests' few steps of 0.001 that went another way ends as near; rounding keeps it
# a hundred times below.
SAME_RUN = 1e-4
