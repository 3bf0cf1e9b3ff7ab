"""Exports of a run: its network, its history, and a script that repeats it."""

import csv
import io
import json
from dataclasses import asdict, fields
from typing import Final

from genrekit.system.files import without_nan
from genrekit.teaching.run import EpochRecord, Run

__all__ = ["history_csv", "network_json", "run_script"]


def network_json(run: Run) -> str:
    """Export the network; layer i maps ``a`` to ``activation(a @ weights[i] + biases[i])``."""
    net = run.mlp
    hidden = [net.activation] * (len(net.weights) - 1)
    card = {
        "format": "genrekit-network",
        "version": 1,
        "layer_sizes": list(net.layer_sizes),
        "activations": [*hidden, net.output_activation],
        "weights": [w.tolist() for w in net.weights],
        "biases": [b.tolist() for b in net.biases],
        "settings": asdict(run.settings),
        "learning_rate": run.learning_rate,
        "epochs": run.epoch,
        "examples_seen": run.seen,
        "mse": run.history[-1].mse if run.history else None,
    }
    return json.dumps(without_nan(card), indent=1, allow_nan=False)


def history_csv(run: Run) -> str:
    """Export one line per epoch: epoch, mse (mean squared error), held_out_mse, learning_rate."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f.name for f in fields(EpochRecord)])
    for r in run.history:
        held = "" if r.held_out_mse is None else repr(r.held_out_mse)
        writer.writerow([r.epoch, repr(r.mse), held, repr(r.learning_rate)])
    return text.getvalue()


def run_script(run: Run) -> str:
    """Write a Python script that repeats the run with every change made in it."""
    settings = ",\n    ".join(
        f"{f.name}={getattr(run.settings, f.name)!r}" for f in fields(run.settings)
    )
    lines, at = [], 0
    for change in run.changes:
        if change.seen > at:
            lines.append(f"run.advance({change.seen - at})")
            at = change.seen
        if change.weight is None:
            lines.append(f"run.learning_rate = {change.value!r}")
        else:
            lines.append(f"run.set_weight({change.weight!r}, {change.value!r})")
    if run.seen > at:
        lines.append(f"run.advance({run.seen - at})")
    question = [round(float(v), 6) for v in run.inputs[0]]
    return _SCRIPT.format(
        settings=settings,
        last=_BROKEN if run.broken else _ANSWER.format(question=question),
        rate=run.first_rate,
        epochs=max(run.epochs, run.epoch + 1),
        moves="\n".join(lines),
    )


_SCRIPT: Final = '''"""Repeats a run of GenreKit's backprop playground, number for number."""

from genrekit.teaching.inspect_run import ask
from genrekit.teaching.run import Run, Weight
from genrekit.teaching.settings import RunSettings

settings = RunSettings(
    {settings},
)
run = Run(settings, learning_rate={rate!r}, epochs={epochs})
{moves}

for record in run.history:
    print(f"epoch {{record.epoch}}: mean squared error {{record.mse:.6f}}")
{last}
'''
_ANSWER: Final = 'print(f"answer to {question}: {{ask(run, {question}).answer:.6f}}")'
_BROKEN: Final = 'print("Then the numbers grew until the computer could not hold them.")'
