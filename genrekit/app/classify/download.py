"""The look "Download": the verdict as files, the sound, and the command that repeats it."""

import shlex
from collections.abc import Sequence
from functools import partial
from typing import Final

import streamlit as st

from genrekit.app.classify.inputs import ModelChoice
from genrekit.app.classify.questions import Outcome
from genrekit.app.kit import widgets
from genrekit.verdict.report import report, segment_rows, to_csv, to_json

__all__ = ["command", "download", "show", "verdicts_json"]

download: Final = partial(widgets.download, width="stretch")


def show(outcome: Outcome, model: ModelChoice) -> None:
    """Offer the verdict as files, the sound where it was made here, and the command."""
    left, middle, right = st.columns(3)
    download(left, "This verdict as JSON", lambda: verdicts_json([outcome]), "verdict.json")
    segments = segment_rows(outcome.verdict) if outcome.verdict else []
    download(middle, "Its segments as CSV", lambda: to_csv(segments), "segments.csv")
    sound = outcome.sound
    if sound.made_here:
        kind = sound.name.rpartition(".")[2].upper()
        download(right, f"The sound as {kind}", sound.song.content, sound.name)
    st.markdown("The same verdict from the command line:")
    st.code(command(sound.name, model), language="shell")
    if model.own:
        st.caption("`my-model` is the folder in the zip that the train page offers for download.")
    st.caption("The address of this page holds its settings; files you sent are not part of it.")


def verdicts_json(outcomes: Sequence[Outcome]) -> str:
    """Return verdicts as the command line's ``classify --json`` prints them."""
    return to_json([report(one.sound.name, one.verdict or one.problem) for one in outcomes])


def command(name: str, model: ModelChoice) -> str:
    """Return the command that classifies a file of this name with this model."""
    file = f"./{name}" if name.startswith("-") else name
    folder = "my-model" if model.own else model.name
    return shlex.join(["python", "-m", "genrekit", "classify", file, "--model", folder])
