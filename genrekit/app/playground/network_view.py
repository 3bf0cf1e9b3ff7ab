"""The live network on a page: drawing, error curve, editor and replay, in the browser.

What travels at each update is small: the newest snapshots, and the run so far thinned to fit a
budget of bytes. The browser keeps what it got, so its replay asks nothing of the server.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from genrekit.app.kit.charts import NEGATIVE, POSITIVE
from genrekit.app.kit.component import component
from genrekit.teaching.inspect_run import inspect_example
from genrekit.teaching.run import EpochRecord, Run, Snapshot

__all__ = ["BUDGET", "Packer", "network_view", "unit_names", "weight_names"]

# Bytes of snapshots in one update, at rest and while training, when updates come ten a second.
BUDGET: Final = 80_000
LIVE_BUDGET: Final = 16_000
RECENT: Final = 10
CURVE_POINTS: Final = 300

_mount: Final = component("network_view")


def unit_names(sizes: Sequence[int]) -> list[list[str]]:
    """A short name for each unit of each layer; two inputs are a and b."""
    inputs = ["a", "b"] if sizes[0] == 2 else [f"x{i + 1}" for i in range(sizes[0])]
    hidden = [
        [f"h{i + 1}" if len(sizes) == 3 else f"h{layer}.{i + 1}" for i in range(n)]
        for layer, n in enumerate(sizes[1:-1], start=1)
    ]
    return [inputs, *hidden, ["answer"]]


def weight_names(run: Run) -> list[str]:
    """A label for each of `run.all_weights()`."""
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
        """The newest snapshots and a selection of the older ones, within `budget` bytes."""
        if (tuple(question), target) != (self.question, self.target):
            self.question, self.target, self.packed = tuple(question), target, {}
        here = {snapshot.seen for snapshot in run.snapshots}
        self.packed = {seen: kept for seen, kept in self.packed.items() if seen in here}
        newest = [self._pack(run, snapshot) for snapshot in run.snapshots[-RECENT:]]
        size = max(len(snapshot[-1]) for snapshot in newest) + 60
        older = run.snapshots[:-RECENT]
        room = max(2, budget // size - len(newest))
        if len(older) > room:
            older = [older[i] for i in np.linspace(0, len(older) - 1, room).astype(int)]
        return [self._pack(run, snapshot) for snapshot in older] + newest

    def _pack(self, run: Run, snapshot: Snapshot) -> list[Any]:
        kept = self.packed.get(snapshot.seen)
        if kept is None or kept[0] is not snapshot:
            inside = inspect_example(run, self.question, self.target, snapshot).flat()
            with np.errstate(over="ignore"):
                row = np.concatenate([snapshot.parameters, inside]).astype("<f4")
            packed = [
                snapshot.seen,
                round(snapshot.epoch, 4),
                _finite(snapshot.mse),
                _finite(snapshot.held_out_mse),
                _base64(row),
            ]
            kept = self.packed[snapshot.seen] = (snapshot, packed)
        return kept[1]


def network_view(
    run: Run,
    packer: Packer,
    *,
    question: Sequence[float],
    target: float,
    run_number: int,
    stamp: int,
    training: bool,
    lines: str,
    logarithmic: bool,
    selected: int,
    earlier: Sequence[tuple[str, Sequence[EpochRecord]]] = (),
    key: str,
    on_edit: Callable[[], None],
    on_select: Callable[[], None],
) -> Any:
    """Mount the view; its trigger values are `edit` (a dict) and `select` (a weight's index).

    `lines` says what the lines show, "weights" or "gradients".
    """
    return _mount(
        key=key,
        data={
            "run": run_number,
            "stamp": stamp,
            "version": f"{run_number}:{list(question)}:{target}",
            "sizes": list(run.mlp.layer_sizes),
            "bias": bool(run.mlp.biases),
            "names": unit_names(run.mlp.layer_sizes),
            "colours": {"positive": POSITIVE, "negative": NEGATIVE},
            "snapshots": packer.snapshots(
                run, question, target, LIVE_BUDGET if training else BUDGET
            ),
            "curves": [
                *({"label": label, "rows": _curve(h), "now": False} for label, h in earlier),
                {"label": "now", "rows": _curve(run.history), "now": True},
            ],
            "training": training,
            "epochs": run.epochs,
            "lines": lines,
            "log": logarithmic,
            "selected": selected,
        },
        on_edit_change=on_edit,
        on_select_change=on_select,
    )


def _curve(history: Sequence[EpochRecord]) -> str:
    """Epoch, error and held-out error in threes, thinned to `CURVE_POINTS`."""
    if not history:
        return ""
    at = range(len(history))
    if len(history) > CURVE_POINTS:
        at = np.linspace(0, len(history) - 1, CURVE_POINTS).astype(int).tolist()
    rows = [(history[i].epoch, history[i].mse, history[i].held_out_mse) for i in at]
    with np.errstate(over="ignore"):
        return _base64(np.array(rows, dtype=np.float64).astype("<f4"))


def _base64(array: Any) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def _finite(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None
