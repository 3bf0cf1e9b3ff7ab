"""Tones against closed forms, published weighting values, and what a click would look like."""

import librosa
import numpy as np
import pytest

from genrekit.errors import SettingsError
from genrekit.mel import tones
from genrekit.mel.scale import hz_to_mel

PEAK = 10 ** (-12 / 20)


@pytest.mark.parametrize(
    ("hz", "name", "cents"),
    [
        (440, "A4", 0),
        (261.625565, "C4", 0),
        (27.5, "A0", 0),
        (1000, "B5", 21.3),
        (8.1757989, "C-1", 0),
    ],
)
def test_notes_have_their_names(hz: float, name: str, cents: float) -> None:
    names, offset = tones.nearest_note(hz)
    assert str(names) == name
    assert float(offset) == pytest.approx(cents, abs=0.1)


def test_notes_agree_with_librosa() -> None:
    f = np.geomspace(30, 12_000, 200)
    names, cents = tones.nearest_note(f)
    assert list(names) == [librosa.hz_to_note(x) for x in f]
    assert np.allclose(
        tones.note_frequency(librosa.note_to_midi(list(names))) * 2 ** (cents / 1200), f
    )


def test_zero_hertz_is_no_note() -> None:
    names, cents = tones.nearest_note([0.0, 440.0])
    assert list(names) == ["", "A4"]
    assert np.isnan(cents[0])


def test_step_sizes_are_those_of_the_rulers() -> None:
    assert tones.step_size(200, 400, "hz") == 200
    assert tones.step_size(200, 400, "semitones") == pytest.approx(12)
    expected = 2595 * np.log10((1 + 400 / 700) / (1 + 200 / 700))
    assert tones.step_size(200, 400, "mel") == pytest.approx(expected)


@pytest.mark.parametrize("unit", ["hz", "mel", "semitones"])
def test_a_step_from_a_tone_has_the_size_asked_for(unit: tones.StepUnit) -> None:
    there = tones.step_from(4000, tones.step_size(200, 400, unit), unit)
    assert tones.step_size(4000, there, unit) == pytest.approx(tones.step_size(200, 400, unit))


def test_equal_mel_steps_are_equal_in_mel_and_grow_in_hertz() -> None:
    stairs = tones.equal_steps(200, 4000, 8, "mel")
    assert stairs[[0, -1]] == pytest.approx([200, 4000])
    assert np.diff(hz_to_mel(stairs)) == pytest.approx(np.diff(hz_to_mel(stairs))[0])
    assert (np.diff(stairs, 2) > 0).all()


def test_equal_hertz_steps_are_a_straight_line() -> None:
    assert tones.equal_steps(100, 500, 4, "hz") == pytest.approx([100, 200, 300, 400, 500])


@pytest.mark.parametrize(
    ("hz", "db"),
    [(31.62, -39.4), (100, -19.1), (199.5, -10.9), (1000, 0), (3981, 1.0), (10_000, -2.5)],
)
def test_a_weighting_is_the_standard_s(hz: float, db: float) -> None:
    """IEC 61672-1, table 3, at the exact base-ten frequencies."""
    assert float(tones.a_weighting(hz)) == pytest.approx(db, abs=0.06)


def _sounds() -> dict[str, np.ndarray]:
    return {
        "step": tones.melody([200, 400], even_with=[4000, 4200]),
        "high step": tones.melody([4000, 4200], even_with=[200, 400]),
        "stairs": tones.melody(tones.equal_steps(60, 5000, 16, "mel"), tone_seconds=0.3),
        "glide": tones.glide(110, 3520, 1.0, sample_rate=22_050),
        "chord": tones.chord([131, 196, 330, 494], 1.0, sample_rate=22_050),
    }


@pytest.mark.parametrize("name", list(_sounds()))
def test_sounds_are_safe_and_do_not_click(name: str) -> None:
    sound = _sounds()[name]
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= PEAK * 1.0001
    assert sound[0] == 0
    assert sound[-1] == 0
    # A click is a jump. A faded tone's first 2 ms stay far below its peak.
    assert np.abs(sound[:44]).max() < 0.05 * np.abs(sound).max()
    assert np.abs(sound[-44:]).max() < 0.05 * np.abs(sound).max()


def test_no_jump_where_one_tone_follows_another() -> None:
    sound = tones.melody([200, 400], tone_seconds=0.3, gap_seconds=0).astype(np.float64)
    steepest = PEAK * 2 * np.pi * 400 / tones.SAMPLE_RATE
    assert np.abs(np.diff(sound)).max() <= 1.1 * steepest


def test_high_tones_are_turned_down_by_the_difference_in_sensitivity() -> None:
    low = tones.melody([200], even_with=[4000])
    high = tones.melody([4000], even_with=[200])
    ratio_db = 20 * np.log10(np.abs(low).max() / np.abs(high).max())
    assert ratio_db == pytest.approx(11.8, abs=0.2)


def test_the_glide_is_where_it_should_be_half_way() -> None:
    sound = tones.glide(200, 800, 2.0, sample_rate=22_050)
    middle = sound[20_000:24_100] * np.hanning(4100)
    spectrum = np.abs(np.fft.rfft(middle))
    loudest = np.argmax(spectrum) * 22_050 / 4100
    assert loudest == pytest.approx(400, abs=12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tones.melody([]), "no tone"),
        (lambda: tones.melody([30_000]), "cannot be played"),
        (
            lambda: tones.melody([440], tone_seconds=0.01),
            "length of a tone is 0.01: use a number of at least 0.05 s",
        ),
        (lambda: tones.glide(0, 100, 1), "cannot be played"),
        (lambda: tones.equal_steps(100, 200, 0, "hz"), "at least 1"),
        (lambda: tones.equal_steps(0, 200, 2, "semitones"), "0 Hz is impossible"),
        (lambda: tones.step_size(100, 200, "bark"), "Unknown step unit"),  # type: ignore[arg-type]
    ],
)
def test_impossible_tones_are_refused(call, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        call()
