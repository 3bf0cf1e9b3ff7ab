"""Section of the mel scale page: steps and staircases to judge by ear before the answer."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import streamlit as st

from genrekit.app.kit.component import component
from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.media import media_url
from genrekit.app.kit.widgets import URL, choice, number_input, show_error
from genrekit.app.mel.rulers import step_rulers
from genrekit.audio.encode import wav_bytes
from genrekit.mel import tones
from genrekit.system.records import read_toml

__all__ = ["ear_test"]


class Test(NamedTuple):
    """The unit in which both steps are equal, and whether the low one is called A."""

    unit: tones.StepUnit
    low_first: bool


TESTS: Final = {"1": Test("hz", True), "2": Test("mel", False), "3": Test("semitones", True)}
_WORDS: Final[dict[str, Any]] = read_toml(__file__)
_mount: Final = component("ear_test")


def ear_test() -> None:
    page_heading("ear")
    names = {**{name: f"Test {name}" for name in TESTS}, "stairs": "Staircases"}
    which = choice("Test", names, "mel_test", label_visibility="collapsed")
    test = st.container()
    low, top, high = _ear_settings()
    with test:
        if top <= low:
            show_error(f"The low step must go up: raise its second tone above {low:g} Hz.")
        elif which == "stairs":
            _staircases(low, high)
        else:
            _two_steps(TESTS[which], low, top, high)


def _ear_settings() -> tuple[float, float, float]:
    with st.expander("Change the tones (this gives away where they start)"):
        left, middle, right = st.columns(3)
        low = number_input(left, "Low step from, Hz", 50, 2000, 200, 50, key="mel_low")
        top = number_input(middle, "to, Hz", 60, 4000, 400, 50, key="mel_top")
        high = number_input(right, "High step from, Hz", 500, 5000, 4000, 100, key="mel_high")
    return float(low), float(top), float(high)


def _two_steps(test: Test, low: float, top: float, high: float) -> None:
    size = tones.step_size(low, top, test.unit)
    steps = [(low, top), (high, tones.step_from(high, size, test.unit))]
    if steps[1][1] > 18_000:
        show_error(
            f"The high step would end at {steps[1][1]:,.0f} Hz, which few people hear: start it "
            "lower."
        )
        return
    pairs = dict(zip("AB", steps if test.low_first else steps[::-1], strict=True))
    guess = _listen_and_guess(
        {f"Step {name}": _melody(pair, even_with=sum(steps, ())) for name, pair in pairs.items()},
        "Which step sounds larger?",
        ["Step A", "Step B", "About the same"],
        f"{test.unit}_{low}_{top}_{high}",
    )
    if guess is None:
        return
    low_name, high_name = "AB" if test.low_first else "BA"
    answer = _WORDS[test.unit].format(size=size, low=low_name, high=high_name)
    st.markdown(f"You said: **{guess}**. {answer}")
    size_in = tones.step_size
    sizes = [
        f"{name} goes from {a:,.0f} to {b:,.0f} Hz: {b - a:.0f} Hz, "
        f"{size_in(a, b, 'mel'):.0f} mel, {size_in(a, b, 'semitones'):.1f} semitones."
        for name, (a, b) in pairs.items()
    ]
    step_rulers(pairs, "Both steps on a hertz ruler and on a mel ruler. " + " ".join(sizes))
    st.caption(" ".join(sizes))


def _staircases(low: float, high: float) -> None:
    heard = st.container()
    count = st.slider("Steps", 4, 16, 8, key="mel_stairs", **URL)
    stairs = {
        "A": tones.equal_steps(low, high, count, "mel"),
        "B": tones.equal_steps(low, high, count, "hz"),
    }
    with heard:
        guess = _listen_and_guess(
            {
                f"Staircase {name}": _melody(f.tolist(), tone_seconds=0.3)
                for name, f in stairs.items()
            },
            "Which staircase climbs more evenly?",
            ["A", "B", "No difference"],
            f"stairs_{low}_{high}_{count}",
        )
        if guess is None:
            return
        first, last = ({name: f[i + 1] - f[i] for name, f in stairs.items()} for i in (0, -2))
        st.markdown(
            f"You said: **{guess}**. Both climb from {low:,.0f} to {high:,.0f} Hz in {count} "
            f"steps. **A** takes equal steps in mel: its first is {first['A']:.0f} Hz, its last "
            f"{last['A']:.0f} Hz. **B** takes {first['B']:.0f} Hz each time: a leap at first, "
            "hardly a step at the end."
        )
        step_rulers(
            {name: tuple(f.tolist()) for name, f in stairs.items()},
            "Two staircases on a hertz ruler and on a mel ruler: A is even in mel, B in hertz.",
        )


def _melody(
    frequencies: Sequence[float], *, tone_seconds: float = 0.7, even_with: Sequence[float] = ()
) -> bytes:
    sound = tones.melody(
        frequencies, tone_seconds=tone_seconds, gap_seconds=0.05, even_with=even_with
    )
    return wav_bytes(sound, tones.SAMPLE_RATE)


def _listen_and_guess(
    sounds: dict[str, bytes], question: str, answers: list[str], key: str
) -> str | None:
    """Offer sounds and a question; guesses stay out of the address."""
    _mount(
        key="mel_sounds",
        data={name: media_url(wav, "audio/wav", name) for name, wav in sounds.items()},
    )
    guess = st.radio(question, answers, index=None, horizontal=True, key=f"mel_guess_{key}")
    if guess is None:
        st.caption(
            "Listen, then choose: the answer appears. All tones are quiet, 12 dB below full level "
            "at most, and tones to which the ear is more sensitive are turned down, so that you "
            "compare pitch and not loudness."
        )
    return guess
