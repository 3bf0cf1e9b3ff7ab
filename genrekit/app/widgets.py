"""What every page is made of: its heading, its errors, its sounds."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from genrekit.app.charts import CONFIG
from genrekit.errors import GenreKitError

__all__ = ["chart", "page_header", "plain_errors", "wav_bytes"]

_log = logging.getLogger("genrekit.app")


def page_header(title: str, see: str, try_: str) -> None:
    """The heading of a page: what one sees, in two sentences, and what to try."""
    st.title(title, anchor=False)
    st.markdown(see)
    st.markdown(f":material/lightbulb: **Try:** {try_}")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show an error as one plain sentence; nobody meets a traceback."""
    try:
        yield
    except GenreKitError as error:
        st.error(str(error), icon=":material/error:")
    except Exception:
        # Streamlit steers by exceptions of its own, which are BaseException and pass through.
        _log.exception("A page failed")
        st.error(
            "Something went wrong on our side, and your input was not the cause. "
            "Reload the page and try again.",
            icon=":material/error:",
        )


def chart(figure: go.Figure, alt: str, *, key: str | None = None, **options: Any) -> Any:
    """Draw a Plotly figure in the common way; `alt` tells a screen reader what it shows."""
    return st.plotly_chart(figure, key=key, config=CONFIG, alt=alt, **options)


def wav_bytes(samples: NDArray[np.floating[Any]], sample_rate: int) -> bytes:
    """16-bit WAV for st.audio, which would otherwise normalise an array's level away.

    Parameters
    ----------
    samples : ndarray, shape (samples,), full scale 1.0; beyond is clipped
    sample_rate : int, Hz
    """
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
