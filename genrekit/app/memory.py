"""Keeps Streamlit's garbage collection cheap.

Streamlit collects garbage after every run of a script and of a fragment, and Python then looks at
every object of every imported library: 70 ms with Plotly and pandas, 220 ms with PyTorch, during
which no other visitor is served. What is frozen is not looked at.
"""

import gc
import sys
from functools import cache

__all__ = ["settle"]


def settle() -> None:
    """Exempt from garbage collection what has been imported so far; cheap to call again."""
    _freeze(len(sys.modules))


@cache
def _freeze(modules: int) -> None:
    """Once for each number of `modules`: only imports bring many objects that stay for ever."""
    gc.collect()
    gc.freeze()
