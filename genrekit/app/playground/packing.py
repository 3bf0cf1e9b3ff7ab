"""The numbers of a run, packed for the drawing in the browser.

Each update carries the newest snapshots, and a selection of the older ones within a budget of
bytes. The browser keeps what it got, so that its replay asks nothing of the server.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from genrekit.teaching.inspect_run import dry_run
from genrekit.teaching.run import EpochRecord, Run, Snapshot

__all__ = ["BUDGET", "LIVE_BUDGET", "Packer", "pack_curve", "unit_names", "weight_names"]

# Bytes of snapshots in one update, at rest and while training, when updates come ten a second.
BUDGET: Final = 80_000
LIVE_BUDGET: Final = 16_000
RECENT: Final = 10
CURVE_POINTS: Final = 300


def unit_names(sizes: Sequence[int]) -> list[list[str]]:
    """Name each unit of each layer in short; two inputs are a and b."""
    inputs = ["a", "b"] if sizes[0] == 2 else [f"x{i + 1}" for i in range(sizes[0])]
    hidden = [
        [f"h{i + 1}" if len(sizes) == 3 else f"h{layer}.{i + 1}" for i in range(n)]
        for layer, n in enumerate(sizes[1:-1], start=1)
    ]
    return [inputs, *hidden, ["answer"]]


def weight_names(run: Run) -> list[str]:
    """Name each of `run.all_weights()`."""
    names = unit_names(run.mlp.layer_sizes)
    return [
        f"bias of {names[w.layer + 1][w.target]}"
        if w.source is None
        else f"{names[w.layer][w.source]} → {names[w.layer + 1][w.target]}"
        for w in run.all_weights()
    ]


@dataclass
class Packer:
    """Packs snapshots for the browser; keeps each as long as the run and the question stay."""

    question: tuple[float, ...] = ()
    target: float = 0.0
    packed: dict[int, tuple[Snapshot, list[Any]]] = field(default_factory=dict)

    def snapshots(
        self, run: Run, question: Sequence[float], target: float, budget: int = BUDGET
    ) -> list[list[Any]]:
        """Pack the newest snapshots and a selection of the older ones, within `budget` bytes."""
        if (tuple(question), target) != (self.question, self.target):
            self.question, self.target, self.packed = tuple(question), target, {}
        here = {snapshot.seen for snapshot in run.snapshots}
        self.packed = {seen: kept for seen, kept in self.packed.items() if seen in here}
        newest = [self._pack(run, snapshot) for snapshot in run.snapshots[-RECENT:]]
        size = max(len(packed[-1]) for packed in newest) + 60
        older = run.snapshots[:-RECENT]
        older = [older[i] for i in _spread(len(older), max(2, budget // size - len(newest)))]
        return [self._pack(run, snapshot) for snapshot in older] + newest

    def _pack(self, run: Run, snapshot: Snapshot) -> list[Any]:
        kept = self.packed.get(snapshot.seen)
        if kept is None or kept[0] is not snapshot:
            inside = dry_run(run, self.question, self.target, snapshot).inside()
            packed = [
                snapshot.seen,
                round(snapshot.epoch, 4),
                _finite(snapshot.mse),
                _finite(snapshot.held_out_mse),
                _base64(np.concatenate([snapshot.parameters, inside])),
            ]
            kept = self.packed[snapshot.seen] = (snapshot, packed)
        return kept[1]


def pack_curve(history: Sequence[EpochRecord]) -> str:
    """Pack epoch, error and held-out error in threes, thinned to `CURVE_POINTS`."""
    records = (history[i] for i in _spread(len(history), CURVE_POINTS))
    rows = [(record.epoch, record.mse, record.held_out_mse) for record in records]
    return _base64(np.array(rows, dtype=np.float64))


def _spread(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` indices, evenly spread, with both ends."""
    return np.linspace(0, count - 1, min(count, most)).astype(int).tolist()


def _base64(array: Any) -> str:
    with np.errstate(over="ignore"):
        return base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None
