"""The calculator of the mel scale page for a list of numbers: a table to download."""

from typing import Final, Literal

import numpy as np
import streamlit as st

from genrekit.app.kit.widgets import choice, download, escape
from genrekit.app.mel import figures as views
from genrekit.mel.number_list import MAX_NUMBERS, BadEntry, convert, parse_numbers
from genrekit.mel.scale import MelFormula
from genrekit.wording import counted

__all__ = ["number_list"]

DEFAULT_LIST: Final = "27.5 110 220 440 880 1000 1760 4186"
DECIMALS: Final = {"Hz": 2, "mel (HTK)": 2, "mel (Slaney)": 3, "cents above it": 1}
MAX_LINK_CHARACTERS: Final = 1500
MAX_LIST_CHARACTERS: Final = 250_000


def number_list() -> None:
    unit: Literal["hz", "mel"] = choice(
        "The numbers are", {"hz": "hertz", "mel": "mel"}, "mel_unit"
    )
    formula: MelFormula = "htk"
    if unit == "mel":
        formula = choice("mel of", views.FORMULA_NAMES, "mel_list_formula")
    text = _list_input()
    numbers, bad, left_over = parse_numbers(text, unit, formula)
    _list_warnings(bad, left_over)
    if not numbers:
        st.info("There is no number in the list yet: type or paste some, such as 220 440 880.")
        return
    table = convert(numbers, unit, formula)
    st.markdown(f"**{counted(len(numbers), 'number')}** converted.")
    st.dataframe(
        {
            "Hz": table.hz,
            "mel (HTK)": table.htk,
            "mel (Slaney)": table.slaney,
            "nearest note": table.note,
            # Adding 0 turns a rounded -0 into 0.
            "cents above it": np.round(table.cents, 1) + 0.0,
        },
        hide_index=True,
        height=min(420, 38 + 35 * len(numbers)),
        column_config={
            name: st.column_config.NumberColumn(format=f"%.{decimals}f")
            for name, decimals in DECIMALS.items()
        },
    )
    download(st, "Download the table (CSV)", table.to_csv(), "mel.csv")


def _list_input() -> str:
    """Return the pasted text; the address keeps it, too, if it is short enough for a link."""
    if "mel_text" not in st.session_state:
        saved = st.query_params.get("mel_list", DEFAULT_LIST)
        st.session_state.mel_text = saved[:MAX_LIST_CHARACTERS]
    text = st.text_area(
        f"Up to {MAX_NUMBERS:,} numbers, separated by commas, semicolons, spaces or line breaks",
        key="mel_text",
        persist_state="session",
        height=120,
        max_chars=MAX_LIST_CHARACTERS,
        help="Write decimals with a point: 440.5. “Hz” may follow a number: 440 Hz.",
    )
    if text != DEFAULT_LIST and len(text) <= MAX_LINK_CHARACTERS:
        st.query_params["mel_list"] = text
        return str(text)
    st.query_params.pop("mel_list", None)
    if text != DEFAULT_LIST:
        st.caption("This list is too long for the page's address, so a link will not carry it.")
    return str(text)


def _list_warnings(bad: list[BadEntry], left_over: int) -> None:
    if bad:
        shown = [f"- entry {e.position}, “{escape(e.text[:24])}”, {e.reason}" for e in bad[:8]]
        more = f"\n- and {len(bad) - 8:,} more" if len(bad) > 8 else ""
        st.warning(
            f"{counted(len(bad), 'entry was', 'entries were')} left out; correct "
            "or remove:\n" + "\n".join(shown) + more
        )
    if left_over:
        st.warning(
            f"The list is longer than {MAX_NUMBERS:,}: "
            f"the last {counted(left_over, 'entry was', 'entries were')} not converted. Convert "
            "the rest in a second go."
        )
