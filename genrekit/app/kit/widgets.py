"""What every page is made of: its heading, its errors, its sounds."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from genrekit.app.kit import tour
from genrekit.app.kit.charts import CONFIG, dressed
from genrekit.app.logs import event
from genrekit.app.settings import settings
from genrekit.dataset.dataset import Skipped
from genrekit.errors import GenreKitError
from genrekit.wording import counted

__all__ = [
    "chart",
    "escape",
    "first_step",
    "list_skipped",
    "page_header",
    "plain_errors",
    "show_error",
    "show_failure",
]


def page_header(title: str, see: str, try_: str) -> None:
    """The heading of a page: what one sees, in two sentences, and what to try."""
    st.title(title, anchor=False)
    st.markdown(see)
    st.markdown(f":material/lightbulb: **Try:** {try_}")


def first_step(page: str, label: str, icon: str) -> None:
    """The way to what must come first, on a page that cannot begin without it."""
    with st.container(key="first_step"):
        st.page_link(page, label=label, icon=icon)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show an error as one plain sentence; nobody meets a traceback."""
    try:
        yield
    except GenreKitError as error:
        event("refused", error=error)
        show_error(str(error))
    except Exception as error:
        # Streamlit steers by exceptions of its own, which are BaseException and pass through.
        show_failure(error)


def show_failure(error: Exception) -> None:
    """Say that something failed that nobody foresaw; the log tells where."""
    event("page failed", level=logging.ERROR, error=error)
    st.error(
        "Something went wrong on our side, and your input was not the cause. "
        "Reload the page and try again.",
        icon=":material/error:",
    )


def show_error(message: str) -> None:
    """An error's sentence as it is: no Markdown in it is obeyed, no place on the server shown."""
    inside = re.escape(str(settings().jobs_folder)) + r"/(?:[\w-]{22}/)?|\.\./[\w-]{22}/"
    st.error(escape(re.sub(inside, "", message)), icon=":material/error:")


def escape(text: str) -> str:
    """`text` such that Markdown shows every character of it and obeys none."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$:~&@=^])", r"\\\1", text)


def list_skipped(skipped: Sequence[Skipped]) -> None:
    """What was left out of a dataset, folded away, with the reasons."""
    count = counted(len(skipped), "file or segment was", "files or segments were")
    with st.expander(f"{count} left out, and why"):
        st.dataframe(
            [
                {
                    "track": skip.track,
                    "segment": "" if skip.segment is None else str(skip.segment + 1),
                    "why": skip.reason,
                }
                for skip in skipped
            ],
            hide_index=True,
        )


def chart(figure: go.Figure, alt: str, *, key: str | None = None, **options: Any) -> Any:
    """Draw a Plotly figure in the common way; `alt` tells a screen reader what it shows."""
    figure = dressed(figure, large=tour.is_on(tour.PRESENT))
    return st.plotly_chart(figure, key=key, config=CONFIG, alt=alt, **options)
