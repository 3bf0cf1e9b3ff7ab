"""The examples of a run: drawn for a task, or read from a visitor's own numbers.

Inputs have shape (n, inputs), targets (n, 1), both float64.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import SettingsError
from genrekit.teaching.settings import LIMITS, OWN, RunSettings
from genrekit.teaching.tasks import make_task
from genrekit.wording import counted, numeral

__all__ = ["HELD_OUT", "make_examples", "parse_table"]

Array = NDArray[np.float64]

HELD_OUT: Final = 200
# With fewer own rows, none is held out.
ROWS_TO_SPARE: Final = 10


def make_examples(settings: RunSettings) -> tuple[Array, Array, Array, Array]:
    """Make the examples of `settings`; every fifth of a visitor's own rows is held out.

    Returns
    -------
    inputs, targets : the examples to learn from, in order
    held_inputs, held_targets : the examples held out, possibly none

    Raises
    ------
    SettingsError
        The settings' table cannot be read.
    """
    if settings.task == OWN:
        inputs, targets = parse_table(settings.table)
        held = np.zeros(len(inputs), dtype=bool)
        if len(held) >= ROWS_TO_SPARE:
            held[4::5] = True
        return inputs[~held], targets[~held], inputs[held], targets[held]
    return *_draw(settings, settings.examples, 0), *_draw(settings, HELD_OUT, 2)


def _draw(settings: RunSettings, count: int, stream: int) -> tuple[Array, Array]:
    return make_task(
        settings.task,
        count,
        low=settings.low,
        high=settings.high,
        noise=settings.noise,
        seed=np.random.default_rng([settings.seed, stream]),
    )


def parse_table(text: str) -> tuple[Array, Array]:
    """Read pasted rows of numbers into inputs and, from the last column, targets.

    Columns are separated by commas, semicolons, tabs or spaces; beside semicolons or tabs a comma
    is a decimal comma. A first line without any number is a heading.

    Raises
    ------
    SettingsError
        Naming the line, if it is not numbers or differs in length, or if a limit is exceeded.
    """
    if len(text) > LIMITS.table_characters:
        raise SettingsError(
            f"The table has {len(text):,} characters, and {LIMITS.table_characters:,} fit into a "
            "link: paste fewer rows."
        )
    lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if lines and all(_number(cell) is None for cell in _cells(lines[0][1])):
        lines = lines[1:]
    if not 2 <= len(lines) <= LIMITS.table_rows:
        raise SettingsError(
            f"The table has {counted(len(lines), 'row')} of numbers: give 2 to "
            f"{LIMITS.table_rows:,}, one example a line."
        )
    rows = [_row(i, line) for i, line in lines]
    width = len(rows[0])
    for (i, _), row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise SettingsError(
                f"Line {i} has {counted(len(row), 'number')} where the first has {width}: "
                "give each line the same number of columns."
            )
    if not 2 <= width <= LIMITS.table_inputs + 1:
        raise SettingsError(
            f"The table has {counted(width, 'column')}: give 1 to "
            f"{LIMITS.table_inputs} inputs and, last, the target."
        )
    numbers = np.array(rows)
    return numbers[:, :-1].copy(), numbers[:, -1:].copy()


def _cells(line: str) -> list[str]:
    for separator in (";", "\t"):
        if separator in line:
            return [cell.strip().replace(",", ".") for cell in line.split(separator)]
    if "," in line:
        return [cell.strip() for cell in line.split(",")]
    return line.split()


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _row(line_number: int, line: str) -> list[float]:
    row = []
    for cell in _cells(line):
        value = _number(cell)
        if value is None:
            raise SettingsError(
                f'Line {line_number} holds "{cell[:20]}", which is not a number: '
                "correct or remove it."
            )
        if abs(value) > LIMITS.value:
            raise SettingsError(
                f"Line {line_number} holds {numeral(value)}: use numbers up to "
                f"{numeral(LIMITS.value)}, best between 0 and 1."
            )
        row.append(value)
    return row
