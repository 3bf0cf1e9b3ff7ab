"""The parts that every page is made of: heading, choices, charts, errors."""

import logging
import math
import mimetypes
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

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
    "URL",
    "chart",
    "check_upload",
    "choice",
    "clamp",
    "download",
    "escape",
    "first_step",
    "list_skipped",
    "number_input",
    "page_header",
    "plain_errors",
    "show_error",
    "show_failure",
]

# Keeps a widget's value in the address, so that links and reloads bring it back.
URL: Final[dict[str, Any]] = {"bind": "query-params"}


def page_header(title: str, see: str, beside: Callable[[], None] = lambda: None) -> None:
    """Show a page's heading in two lines: its title with what stands beside it, and what to see."""
    with st.container(key="heading", horizontal=True, wrap=False, vertical_alignment="bottom"):
        st.title(title, anchor=False, width="stretch")
        beside()
    tour.prose("heading").markdown(see)


def first_step(page: str, label: str, icon: str, **chosen: str) -> None:
    """Link to the page whose result this page needs, with settings `chosen` there."""
    with st.container(key="first_step"):
        st.page_link(page, label=label, icon=icon, query_params=chosen)


def choice(label: str, options: Mapping[str, str] | Iterable[str], key: str, **more: Any) -> Any:
    """Offer options in a row, one of which is always chosen: the first, unless `default` is given.

    Parameters
    ----------
    options : mapping from each value to its label, or values that are their own labels
    **more : further arguments of `st.segmented_control`
    """
    labels = options if isinstance(options, Mapping) else {name: name for name in options}
    more = {"default": next(iter(labels)), **more}
    chosen = st.segmented_control(
        label, list(labels), required=True, format_func=labels.__getitem__, key=key, **URL, **more
    )
    return more["default"] if chosen is None else chosen  # an address may say: none


def number_input(place: Any, *about: Any, key: str, **more: Any) -> Any:
    """Offer a number that is kept in the address, with the arguments of `place.number_input`.

    Where the address says infinity, as ``?n=1e309`` does, offer the default: Streamlit would ask
    for the whole number in it, and fail.
    """
    bind = None if _is_infinite(st.query_params.get(key, "")) else "query-params"
    return place.number_input(*about, **{**more, "key": key, "bind": bind})


def _is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def check_upload(size: int, remedy: str) -> None:
    """Refuse an upload of more bytes than the host takes; `remedy` says what to do instead.

    Raises
    ------
    GenreKitError
    """
    limit = settings().upload_megabytes
    if size > 1e6 * limit:
        raise GenreKitError(
            f"That is {size / 1e6:.0f} MB, and {limit:g} MB are the most that can be taken at "
            f"once: {remedy}."
        )


def download(place: Any, label: str, content: Any, name: str, **more: Any) -> None:
    """Offer a file as bytes, text or a function that makes it once the visitor asks for it."""
    kind, _ = mimetypes.guess_type(name)
    icon = ":material/download:"
    place.download_button(label, content, name, kind, icon=icon, on_click="ignore", **more)


def clamp(key: str, low: float, high: float) -> None:
    """Pull a widget's remembered value into a range that another setting has moved."""
    value = st.session_state.get(key)
    if isinstance(value, int | float) and not low <= value <= high:
        st.session_state[key] = min(max(value, low), high)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show an error as one plain sentence instead of a traceback."""
    try:
        yield
    except GenreKitError as error:
        event("refused", error=error)
        show_error(str(error))
    except Exception as error:
        # Streamlit's own control flow raises BaseException, which passes through.
        show_failure(error)


def show_failure(error: Exception) -> None:
    """Report an unexpected failure; the log has the details."""
    event("page failed", level=logging.ERROR, error=error)
    st.error(
        "Something went wrong on our side, and your input was not the cause. "
        "Reload the page and try again.",
        icon=":material/error:",
    )


def show_error(message: str) -> None:
    """Show an error message literally, without Markdown and without paths on the server."""
    inside = re.escape(str(settings().jobs_folder)) + r"/(?:[\w-]{22}/)?|\.\./[\w-]{22}/"
    st.error(escape(re.sub(inside, "", message)), icon=":material/error:")


def escape(text: str) -> str:
    """Escape `text` so that Markdown shows every character literally."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$:~&@=^])", r"\\\1", text)


def list_skipped(skipped: Sequence[Skipped]) -> None:
    """List the files and segments left out of a dataset, with the reasons."""
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
    """Draw a Plotly figure in the common style; `alt` describes it to screen readers."""
    figure = dressed(figure, large=tour.is_on(tour.PRESENT))
    return st.plotly_chart(figure, key=key, config=CONFIG, alt=alt, **options)
