"""The live network in the browser: drawing, error curve, editor and replay."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import streamlit as st

from genrekit.app.kit.charts import NEGATIVE, POSITIVE
from genrekit.app.kit.component import component
from genrekit.app.playground.packing import (
    BUDGET,
    LIVE_BUDGET,
    pack_curve,
    unit_names,
    weight_names,
)
from genrekit.app.playground.state import Playground
from genrekit.teaching.inspect_run import nearest_target

__all__ = ["network_view"]

_mount: Final = component("network_view")


def network_view(
    state: Playground,
    question: Sequence[float],
    *,
    on_edit: Callable[[Playground], None],
    on_select: Callable[[Playground], None],
) -> None:
    """Mount the view with the key "network".

    Its trigger values are `edit`, a dict, and `select`, the index of a weight.
    """
    run, target = state.run, nearest_target(state.run, question)
    labels, chosen = weight_names(run), st.session_state.get("bp_weight")
    budget = LIVE_BUDGET if state.training else BUDGET
    curves = [(label, history, False) for label, history in state.earlier]
    curves.append(("now", run.history, True))
    _mount(
        key="network",
        data={
            "run": state.number,
            "stamp": state.next_stamp(),
            "version": f"{state.number}:{list(question)}:{target}",
            "sizes": list(run.mlp.layer_sizes),
            "bias": bool(run.mlp.biases),
            "names": unit_names(run.mlp.layer_sizes),
            "colours": {"positive": POSITIVE, "negative": NEGATIVE},
            "snapshots": state.packer.snapshots(run, question, target, budget),
            "curves": [
                {"label": label, "rows": pack_curve(history), "now": now}
                for label, history, now in curves
            ],
            "training": state.training,
            "epochs": run.epochs,
            "lines": st.session_state["bp_lines"],
            "log": bool(st.session_state.get("bp_log")),
            "selected": labels.index(chosen) if chosen in labels else 0,
        },
        on_edit_change=partial(on_edit, state),
        on_select_change=partial(on_select, state),
    )
