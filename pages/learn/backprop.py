"""The backprop playground: a network learns before one's eyes, and can be looked into."""

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from genrekit.app.charts import GREY, figure
from genrekit.app.network_view import network_view, unit_names
from genrekit.app.playground import (
    STAGES,
    Playground,
    playground,
    stage_formulas,
    weight_names,
)
from genrekit.app.widgets import chart, page_header, plain_errors
from genrekit.playground import EXPERIMENTS, LIMITS, SPEEDS, ErrorMap, Experiment, Run, RunSettings

TASKS = {
    "sum": "The answer to learn is a + b.",
    "product": "The answer to learn is a × b.",
    "difference": "The answer to learn is a − b, which can be negative.",
    "mean": "The answer to learn is (a + b) / 2.",
    "xor": "The answer to learn is 1 if just one of a and b is large (exclusive or), else 0.",
    "sine": "The answer to learn is a wave, ½ + ½ sin 2π(a + b).",
    "own": "The answer to learn is the last column of your own numbers.",
}
# The names are what links hold, so they stay short.
ACTIVATIONS = ["sigmoid", "tanh", "relu", "identity"]
INITS = ["uniform", "symmetric", "xavier", "he", "zeros"]
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0]
LOOKS = ["Error map", "Slow motion", "Prove the gradient", "Take away"]
SAMPLE = "a,b,target\n0.1,0.2,0.15\n0.9,0.3,0.6\n0.4,0.4,0.4\n0.7,0.1,0.4"
D = RunSettings()
URL = {"bind": "query-params"}


# -- settings --------------------------------------------------------------------------------


def settings_panel() -> tuple[RunSettings, float, int]:
    """Everything that decides a run: settings, learning rate and epochs."""
    task = st.selectbox("Task", list(TASKS), key="bp_task", **URL)
    st.caption(TASKS[task])
    table = own_table() if task == "own" else ""
    layers = st.slider("Hidden layers", 0, LIMITS.layers, 1, key="bp_layers", **URL)
    hidden = tuple(
        st.slider(f"Units in hidden layer {i}", 1, LIMITS.units, 5, key=f"bp_h{i}", **URL)
        for i in range(1, layers + 1)
    )
    activation = st.selectbox(
        "Activation function",
        ACTIVATIONS,
        key="bp_act",
        help="How a unit bends the sum of what comes in: sigmoid into 0 to 1, tanh into −1 to 1, "
        "relu cuts off below 0. Identity does not bend, and then any number of layers can only "
        "draw a straight line.",
        **URL,
    )
    rate = st.select_slider(
        "Learning rate",
        RATES,
        0.1,
        key="bp_lr",
        help="How long a step each correction takes. Changing it does not restart the run.",
        **URL,
    )
    with st.expander("More settings"):
        more, epochs = more_settings(task)
    return RunSettings(task, hidden, activation, table=table, **more), rate, epochs


def more_settings(task: str) -> tuple[dict[str, object], int]:
    epochs = st.number_input("Epochs", 1, LIMITS.epochs, 50, key="bp_epochs", **URL)
    more: dict[str, object] = {}
    output = st.selectbox(
        "Output activation",
        ["same", *ACTIVATIONS],
        key="bp_out",
        help="What bends the answer itself: by default the same as the other units.",
        **URL,
    )
    more["output_activation"] = None if output == "same" else output
    more["bias"] = st.toggle(
        "Bias", key="bp_bias", help="Lets each unit add a learned constant.", **URL
    )
    more["init"] = st.selectbox(
        "Weights start",
        INITS,
        key="bp_init",
        help="uniform: dice from 0 to 1, the course's; symmetric: from −1 to 1; xavier suits "
        "sigmoid and tanh; he suits relu; zeros: all the same.",
        **URL,
    )
    more["seed"] = st.number_input(
        "Seed", 0, 999_999, D.seed, key="bp_seed", help="Another seed, other dice.", **URL
    )
    more["batch_size"] = st.number_input(
        "Batch size",
        1,
        LIMITS.examples,
        1,
        key="bp_batch",
        help="How many examples are averaged before the weights move.",
        **URL,
    )
    if task != "own":
        more["examples"] = st.number_input(
            "Examples", 1, LIMITS.examples, D.examples, key="bp_n", **URL
        )
        low, high = st.columns(2)
        more["low"] = low.number_input("From", -5.0, 5.0, D.low, 0.1, key="bp_low", **URL)
        more["high"] = high.number_input("to", -5.0, 5.0, D.high, 0.1, key="bp_high", **URL)
        more["noise"] = st.number_input(
            "Noise", 0.0, 1.0, 0.0, 0.01, key="bp_noise", help="Blurs the targets.", **URL
        )
    st.toggle("Logarithmic error axis", key="bp_log", **URL)
    return more, epochs


def own_table() -> str:
    return st.text_area(
        "Your numbers",
        SAMPLE,
        max_chars=LIMITS.table_characters,
        key="bp_table",
        help=f"One example a line, the last column is the target: up to {LIMITS.table_inputs} "
        f"inputs and {LIMITS.table_rows} lines. Every fifth line is held out from 10 lines on.",
        **URL,
    )


def apply(experiment: Experiment) -> None:
    """Put an experiment into the widgets; the run restarts with them."""
    s = experiment.settings
    values = {
        "task": s.task,
        "layers": len(s.hidden),
        **{f"h{i}": n for i, n in enumerate(s.hidden, start=1)},
        "act": s.activation,
        "out": s.output_activation or "same",
        "bias": s.bias,
        "init": s.init,
        "batch": s.batch_size,
        "n": s.examples,
        "low": s.low,
        "high": s.high,
        "noise": s.noise,
        "seed": s.seed,
        "lr": experiment.learning_rate,
        "epochs": experiment.epochs,
    }
    state: Playground = st.session_state["_playground"]
    with state.lock:
        for name, value in values.items():
            state.put_widget(f"bp_{name}", value)
        state.run.learning_rate = experiment.learning_rate
        state.run.epochs = experiment.epochs
        state.restart(s, training=True)


# -- the live part ---------------------------------------------------------------------------


def controls(state: Playground) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Pause" if state.training else "Train again" if state.run.finished else "Train",
            icon=":material/pause:" if state.training else ":material/play_arrow:",
            type="primary",
            key="train",
            on_click=state.toggle,
        )
        st.button("One epoch", key="one_epoch", on_click=state.one_epoch)
        unit = "example" if state.run.settings.batch_size == 1 else "batch"
        st.button(f"One {unit}", key="one_example", on_click=state.one_example)
        st.button("Reset", icon=":material/replay:", key="reset", on_click=state.reset)
        with st.popover("Experiments", icon=":material/science:"):
            for i, experiment in enumerate(EXPERIMENTS):
                st.button(
                    experiment.title,
                    key=f"experiment_{i}",
                    on_click=apply,
                    args=(experiment,),
                    help=experiment.shows,
                    width="stretch",
                )
                st.caption(experiment.shows)
        st.select_slider("Speed", list(SPEEDS), "5 epochs a second", key="bp_speed", **URL)


def ask(run: Run) -> list[float]:
    """The question put to the network; the drawing shows how it is answered."""
    names = unit_names(run.mlp.layer_sizes)[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        return [
            st.number_input(
                f"Ask it: {name}" if i == 0 else name,
                -1000.0,
                1000.0,
                (0.3, 0.1)[i] if i < 2 else 0.5,
                0.05,
                key=f"bp_q{i + 1}",
                width=130,
                **URL,
            )
            for i, name in enumerate(names)
        ]


def answer_line(run: Run, question: Sequence[float]) -> str:
    reply = run.ask(question)
    text = f"It answers **{reply.answer:.4f}**"
    if reply.truth is not None and reply.error is not None:
        text += f". Right is **{reply.truth:.4f}**, so it is off by {-reply.error:+.4f}"
    text += "."
    if reply.outside:
        low, high = run.trained_range()
        text += (
            " :material/warning: This question lies outside what it was trained on "
            f"({low.min():g} to {high.max():g}): it is guessing."
        )
    return text.replace("+", "\\+").replace("-", "−")


def live(question: list[float]) -> None:
    """Learn what is due, then show where the run stands. Repeats itself while training."""
    state: Playground = st.session_state["_playground"]
    with plain_errors(), state.lock:
        state.tick(st.session_state["bp_speed"])
        run = state.run
        st.markdown(answer_line(run, question))
        labels = weight_names(run, unit_names(run.mlp.layer_sizes))
        chosen = st.session_state.get("bp_weight")
        network_view(
            run,
            state.packer,
            question=question,
            target=run.nearest_target(question),
            run_number=state.number,
            stamp=state.next_stamp(),
            training=state.training,
            logarithmic=bool(st.session_state.get("bp_log")),
            selected=labels.index(chosen) if chosen in labels else 0,
            earlier=state.earlier,
            key="network",
            on_edit=on_edit,
            on_select=on_select,
        )
        for finding in run.health():
            st.warning(f"{finding.message} **{finding.remedy}**", icon=":material/warning:")
    if (state.training and run.finished) or state.refresh:
        state.refresh = False
        st.rerun()


def on_edit() -> None:
    """A weight was given another value in the drawing."""
    state: Playground = st.session_state["_playground"]
    edit = st.session_state["network"].edit
    weights = state.run.all_weights()
    if edit and 0 <= int(edit["weight"]) < len(weights):
        with plain_errors(), state.lock:
            state.run.set_weight(weights[int(edit["weight"])], float(edit["value"]))
        state.refresh = bool(edit["final"]) and not state.training


def on_select() -> None:
    """A weight was chosen in the drawing."""
    state: Playground = st.session_state["_playground"]
    index = st.session_state["network"].select
    labels = weight_names(state.run, unit_names(state.run.mlp.layer_sizes))
    if index is not None and 0 <= int(index) < len(labels):
        state.put_widget("bp_weight", labels[int(index)])
        state.refresh = not state.training


# -- looking closer --------------------------------------------------------------------------


def map_panel(state: Playground, shown: str, reach: float, question: Sequence[float]) -> None:
    run = state.run
    if run.inputs.shape[1] != 2:
        st.info("The map needs a network with two inputs: choose a task with two.")
        return
    drawn = run.error_map(reach=reach)
    if drawn.truth is None:
        shown = "answer"
    error = None if drawn.truth is None else np.abs(drawn.truth - drawn.answer)
    z = {"error": error, "answer": drawn.answer, "truth": drawn.truth}[shown]
    axis = drawn.axis.astype(np.float32)
    picture = figure(
        go.Heatmap(
            x=axis,
            y=axis,
            z=np.asarray(z, np.float32),
            colorscale="Cividis",
            zmin=0 if shown == "error" else None,
            colorbar={"title": {"text": shown}, "thickness": 12},
            hovertemplate="a %{x:.2f}, b %{y:.2f}: " + shown + " %{z:.3f}<extra></extra>",
        ),
        x="input a",
        y="input b",
        height=420,
        showlegend=False,
    )
    picture.update_yaxes(scaleanchor="x", constrain="domain")
    picture.update_xaxes(constrain="domain")
    mark_map(picture, run, drawn.truth, axis, question)
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        picture.update_layout(meta=state.next_stamp())
        chart(
            picture,
            f"Map of the {shown} over both inputs; the training square is outlined.",
            key="bp_map_chart",
        )
    with right:
        map_words(run, drawn)


def map_words(run: Run, drawn: ErrorMap) -> None:
    """What the map says, in numbers."""
    st.markdown("Each point is a question: a to the right, b upwards. The cross is yours.")
    if drawn.truth is not None:
        error = np.abs(drawn.truth - drawn.answer)
        low, high = run.trained_range()
        inside = (drawn.axis >= low[0]) & (drawn.axis <= high[0])
        within = error[np.ix_(inside, inside)].mean()
        st.markdown(
            f"Inside the outlined square, where it was trained, it is off by **{within:.3f}** on "
            f"average; over the whole map by **{error.mean():.3f}**. A network answers any "
            "question, also those it knows nothing about."
        )
        if drawn.truth.min() < 1 < drawn.truth.max() and run.settings.task != "xor":
            st.markdown(
                "On the dotted line the right answer is 1. A sigmoid output can never say more, "
                "so beyond that line it must fail."
                if run.mlp.output_activation == "sigmoid"
                else "On the dotted line the right answer is 1."
            )


def mark_map(
    picture: go.Figure,
    run: Run,
    truth: np.ndarray | None,
    axis: np.ndarray,
    question: Sequence[float],
) -> None:
    """The training square, the line where the right answer is 1, and the question."""
    low, high = run.trained_range()
    picture.add_shape(
        type="rect",
        x0=low[0],
        x1=high[0],
        y0=low[1],
        y1=high[1],
        line={"color": "white", "width": 3},
    )
    picture.add_annotation(
        x=low[0], y=high[1], text="trained here", showarrow=False, xanchor="left",
        yanchor="bottom", font={"color": "white"},
    )  # fmt: skip
    if truth is not None and run.settings.task != "xor" and truth.min() < 1 < truth.max():
        picture.add_trace(
            go.Contour(
                x=axis,
                y=axis,
                z=truth.astype(np.float32),
                contours={"start": 1, "end": 1, "size": 1, "coloring": "none", "showlabels": True},
                line={"color": "white", "dash": "dot", "width": 2},
                showscale=False,
                hoverinfo="skip",
            )
        )
    if axis[0] <= min(question) and max(question) <= axis[-1]:
        picture.add_trace(
            go.Scatter(
                x=[question[0]],
                y=[question[1]],
                mode="markers",
                marker={"symbol": "x", "size": 11, "color": "white", "line": {"width": 1}},
                hovertemplate="your question<extra></extra>",
            )
        )


def slow_panel(run: Run, stage: str, label: str, example: str, question: list[float]) -> None:
    names = unit_names(run.mlp.layer_sizes)
    x, t = (run.next_example[0], float(run.next_example[1][0]))
    if example != "next training example":
        x, t = np.asarray(question), run.nearest_target(question)
    step = run.rehearse(x, t)
    weight = run.all_weights()[weight_names(run, names).index(label)]
    values = ", ".join(f"{n} = {v:.4g}" for n, v in zip(names[0], x, strict=True))
    st.markdown(f"Example: {values}; target t = {t:.4g}. The chosen weight: **{label}**.")
    for sentence, formula in stage_formulas(stage, step, weight, run, names):
        st.markdown(sentence)
        st.latex(formula)
    if run.settings.batch_size > 1:
        st.caption("With batches, the nudges of all examples in a batch are averaged.")
    if stage == STAGES[2]:
        derivative_tables(step.deltas, step.derivatives, names)


def derivative_tables(
    deltas: Sequence[np.ndarray], derivatives: Sequence[np.ndarray], names: list[list[str]]
) -> None:
    """Every delta and every weight's derivative, layer by layer."""
    for i in reversed(range(len(derivatives))):
        st.markdown(f"**Layer {i + 1}**: delta of each unit, then dW of each weight into it")
        rows = np.vstack([deltas[i][:1], derivatives[i]])
        index = ["delta", *(f"dW from {n}" for n in names[i])]
        frame = pd.DataFrame(rows, index=index, columns=names[i + 1])
        st.dataframe(frame.map(lambda v: f"{v:+.6f}"))


def proof_panel(state: Playground) -> None:
    run = state.run
    x, t = run.next_example
    check = run.check_gradient(x, float(t[0]))
    labels = weight_names(run, unit_names(run.mlp.layer_sizes))
    largest = check.largest_difference
    scale = float(np.max(np.abs(check.backpropagated)))
    st.markdown(
        "Backpropagation claims to know how each weight changes the error. The slow but sure way "
        "to find out is to nudge each weight a millionth up and down and measure. "
        f"The largest difference between the two, over {len(labels)} weights, is "
        f"**{largest:.1e}**, where the largest derivative is {scale:.1e}."
    )
    if np.isfinite(largest) and largest <= 1e-6 * max(1.0, scale):
        st.success("They agree: the gradient is right.", icon=":material/check_circle:")
    else:
        st.warning(
            "They differ: numbers this large, or a ReLU exactly at its kink, cannot be measured "
            "by nudging.",
            icon=":material/warning:",
        )
    ends = [float(check.numerical.min()), float(check.numerical.max())]
    chart(
        figure(
            go.Scatter(x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dot"},
                       name="equal"),
            go.Scatter(x=check.numerical, y=check.backpropagated, mode="markers", text=labels,
                       marker={"size": 9}, name="a weight",
                       hovertemplate="%{text}: %{y:.3e}<extra></extra>"),
            x="measured by nudging",
            y="by backpropagation",
            height=320,
            meta=state.next_stamp(),
        ),
        "Derivative of each weight by backpropagation against measured: all on the diagonal.",
        key="bp_proof_chart",
    )  # fmt: skip
    frame = pd.DataFrame(
        {
            "weight": labels,
            "backpropagated": [f"{v:+.9f}" for v in check.backpropagated],
            "measured": [f"{v:+.9f}" for v in check.numerical],
            "difference": [f"{v:.1e}" for v in np.abs(check.backpropagated - check.numerical)],
        }
    )
    st.dataframe(frame, hide_index=True)


def take_away(state: Playground) -> None:
    run = state.run
    st.markdown(
        "The script needs only Python with `genrekit`, and repeats this run number for number, "
        "with every change you made on the way."
    )
    with st.container(horizontal=True):
        for label, name, mime, make in (
            ("Network (JSON)", "network.json", "application/json", run.to_json),
            ("Run (CSV)", "run.csv", "text/csv", run.to_csv),
            ("Script (Python)", "run.py", "text/x-python", run.script),
        ):
            st.download_button(label, make, name, mime, key=f"get_{name}", on_click="ignore")
    st.markdown("A link to these settings:")
    query = urlencode([(k, v) for k in st.query_params for v in st.query_params.get_all(k)])
    link, script = f"{st.context.url}{'?' + query if query else ''}", run.script()
    if len(link) + len(script) > 8000:
        st.caption("Your table makes link and script long: copy the link from the address bar.")
        return
    st.code(link, language=None, wrap_lines=True)
    with st.expander("The script"):
        st.code(script, language="python")


def closer(state: Playground, question: list[float]) -> None:
    """The chosen panel below the network."""
    look = st.segmented_control(
        "Look closer", LOOKS, default=LOOKS[0], required=True, key="bp_look", **URL
    )
    # Charts redraw in the browser at some cost: twice as often would make the network stutter.
    every = 2.0 if state.training else None
    if look == LOOKS[0]:
        with st.container(horizontal=True):
            shown = st.segmented_control(
                "Show", ["error", "answer", "truth"], default="error", required=True,
                key="bp_map", **URL,
            )  # fmt: skip
            reach = st.select_slider(
                "How far beyond the training square", [0.0, 0.5, 1.0, 2.0, 4.0], 1.0,
                key="bp_reach", **URL,
            )  # fmt: skip
        repeat(state, every, lambda: map_panel(state, shown, reach, question))
    elif look == LOOKS[1]:
        with st.container(horizontal=True):
            stage = st.segmented_control(
                "Stage", STAGES, default=STAGES[0], required=True, key="bp_stage", **URL
            )
            example = st.segmented_control(
                "Example", ["next training example", "my question"],
                default="next training example", required=True, key="bp_ex", **URL,
            )  # fmt: skip
        labels = weight_names(state.run, unit_names(state.run.mlp.layer_sizes))
        label = st.selectbox("Weight", labels, key="bp_weight", **URL)
        repeat(state, every, lambda: slow_panel(state.run, stage, label, example, question))
    elif look == LOOKS[2]:
        repeat(state, every, lambda: proof_panel(state))
    else:
        with state.lock:
            take_away(state)


def repeat(state: Playground, every: float | None, draw: Callable[[], None]) -> None:
    """Draw now, and again and again while training."""

    @st.fragment(run_every=every)
    def panel() -> None:
        with plain_errors(), state.lock:
            draw()

    panel()


def main() -> None:
    page_header(
        "Backprop playground",
        "A small neural network is learning to add two numbers: it answers, sees how far off it "
        "was, and passes the error back to nudge every weight (backpropagation). Blue lines are "
        "positive weights, dashed orange ones negative, and the curve shows the error falling.",
        "pause and step **one example**; ask for 0.9 + 0.9, which it never saw; "
        "then open **Experiments** and see learning fail.",
    )
    if "_playground" in st.session_state:
        st.session_state["_playground"].hold_widgets()
    left, right = st.columns([3, 1], gap="large")
    with right:
        settings, rate, epochs = settings_panel()
    with left:
        state = playground(settings, rate, epochs)
        controls(state)
        question = ask(state.run)
        st.fragment(live, run_every=0.1 if state.training else None)(question)
    closer(state, question)


with plain_errors():
    main()
