"""The backprop playground: a network that learns, and that can be inspected on the way."""

from collections.abc import Sequence

import streamlit as st

from genrekit.app.kit.glossary import page_words
from genrekit.app.kit.widgets import URL, choice, page_header, plain_errors
from genrekit.app.playground.network_view import network_view
from genrekit.app.playground.pace import SPEEDS
from genrekit.app.playground.packing import unit_names, weight_names
from genrekit.app.playground.panels import closer
from genrekit.app.playground.settings import apply, settings_panel
from genrekit.app.playground.state import Playground, current, playground
from genrekit.teaching.diagnosis import diagnose
from genrekit.teaching.inspect_run import ask
from genrekit.teaching.presets import EXPERIMENTS
from genrekit.teaching.run import Run
from genrekit.wording import numeral


def controls(state: Playground) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Pause" if state.training else "Train again" if state.run.finished else "Train",
            icon=":material/pause:" if state.training else ":material/play_arrow:",
            type="primary",
            key="train",
            on_click=state.pause if state.training else state.train,
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
                    args=(state, experiment),
                    help=experiment.shows,
                    width="stretch",
                )
                st.caption(experiment.shows)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.select_slider(
            "Speed", list(SPEEDS), "5 epochs a second", key="bp_speed", width=320, **URL
        )
        choice(
            "Lines show",
            ["weights", "gradients"],
            "bp_lines",
            help="A weight says how much an input counts. Its gradient says how fast the loss for "
            "the question below grows with the weight; a step goes against it.",
        )


def question_boxes(run: Run) -> list[float]:
    """Ask for the question whose answer the drawing shows."""
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
    reply = ask(run, question)
    if reply.answer is None:
        return "It has no answer: its numbers have grown beyond what a computer can hold."
    text = f"It answers **{reply.answer:.4f}**"
    if reply.truth is not None:
        # The difference of the two numbers as they are shown.
        off = round(reply.answer, 4) - round(reply.truth, 4)
        text += f". Right is **{reply.truth:.4f}**, so it is off by {off:+.4f}"
    text += "."
    if reply.outside:
        low, high = run.trained_range()
        text += (
            " :material/warning: This question lies outside what it was trained on "
            f"({numeral(low.min())} to {numeral(high.max())}): it is guessing."
        )
    return text.replace("+", "\\+").replace("-", "−")


def live(state: Playground, question: list[float]) -> None:
    """Learn what is due, then show the run. A fragment that repeats itself while training."""
    with plain_errors(), state.lock:
        state.tick(st.session_state["bp_speed"])
        run = state.run
        st.markdown(answer_line(run, question))
        network_view(state, question, on_edit=on_edit, on_select=on_select)
        for finding in diagnose(run):
            st.warning(f"{finding.message} **{finding.remedy}**", icon=":material/warning:")
    if (state.training and run.finished) or state.refresh:
        state.refresh = False
        st.rerun()


def on_edit(state: Playground) -> None:
    """Handle an edit of a weight in the drawing."""
    edit = st.session_state["network"].edit
    weights = state.run.all_weights()
    if edit and 0 <= int(edit["weight"]) < len(weights):
        with plain_errors(), state.lock:
            state.run.set_weight(weights[int(edit["weight"])], float(edit["value"]))
        state.refresh = bool(edit["final"]) and not state.training


def on_select(state: Playground) -> None:
    """Handle the choice of a weight in the drawing."""
    index = st.session_state["network"].select
    labels = weight_names(state.run)
    if index is not None and 0 <= int(index) < len(labels):
        state.put_widget("bp_weight", labels[int(index)])
        state.refresh = not state.training


def main() -> None:
    page_header(
        "Backprop playground",
        "A small neural network learns from examples, at first to add two numbers: it answers, "
        "sees how far off it was, and passes the error back to correct every weight "
        "(backpropagation). Blue lines are positive weights, dashed orange ones negative, and "
        "the curve shows the error falling.",
        "pause and step **one example**; ask for 0.9 + 0.9, which it never saw; "
        "then open **Experiments** and see learning fail.",
    )
    page_words("backprop")
    if kept := current():
        kept.hold_widgets()
    left, right = st.columns([3, 1], gap="large")
    with right:
        settings, rate, epochs = settings_panel()
    with left:
        state = playground(settings, rate, epochs)
        controls(state)
        question = question_boxes(state.run)
        st.fragment(live, run_every=state.interval())(state, question)
    closer(state, question)


with plain_errors():
    main()
