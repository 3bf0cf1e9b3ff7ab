"""Problems of a run, found early; `diagnosis.toml` has their words and likely remedies."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.system.records import read_toml
from genrekit.teaching.mlp import MLP
from genrekit.teaching.run import Run
from genrekit.teaching.settings import RunSettings
from genrekit.wording import agree, counted, numeral

__all__ = ["Finding", "diagnose"]

Array = NDArray[np.float64]

# Examples shown to the network when its units are examined.
SAMPLE: Final = 200
_WORDS: Final = read_toml(__file__)


@dataclass(frozen=True)
class Finding:
    """A problem of a run: what happened, and the likely remedy."""

    kind: str
    message: str
    remedy: str


def _finding(kind: str, **values: object) -> Finding:
    words = _WORDS[kind]
    return Finding(kind, words["message"].format(**values), words["remedy"])


def diagnose(run: Run) -> list[Finding]:
    """Find the problems of a run, the most urgent first; none where all is well."""
    if run.broken:
        return [_finding("overflow")]
    net = run.network()
    net.forward(run.inputs[:: max(1, len(run.inputs) // SAMPLE)])
    checks = [
        _exploding(run),
        _unreachable(run.settings, run.targets),
        _no_slope(net),
        _dead(run, net),
        _saturated(net),
        _twins(run.settings, net),
    ]
    found = [finding for finding in checks if finding]
    stuck = _no_progress(run) if not found or found[0].kind == "saturated" else None
    return [*found, stuck] if stuck else found


# The range of each activation.
_REACH: Final = {
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "step": (0.0, 1.0),
    "identity": (-math.inf, math.inf),
}

# Net inputs beyond which the slope is under 1/50 of its peak: hardly any error passes back.
_FLAT_BEYOND: Final = {"sigmoid": 5.3, "tanh": 2.65}


def _exploding(run: Run) -> Finding | None:
    # Editing a weight raises the error, too: only later epochs are compared.
    edits = [change.seen for change in run.changes if change.weight is not None]
    errors = [r.mse for r in run.history[math.ceil(max(edits, default=0) / len(run.inputs)) :]]
    best = min(errors, default=math.inf)
    if not errors or errors[-1] <= max(4 * best, 1e-3):
        return None
    return _finding("exploding", best=numeral(best, 3), now=numeral(errors[-1], 3))


def _unreachable(settings: RunSettings, targets: Array) -> Finding | None:
    output = settings.output_activation or settings.activation
    low, high = _REACH[output]
    beyond = float(np.mean((targets < low - 1e-9) | (targets > high + 1e-9)))
    # Noise may push a few targets over the edge.
    if beyond <= 0.02:
        return None
    span = (
        f"between {numeral(low)} and {numeral(high)}" if math.isfinite(high) else "of 0 and above"
    )
    return _finding("unreachable", share=f"{beyond:.0%}", output=output, span=span)


def _layers(net: MLP) -> list[tuple[str, Array]]:
    """Each layer's activation and its net inputs, shape (examples, units)."""
    kinds = [net.activation] * (len(net.weights) - 1) + [net.output_activation]
    return list(zip(kinds, net.net_inputs, strict=True))


def _share(count: int, net: MLP) -> str:
    """Count units with their verb: "1 of 6 units is"."""
    units = counted(sum(h.shape[1] for h in net.net_inputs), "unit")
    return f"{count} of {units} {agree(count, 'is', 'are')}"


def _no_slope(net: MLP) -> Finding | None:
    flat = any(kind == "step" for kind, _ in _layers(net))
    return _finding("no slope") if flat else None


def _silent(net: MLP) -> int:
    return sum(int((h <= 0).all(axis=0).sum()) for kind, h in _layers(net) if kind == "relu")


def _dead(run: Run, net: MLP) -> Finding | None:
    if _silent(net):
        net.forward(run.inputs)  # the sample may lack the example that a unit answers to
    dead = _silent(net)
    return _finding("dead", units=_share(dead, net)) if dead else None


def _saturated(net: MLP) -> Finding | None:
    stuck = sum(
        int(((np.abs(h) > _FLAT_BEYOND[kind]).mean(axis=0) > 0.95).sum())
        for kind, h in _layers(net)
        if kind in _FLAT_BEYOND
    )
    return _finding("saturated", units=_share(stuck, net)) if stuck else None


def _twins(settings: RunSettings, net: MLP) -> Finding | None:
    for layer, size in enumerate(settings.hidden, start=1):
        a, w = net.activations[layer], net.weights[layer]
        if size > 1 and np.ptp(a, axis=1).max() < 1e-12 and np.ptp(w, axis=0).max() < 1e-12:
            return _finding("twins", size=size, layer=layer)
    return None


def _no_progress(run: Run) -> Finding | None:
    if run.epoch < 12:
        return None
    before, now = run.history[-11].mse, run.history[-1].mse
    guess = float(np.var(run.targets))
    if now < 0.5 * guess or now < 0.98 * before:
        return None
    return _finding("no progress", now=numeral(now, 3), guess=numeral(guess, 3))
