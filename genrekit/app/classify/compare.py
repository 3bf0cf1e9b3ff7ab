"""The look "Compare models": every model's verdict on the same song."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from genrekit.app.classify.inputs import ModelChoice, Sound
from genrekit.app.classify.overview import worth
from genrekit.app.classify.questions import ask
from genrekit.app.kit.widgets import escape, show_error
from genrekit.errors import GenreKitError
from genrekit.model.verdicts import Verdict, ranked
from genrekit.verdict import analysis
from genrekit.verdict.report import agreeing_segments, candidates_in_words
from genrekit.wording import agree, counted

__all__ = ["agreement", "show"]

_CARDS_IN_A_ROW: Final = 3


def show(sound: Sound, models: Sequence[ModelChoice]) -> None:
    """Show every model's verdict on the same song, with what each was measured at."""
    progress = st.empty()
    verdicts: list[Verdict | str] = []
    for number, model in enumerate(models):
        progress.progress(number / len(models), f"Asking {escape(model.label)}")
        try:
            verdicts.append(ask(analysis.judge, sound.song, model.file))
        except GenreKitError as error:
            verdicts.append(str(error))
    progress.empty()
    st.markdown(agreement(verdicts))
    for first in range(0, len(models), _CARDS_IN_A_ROW):
        some = list(zip(models, verdicts, strict=True))[first : first + _CARDS_IN_A_ROW]
        for column, (model, verdict) in zip(st.columns(_CARDS_IN_A_ROW), some, strict=False):
            with column.container(border=True, height="stretch"):
                _show_opinion(model, verdict)
    if len(models) == 1:
        st.page_link(
            "build/train.py",
            label="There is only one model here: train another to compare it with",
            icon=":material/model_training:",
        )
    st.caption(
        "Each figure is worth what its split is worth, and models that were measured on different "
        "music cannot be ranked by their figures."
    )


def agreement(verdicts: Sequence[Verdict | str]) -> str:
    """Say in a sentence how many of the models agree."""
    genres = [v.genre for v in verdicts if not isinstance(v, str) and v.genre is not None]
    if not genres:
        return "No model is sure."
    if len(verdicts) == 1:
        return f"One model was asked; it says **{escape(genres[0])}**."
    most = max(sorted(set(genres)), key=genres.count)
    count = genres.count(most)
    if count == 1:
        return f"{len(verdicts)} models were asked, and no two say the same."
    if count == len(verdicts):
        return f"**All {count} models agree: {escape(most)}.**"
    return f"**{count} of {len(verdicts)} models agree: {escape(most)}.**"


def _show_opinion(model: ModelChoice, verdict: Verdict | str) -> None:
    st.markdown(f"**{escape(model.label)}**")
    if isinstance(verdict, str):
        show_error(verdict)
        return
    if verdict.probabilities:
        order = ranked(verdict.outcomes)
        name = verdict.genre.capitalize() if verdict.genre else "Not sure"
        st.markdown(f"### {escape(name)}")
        agreeing = agreeing_segments(verdict)
        st.markdown(
            f"{escape(order[0][0])} {order[0][1]:.0%}, then {escape(order[1][0])} "
            f"{order[1][1]:.0%}. {agreeing} of {counted(len(verdict.segments), 'segment')} "
            f"{agree(agreeing, 'agrees', 'agree')}."
        )
    else:
        st.markdown("### No verdict")
    for sentence in filter(None, (verdict.note, candidates_in_words(verdict))):
        st.markdown(escape(sentence))
    st.caption(worth(model))
    about = str(model.file.card().get("about", ""))
    if about:
        with st.expander("About this model"):
            st.markdown(escape(about))
