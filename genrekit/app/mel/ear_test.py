"""Section of the mel scale page: steps and staircases to judge by ear before the answer."""

from typing import Final, NamedTuple

import streamlit as st

from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.widgets import URL, chart, choice
from genrekit.app.mel import figures as views
from genrekit.audio.encode import wav_bytes
from genrekit.mel import tones
from genrekit.system.records import read_toml

__all__ = ["ear_test"]


class Test(NamedTuple):
    """The unit in which both steps are equal, and whether the low one is called A."""

    unit: tones.StepUnit
    low_first: bool


TESTS: Final = {"1": Test("hz", True), "2": Test("mel", False), "3": Test("semitones", True)}
_WORDS: Final = read_toml(__file__)


def ear_test() -> None:
    page_heading("ear")
    names = {**{name: f"Test {name}" for name in TESTS}, "stairs": "Staircases"}
    which = choice("Test", names, "mel_test")
    low, top, high = _ear_settings()
    if top <= low:
        st.error(
            f"The low step must go up, but {top:g} Hz is not above {low:g} Hz: raise its second "
            "tone.",
            icon=":material/error:",
        )
        return
    if which == "stairs":
        _staircases(low, high)
    else:
        _two_steps(TESTS[which], low, top, high)


def _ear_settings() -> tuple[float, float, float]:
    with st.expander("Change the tones (this gives away where they start)"):
        left, middle, right = st.columns(3)
        low = left.number_input(
            "The low step goes from, Hz", 50, 2000, 200, 50, key="mel_low", **URL
        )
        top = middle.number_input("to, Hz", 60, 4000, 400, 50, key="mel_top", **URL)
        high = right.number_input(
            "The high step starts at, Hz", 500, 5000, 4000, 100, key="mel_high", **URL
        )
    return float(low), float(top), float(high)


def _two_steps(test: Test, low: float, top: float, high: float) -> None:
    size = tones.step_size(low, top, test.unit)
    steps = [(low, top), (high, tones.step_from(high, size, test.unit))]
    if steps[1][1] > 18_000:
        st.error(
            f"The high step would end at {steps[1][1]:,.0f} Hz, which few people hear: start it "
            "lower.",
            icon=":material/error:",
        )
        return
    pairs = dict(zip("AB", steps if test.low_first else steps[::-1], strict=True))
    sounds = {name: _melody(pair, even_with=sum(steps, ())) for name, pair in pairs.items()}
    guess = _listen_and_guess(
        sounds,
        "Which step sounds larger?",
        ["Step A", "Step B", "About the same"],
        f"{test.unit}_{low}_{top}_{high}",
        "Step",
    )
    if guess is None:
        return
    st.markdown(f"You said: **{guess}**. " + _verdict(test, low, top, pairs))
    chart(
        views.steps_figure(pairs),
        alt="The two steps on three rulers. "
        + " ".join(
            f"Step {name}: {b - a:.0f} hertz, {tones.step_size(a, b, 'mel'):.0f} mel, "
            f"{tones.step_size(a, b, 'semitones'):.1f} semitones."
            for name, (a, b) in pairs.items()
        ),
        key="mel_steps",
    )


def _verdict(test: Test, low: float, top: float, pairs: dict[str, tuple[float, float]]) -> str:
    described = "; ".join(
        f"step {name} goes from {a:,.0f} to {b:,.0f} Hz" for name, (a, b) in pairs.items()
    )
    size = tones.step_size(low, top, test.unit)
    low_name, high_name = "AB" if test.low_first else "BA"
    text: str = _WORDS[test.unit]
    return text.format(size=size, described=described, low=low_name, high=high_name)


def _staircases(low: float, high: float) -> None:
    count = st.slider("Steps", 4, 16, 8, key="mel_stairs", **URL)
    stairs = {
        "Staircase A": tones.equal_steps(low, high, count, "mel"),
        "Staircase B": tones.equal_steps(low, high, count, "hz"),
    }
    seconds = 0.35
    sounds = {name[-1]: _melody(tuple(f), tone_seconds=0.3) for name, f in stairs.items()}
    guess = _listen_and_guess(
        sounds,
        "Which staircase climbs more evenly?",
        ["A", "B", "No difference"],
        f"stairs_{low}_{high}_{count}",
        "Staircase",
    )
    if guess is None:
        return
    first = {name: f[1] - f[0] for name, f in stairs.items()}
    last = {name: f[-1] - f[-2] for name, f in stairs.items()}
    st.markdown(
        f"You said: **{guess}**. Both climb from {low:,.0f} to {high:,.0f} Hz in {count} steps. "
        f"**A** takes equal steps in mel: its first is {first['Staircase A']:.0f} Hz, its last "
        f"{last['Staircase A']:.0f} Hz. **B** takes {first['Staircase B']:.0f} Hz each time: a "
        "leap at first, hardly a step at the end."
    )
    chart(
        views.staircase_figure(stairs, seconds),
        alt="Two staircases in frequency over time. A, equal in mel, grows steeper in hertz; "
        "B, equal in hertz, is a straight line.",
        key="mel_stairs_chart",
    )


def _melody(
    frequencies: tuple[float, ...], *, tone_seconds: float = 0.7, even_with: tuple[float, ...] = ()
) -> bytes:
    sound = tones.melody(
        frequencies, tone_seconds=tone_seconds, gap_seconds=0.05, even_with=even_with
    )
    return wav_bytes(sound, tones.SAMPLE_RATE)


def _listen_and_guess(
    sounds: dict[str, bytes], question: str, answers: list[str], key: str, noun: str
) -> str | None:
    """Show players and a question; guesses stay out of the address."""
    for column, (name, wav) in zip(st.columns(len(sounds)), sounds.items(), strict=True):
        column.markdown(f"**{noun} {name}**")
        column.audio(wav, alt=f"{noun} {name}")
    st.caption(
        "Pure tones, 12 dB below full level or quieter. Tones to which the ear is more sensitive "
        "are turned down, so that you compare pitch and not loudness."
    )
    guess = st.radio(question, answers, index=None, horizontal=True, key=f"mel_guess_{key}")
    if guess is None:
        st.info("The answer appears once you have chosen.", icon=":material/hearing:")
    return guess
