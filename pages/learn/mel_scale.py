"""The mel scale: convert, see, hear, and follow a sound until it is an MFCC."""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from genrekit import tones
from genrekit.app import mel_views as views
from genrekit.app.mel_sound import clamp, sound_to_mfcc, trace
from genrekit.app.widgets import chart, escape, page_header, plain_errors, wav_bytes
from genrekit.conversion import MAX_NUMBERS, BadEntry, convert, parse_numbers
from genrekit.mel import FilterNorm, MelFormula, hz_to_mel, mel_to_hz
from genrekit.trace import inspect_bank

DEFAULT_LIST: Final = "27.5 110 220 440 880 1000 1760 4186"
MAX_LINK_CHARACTERS: Final = 1500
MAX_LIST_CHARACTERS: Final = 250_000


# -- 1: calculator ------------------------------------------------------------------------------


def calculator() -> None:
    page_header(
        "The mel scale",
        "A **hertz** (Hz) counts vibrations a second; a **mel** counts how high a tone sounds. "
        "Below, one tone stands on both rulers: equal steps up the mel ruler are heard as about "
        "equal steps, while equal steps in hertz shrink as you go up.",
        "drag the tone from left to right and watch how many hertz one mel is worth.",
    )
    hz, formula = _frequency_inputs()
    _rulers(hz, formula)
    _formulas(hz)
    _curve(hz)
    _two_formulas()


def _frequency_inputs() -> tuple[float, MelFormula]:
    """Three ways to set one frequency; the URL keeps it in hertz."""
    notes = {i: float(np.round(tones.note_frequency(i), 2)) for i in range(16, 136)}
    names = {i: f"{tones.nearest_note(f)[0]} · {f:.5g} Hz" for i, f in notes.items()}
    left, choice, middle, right = st.columns([3, 3, 3, 4])
    hz = left.number_input(
        "Frequency, Hz",
        0.0,
        96_000.0,
        440.0,
        10.0,
        key="mel_hz",
        bind="query-params",
        format="%.6g",
    )
    formula: MelFormula = choice.segmented_control(
        "Mel formula",
        ["htk", "slaney"],
        default="htk",
        required=True,
        format_func=views.FORMULA_NAMES.__getitem__,
        key="mel_formula",
        bind="query-params",
    )

    def from_mel() -> None:
        st.session_state.mel_hz = round(float(mel_to_hz(st.session_state.mel_of, formula)), 4)

    def from_note() -> None:
        st.session_state.mel_hz = notes[st.session_state.mel_note]

    st.session_state.mel_of = float(round(float(hz_to_mel(hz, formula)), 3))
    middle.number_input(
        "The same in mel",
        0.0,
        float(np.ceil(hz_to_mel(96_000, formula))),
        step=100.0 if formula == "htk" else 1.0,
        key="mel_of",
        on_change=from_mel,
        format="%.6g",
    )
    midi = int(np.clip(np.rint(69 + 12 * np.log2(max(hz, 1) / 440)), 16, 135))
    st.session_state.mel_note = midi
    right.select_slider(
        "…or drag along the notes",
        list(notes),
        format_func=names.__getitem__,
        key="mel_note",
        on_change=from_note,
    )
    return float(hz), formula


def _rulers(hz: float, formula: MelFormula) -> None:
    htk, slaney = float(hz_to_mel(hz, "htk")), float(hz_to_mel(hz, "slaney"))
    with st.container(horizontal=True):
        st.metric("hertz", f"{hz:,.7g}", border=True, width=165)
        st.metric("mel, HTK", f"{htk:,.2f}", border=True, width=165)
        st.metric("mel, Slaney", f"{slaney:,.3f}", border=True, width=165)
        st.metric("nearest note", views.note_label(hz), border=True, width=265)
    worth = float(mel_to_hz(hz_to_mel(hz, formula) + 1, formula)) - hz
    st.markdown(
        f"Here one more mel ({views.FORMULA_NAMES[formula]}) is **{worth:.2f} Hz** more. "
        "A *cent* is a hundredth of a semitone, the step from one piano key to the next."
    )
    if 20 <= hz <= 18_000:
        st.audio(
            wav_bytes(tones.melody([hz], tone_seconds=1.2), tones.SAMPLE_RATE),
            alt=f"A pure tone of {hz:.6g} Hz",
        )
    else:
        st.caption("No player here: hardly anyone hears tones below 20 Hz or above 18,000 Hz.")


def _formulas(hz: float) -> None:
    for column, formula in zip(st.columns(2), ("htk", "slaney"), strict=True):
        with column.container(border=True):
            st.markdown(f"**{views.FORMULA_NAMES[formula]}**, hertz to mel and back")
            st.latex(views.formula_latex(hz, formula))
            st.latex(views.inverse_latex(hz, formula))


def _curve(hz: float) -> None:
    axis = st.segmented_control(
        "Frequency axis",
        ["linear", "logarithmic"],
        default="linear",
        required=True,
        key="mel_axis",
        bind="query-params",
        help="Logarithmic: every octave, a doubling of the frequency, is equally wide.",
    )
    chart(
        views.curve_figure(hz, logarithmic=axis == "logarithmic"),
        alt=f"Mel over frequency, {axis} axis. Both formulas rise steeply at first and flatten "
        f"towards high frequencies; {hz:.6g} Hz is marked at {float(hz_to_mel(hz)):.1f} mel.",
        key="mel_curve",
    )


def _two_formulas() -> None:
    with st.expander("Why is 1000 Hz 1000 mel in one formula and 15 in the other?"):
        st.markdown(
            "They are two rulers for nearly the same curve, as centimetres and inches are for "
            "one length. **HTK** (O'Shaughnessy's formula of 1987, used by textbooks and the HTK "
            "and Kaldi toolkits) sets its unit so that 1000 Hz is 1000 mel. **Slaney** (the "
            "Auditory Toolbox of 1998, the default of the librosa library) counts 15 steps up to "
            "1000 Hz, evenly spaced in hertz, and then 27 steps for every factor of 6.4. Neither "
            "is wrong, but their numbers must never be mixed. The curves above share the height "
            "of 1000 Hz so that their shapes can be compared."
        )
    with st.expander("And is it 2595 or 1127?"):
        st.markdown(
            "Both: it is one formula, written with two logarithms. 2595 goes with the logarithm "
            "to base 10, 1127 with the natural one, because changing the base divides by ln 10:"
        )
        st.latex(views.constants_latex())
        st.latex(r"2595\,\log_{10}\!\left(1+\tfrac{f}{700}\right)")
        st.latex(r"\approx 1127\,\ln\!\left(1+\tfrac{f}{700}\right)")
        st.markdown(
            "Rounding makes the only difference, less than one part in 50,000. It is also why "
            "1000 Hz comes out as 999.99 mel; some write 1127.01 instead, which makes it 1000.00."
        )


# -- 2: a list ----------------------------------------------------------------------------------


def number_list() -> None:
    page_header(
        "Convert a list",
        "Each number of your list becomes a row with its frequency, its mel value in both "
        "formulas and the nearest note. The table can be downloaded as a CSV file, which every "
        "spreadsheet opens.",
        "paste a column from a spreadsheet, or switch the list to mel.",
    )
    unit: Literal["hz", "mel"] = st.segmented_control(
        "The numbers are",
        ["hz", "mel"],
        default="hz",
        required=True,
        format_func={"hz": "hertz", "mel": "mel"}.__getitem__,
        key="mel_unit",
        bind="query-params",
    )
    formula: MelFormula = "htk"
    if unit == "mel":
        formula = st.segmented_control(
            "mel of",
            ["htk", "slaney"],
            default="htk",
            required=True,
            format_func=views.FORMULA_NAMES.__getitem__,
            key="mel_list_formula",
            bind="query-params",
        )
    text = _list_input()
    numbers, bad, left_over = parse_numbers(text, unit, formula)
    _list_warnings(bad, left_over)
    if not numbers:
        st.info("There is no number in the list yet: type or paste some, such as 220 440 880.")
        return
    table = convert(numbers, unit, formula)
    st.markdown(f"**{len(numbers):,}** {'number' if len(numbers) == 1 else 'numbers'} converted.")
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
            "Hz": st.column_config.NumberColumn(format="%.2f"),
            "mel (HTK)": st.column_config.NumberColumn(format="%.2f"),
            "mel (Slaney)": st.column_config.NumberColumn(format="%.3f"),
            "cents above it": st.column_config.NumberColumn(format="%.1f"),
        },
    )
    st.download_button(
        "Download the table (CSV)",
        table.to_csv(),
        "mel.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _list_input() -> str:
    """The pasted text; in the URL too while it is short enough for a link."""
    if "mel_text" not in st.session_state:
        saved = st.query_params.get("mel_list", DEFAULT_LIST)
        st.session_state.mel_text = saved[:MAX_LIST_CHARACTERS]
    text = st.text_area(
        f"Up to {MAX_NUMBERS:,} numbers, between commas, semicolons, spaces or line breaks",
        key="mel_text",
        persist_state="session",
        height=120,
        max_chars=MAX_LIST_CHARACTERS,
        help="Write decimals with a point: 440.5. The unit may follow a number: 440 Hz.",
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
        shown = [f"- entry {e.place}, “{escape(e.text[:24])}”, {e.reason}" for e in bad[:8]]
        more = f"\n- and {len(bad) - 8:,} more" if len(bad) > 8 else ""
        st.warning(
            f"{len(bad):,} {'entry was' if len(bad) == 1 else 'entries were'} left out; correct "
            "or remove:\n" + "\n".join(shown) + more
        )
    if left_over:
        st.warning(
            f"The list is longer than {MAX_NUMBERS:,}: the last {left_over:,} entries were not "
            "converted. Convert them in a second go."
        )


# -- 3: ear test --------------------------------------------------------------------------------


class Test(NamedTuple):
    """Which steps are equal, and whether the low one is called A."""

    unit: tones.StepUnit
    low_first: bool


TESTS: Final = {
    "1": Test("hz", True),
    "2": Test("mel", False),
    "3": Test("semitones", True),
}


def ear_test() -> None:
    page_header(
        "Trust your ears",
        "Two steps up, A and B, each from a low tone to a higher one. Play both, say which step "
        "sounds larger, and only then see what they were.",
        "go through tests 1 to 3, then the staircases. Start with the volume low.",
    )
    which = st.segmented_control(
        "Test",
        [*TESTS, "stairs"],
        default="1",
        required=True,
        format_func=lambda name: "Staircases" if name == "stairs" else f"Test {name}",
        key="mel_test",
        bind="query-params",
    )
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
            "The low step goes from, Hz", 50, 2000, 200, 50, key="mel_low", bind="query-params"
        )
        top = middle.number_input("to, Hz", 60, 4000, 400, 50, key="mel_top", bind="query-params")
        high = right.number_input(
            "The high step starts at, Hz",
            500,
            5000,
            4000,
            100,
            key="mel_high",
            bind="query-params",
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
        views.steps_figure(pairs, "htk"),
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
    high_name = "B" if test.low_first else "A"
    low_name = "A" if test.low_first else "B"
    if test.unit == "hz":
        return (
            f"Both steps are **{size:.0f} Hz**: {described}. Most people hear step {low_name} as "
            "much the larger: hertz are not what we hear."
        )
    if test.unit == "mel":
        return (
            f"Both steps are **{size:.0f} mel**: {described}. The mel scale was drawn from "
            "listeners' judgements of such tones, so to most people they sound about alike. Not "
            f"to all: someone who listens for musical intervals hears step {low_name} as the "
            "larger."
        )
    return (
        f"Both steps are **{size:.1f} semitones**, the same musical interval: {described}. In mel "
        f"step {high_name} is the larger. Which ruler fits depends on how one listens: to the "
        "melody, or to how high it sounds."
    )


def _staircases(low: float, high: float) -> None:
    count = st.slider("Steps", 4, 16, 8, key="mel_stairs", bind="query-params")
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
    frequencies: tuple[float, ...],
    *,
    tone_seconds: float = 0.7,
    even_with: tuple[float, ...] = (),
) -> bytes:
    sound = tones.melody(
        frequencies, tone_seconds=tone_seconds, gap_seconds=0.05, even_with=even_with
    )
    return wav_bytes(sound, tones.SAMPLE_RATE)


def _listen_and_guess(
    sounds: dict[str, bytes], question: str, answers: list[str], key: str, noun: str
) -> str | None:
    """Players, then the question; a new test starts unanswered. Guesses stay out of the URL."""
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


# -- 4: filter bank -----------------------------------------------------------------------------

N_FFTS: Final = [128, 256, 512, 1024, 2048, 4096, 8192]


class BankSettings(NamedTuple):
    sample_rate: int
    n_fft: int
    n_mels: int
    fmin: int
    fmax: int
    formula: MelFormula
    norm: FilterNorm


def filter_bank() -> None:
    page_header(
        "The filter bank",
        "A computer sorts the frequencies of a moment of sound into overlapping triangles, the "
        "**mel bands**: narrow ones for low tones, wide ones for high tones. Each band reports one "
        "number, the weighted sum of the spectrum beneath it.",
        "raise the number of bands to 128 and lower n_fft to 256; some bands go empty.",
    )
    settings = _bank_settings()
    if settings.fmin >= settings.fmax:
        st.error(
            f"The range is empty, for {settings.fmin:,} Hz is not below {settings.fmax:,} Hz: "
            "lower its start or raise its end.",
            icon=":material/error:",
        )
        return
    report = inspect_bank(
        settings.sample_rate,
        settings.n_fft,
        settings.n_mels,
        fmin=settings.fmin,
        fmax=settings.fmax,
        formula=settings.formula,
        norm=settings.norm,
    )
    bin_hz = settings.sample_rate / settings.n_fft
    _bank_verdict(settings, report.empty + 1, bin_hz, report.n_fft_needed, report.n_mels_possible)
    clamp("mel_band", 1, settings.n_mels)
    left, right = st.columns(2)
    band = 1
    if settings.n_mels > 1:
        band = left.slider(
            "Look at band",
            1,
            settings.n_mels,
            min(20, settings.n_mels),
            key="mel_band",
            bind="query-params",
        )
    zoom = right.segmented_control(
        "Show",
        ["all", "low"],
        default="all",
        required=True,
        format_func={"all": "the whole range", "low": "its lowest part"}.__getitem__,
        key="mel_zoom",
        bind="query-params",
    )
    low, centre, high = report.edges[band - 1 : band + 2]
    caught = int(np.count_nonzero(report.bands[band - 1]))
    st.markdown(
        f"Band {band} rises from {low:,.0f} Hz to its peak at **{centre:,.0f} Hz** and falls to "
        f"{high:,.0f} Hz. It catches **{caught}** FFT {'bin' if caught == 1 else 'bins'}."
    )
    end = float(settings.fmax)
    if zoom == "low":
        end = settings.fmin + (settings.fmax - settings.fmin) / 10
    chart(
        views.bank_figure(report, chosen=band - 1, zoom=(float(settings.fmin), end)),
        alt=f"{settings.n_mels} triangular mel bands from {settings.fmin} to {settings.fmax} Hz, "
        f"narrow at low frequencies and wide at high ones; {len(report.empty)} are empty.",
        key="mel_bank",
    )


def _bank_settings() -> BankSettings:
    one, two, three = st.columns(3)
    n_mels = one.slider("Number of bands", 1, 256, 40, key="mel_bands", bind="query-params")
    n_fft = two.select_slider(
        "n_fft: samples in one spectrum", N_FFTS, 2048, key="mel_n_fft", bind="query-params"
    )
    rate = three.selectbox(
        "Sample rate",
        [8000, 16000, 22050, 44100, 48000],
        2,
        key="mel_rate",
        format_func=lambda r: f"{r} Hz",
        bind="query-params",
        help="Samples a second. The highest frequency they can hold is half of it.",
    )
    four, five, six, seven = st.columns([3, 3, 3, 4])
    nyquist = rate // 2
    clamp("mel_fmin", 0, nyquist)
    clamp("mel_fmax", 0, nyquist)
    fmin = four.number_input("From, Hz", 0, nyquist, 0, 50, key="mel_fmin", bind="query-params")
    fmax = five.number_input(
        "to, Hz", 0, nyquist, nyquist, 500, key="mel_fmax", bind="query-params"
    )
    formula = six.segmented_control(
        "Formula",
        ["slaney", "htk"],
        default="slaney",
        required=True,
        format_func=views.FORMULA_NAMES.__getitem__,
        key="mel_bank_formula",
        bind="query-params",
    )
    norm = seven.segmented_control(
        "Heights",
        ["slaney", "peak"],
        default="slaney",
        required=True,
        format_func={"slaney": "equal areas", "peak": "equal peaks"}.__getitem__,
        key="mel_norm",
        bind="query-params",
        help="Equal areas (librosa's default) keeps wide bands from shouting down narrow ones; "
        "equal peaks lets every triangle reach 1.",
    )
    return BankSettings(rate, n_fft, n_mels, int(fmin), int(fmax), formula, norm)


def _bank_verdict(
    settings: BankSettings,
    empty: NDArray[np.intp],
    bin_hz: float,
    n_fft: int | None,
    n_mels: int,
) -> None:
    """Are there empty bands, why, and what helps."""
    spacing = (
        f"With n_fft {settings.n_fft} at {settings.sample_rate:,} Hz the spectrum has one value "
        f"(an FFT *bin*) every {settings.sample_rate:,} ÷ {settings.n_fft} = **{bin_hz:.1f} Hz**."
    )
    if not empty.size:
        st.success(f"{spacing} Every band catches at least one.", icon=":material/check_circle:")
        return
    listed = ", ".join(map(str, empty[:10])) + (" …" if len(empty) > 10 else "")
    st.warning(
        f"**{len(empty)} of {settings.n_mels} bands are empty** (band {listed}). {spacing} A "
        "triangle narrower than that can slip between two bins; it then reports silence whatever "
        "is played, and the MFCCs suffer.",
        icon=":material/warning:",
    )
    left, right = st.columns(2)
    if n_fft is not None and n_fft in N_FFTS:
        left.button(f"Remedy: raise n_fft to {n_fft}", on_click=_set, args=("mel_n_fft", n_fft))
    if n_mels:
        right.button(
            f"Remedy: take {n_mels} {'band' if n_mels == 1 else 'bands'}",
            on_click=_set,
            args=("mel_bands", n_mels),
        )


def _set(key: str, value: object) -> None:
    st.session_state[key] = value


# -- the page -----------------------------------------------------------------------------------

SECTIONS: Final[dict[str, tuple[str, Callable[[], None]]]] = {
    "calculator": ("Calculator", calculator),
    "list": ("List", number_list),
    "ear": ("Ear test", ear_test),
    "bank": ("Filter bank", filter_bank),
    "sound": ("Sound to MFCC", sound_to_mfcc),
    "trace": ("Trace a number", trace),
}

with plain_errors():
    section = st.segmented_control(
        "Section of this page",
        list(SECTIONS),
        default="calculator",
        required=True,
        wrap=True,
        format_func=lambda name: SECTIONS[name][0],
        key="mel_view",
        bind="query-params",
        label_visibility="collapsed",
    )
    SECTIONS[section][1]()
