"""Stretches of a run, made ahead of the eye: the network at many moments, to be played."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.teaching.diagnosis import Finding, diagnose
from genrekit.teaching.run import EpochRecord, Run

__all__ = ["Stretch", "even_grain", "make_stretch"]

# Moments between two searches for problems.
LOOK_EVERY: Final = 10


@dataclass(frozen=True)
class Stretch:
    """A part of a run.

    Attributes
    ----------
    moments : ndarray, shape (moments, 3 + parameters)
        Examples seen, `mse` and `held_out_mse` as in `Snapshot` (NaN where unknown), parameters;
        all finite but these two.
    epochs : list of EpochRecord, those that ended in it
    findings : list of (examples seen, problems from there on)
    """

    moments: NDArray[np.float64]
    epochs: list[EpochRecord]
    findings: list[tuple[int, list[Finding]]]


def even_grain(run: Run, most: int) -> int:
    """Return the examples between the moments of a whole run that has at most `most` of them.

    The same number of moments falls into each epoch, the end of which is one, or of epochs on each
    moment.
    """
    in_epoch = most // run.epochs
    n = len(run.inputs)
    return math.ceil(n / in_epoch) if in_epoch else n * math.ceil(run.epochs / most)


def make_stretch(run: Run, grain: int, most: int, examples: int, steps: int = 0) -> Stretch:
    """Advance a run, and keep a moment every `grain` examples and at ends of epochs.

    The first moment is the run as it is, and the first `steps` follow each example or batch. The
    stretch ends after `most` moments, after `examples` or a little more, or where the run does.
    """
    first, n, end = run.epoch, len(run.inputs), run.seen + examples
    rows = [_row(run)] if not run.broken else []
    findings = [(run.seen, diagnose(run))]
    looked = 0
    while len(rows) < most and not run.finished and run.seen < end:
        stride = grain if len(rows) > steps else 1
        run.advance(stride // n * n or min(stride, n - run.seen % n))
        if not run.broken:
            rows.append(_row(run))
        if run.finished or (run.seen % n == 0 and len(rows) > looked + LOOK_EVERY):
            looked = len(rows)
            # What broke a run is told at its last moment.
            findings.append((int(rows[-1][0]), diagnose(run)))
    return Stretch(np.array(rows), run.history[first:], findings)


def _row(run: Run) -> NDArray[np.float64]:
    now = run.moment()
    return np.array([now.seen, now.mse, now.held_out_mse, *now.parameters])
