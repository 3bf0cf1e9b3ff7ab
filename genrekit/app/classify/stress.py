"""The look "Stress test": the song made worse, and whether the verdict holds."""

from functools import partial
from typing import Final

import plotly.graph_objects as go
import streamlit as st

from genrekit.app.classify.inputs import ModelChoice, Sound
from genrekit.app.classify.overview import clock
from genrekit.app.classify.questions import ask
from genrekit.app.kit.charts import GREY, figure, outcome_colours
from genrekit.app.kit.glossary import setting
from genrekit.app.kit.widgets import chart, escape
from genrekit.audio.degradation import Degradation
from genrekit.model.verdicts import Verdict, ranked
from genrekit.verdict import analysis
from genrekit.verdict.analysis import SongResult, StressTest

__all__ = ["show"]

_EXCERPT_SECONDS: Final = 12.0
_OFF: Final = "off"
_LOW_PASS: Final = (_OFF, *"8000 5500 4000 3000 2000 1400 1000 700 500".split())
_NOISE: Final = (_OFF, *"40 30 20 15 10 5 0 -5 -10".split())


def show(sound: Sound, result: SongResult, model: ModelChoice, segment: int) -> None:
    """Show sliders that make the sound worse, whether the verdict holds, and both sounds."""
    degradation = _sliders()
    with st.spinner("Listening under stress …"):
        test = ask(analysis.stress_test, sound.song, model.file, degradation)
    _show_outcome(test, degradation == Degradation())
    if test.seconds < result.seconds - 0.1:
        st.caption(
            f"Tested on {clock(test.seconds)} from {clock(test.start)} on, both before and after."
        )
    if test.before.probabilities and test.after.probabilities:
        _show_before_after(test)
    parts = result.verdict.segments
    start = max(0.0, min(parts[segment].start, result.seconds - _EXCERPT_SECONDS))
    end = min(result.seconds, start + _EXCERPT_SECONDS)
    before, after = st.columns(2)
    for column, title, what in ((before, "Before", Degradation()), (after, "After", degradation)):
        column.markdown(f"**{title}**: {clock(start)} to {clock(end)}, with the chosen segment")
        with column, st.spinner("Making the sound …"):
            excerpt = ask(
                analysis.excerpt_sound, sound.song, result.rate, start, _EXCERPT_SECONDS, what
            )
        column.audio(excerpt, alt=f"The sound {title.lower()} the stress")


def _sliders() -> Degradation:
    st.caption("Make the sound worse, step by step, and watch whether the verdict holds.")
    one, two = st.columns(2), st.columns(2)
    own = partial(setting, "classify")
    level = one[0].slider(min_value=-40, max_value=12, value=0, **own("level"))
    low_pass = one[1].select_slider(options=_LOW_PASS, value=_OFF, **own("low_pass"))
    noise = two[0].select_slider(options=_NOISE, value=_OFF, **own("noise"))
    phone = two[1].slider(min_value=0.0, max_value=1.0, value=0.0, step=0.1, **own("phone"))
    st.button("All back to zero", icon=":material/restart_alt:", on_click=_reset)
    return Degradation(
        level_db=float(level),
        low_pass_hz=None if low_pass == _OFF else float(low_pass),
        noise_db=None if noise == _OFF else float(noise),
        phone=float(phone),
    )


def _reset() -> None:
    st.session_state.update(level=0, low_pass=_OFF, noise=_OFF, phone=0.0)


def _show_outcome(test: StressTest, untouched: bool) -> None:
    before, after = _named(test.before), _named(test.after)
    if untouched:
        st.info(f"Nothing is changed yet: {before}. Move a slider.", icon=":material/arrow_upward:")
    elif test.holds:
        st.success(f"**It holds.** Before and after: {after}.", icon=":material/check_circle:")
    else:
        note = "" if test.after.probabilities else f" {escape(test.after.note)}"
        st.warning(f"**It flips.** Before: {before}; after: {after}.{note}", icon=":material/sync:")


def _named(verdict: Verdict) -> str:
    if verdict.genre is None:
        return "not sure" if verdict.probabilities else "no verdict"
    return f"{escape(verdict.genre)} ({verdict.confidence:.0%})"


def _show_before_after(test: StressTest) -> None:
    one, other = test.before.outcomes, test.after.outcomes
    order = list(dict(ranked(one)) | other)  # only one of them may know "no music"
    colours = outcome_colours(order)
    before = [one.get(name, 0.0) for name in order]
    after = [other.get(name, 0.0) for name in order]
    chart(
        figure(
            go.Bar(
                name="before",
                x=before,
                y=order,
                orientation="h",
                marker={"color": GREY, "pattern": {"shape": "/", "solidity": 0.25}},
                hovertemplate="%{y} before: %{x:.1%}<extra></extra>",
            ),
            go.Bar(
                name="after",
                x=after,
                y=order,
                orientation="h",
                marker_color=[colours[genre] for genre in order],
                text=[_changed(p, q) for p, q in zip(before, after, strict=True)],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y} after: %{x:.1%}<extra></extra>",
            ),
            x="probability; in brackets the change in points",
            height=110 + 34 * len(order),
            barmode="group",
        )
        .update_xaxes(range=[0, 1.2], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
        .update_yaxes(autorange="reversed"),
        "Probability of each genre before and after: "
        + ", ".join(
            f"{genre} {p:.0%} and {q:.0%}" for genre, p, q in zip(order, before, after, strict=True)
        ),
        key="before-after",
    )


def _changed(before: float, after: float) -> str:
    points = round(100 * (after - before))
    return f"{after:.0%} ({points:+d})" if points else f"{after:.0%}"
