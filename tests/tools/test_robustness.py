"""The fixed changes of robustness tests: levels and spectra measured by other means."""

import io

import numpy as np
import pytest
import soundfile
from sound_levels import RATE, composed_piece, decibels, gain_db, white_noise

from genrekit.errors import AudioError
from models import robustness as module
from models.robustness import (
    ROBUSTNESS,
    late_start,
    louder,
    mild_equaliser,
    mp3_64k,
    mp3_bytes,
    phone_bandwidth,
    quieter,
    room_and_loudspeaker,
    stereo_44k,
    stereo_48k,
)


@pytest.fixture(scope="module")
def hiss():
    return white_noise()


@pytest.fixture(scope="module")
def tune():
    return composed_piece()


@pytest.mark.parametrize("name", ROBUSTNESS)
def test_every_change_keeps_type_and_input(name, tune):
    before = tune.copy()
    changed = ROBUSTNESS[name](tune)
    np.testing.assert_array_equal(tune, before)
    assert changed.dtype == np.float32
    assert changed.ndim == 1
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() <= 1.01
    assert ROBUSTNESS[name].__doc__
    assert not np.array_equal(changed, tune)
    if name != "cut 1.3 s later":
        assert changed.shape == tune.shape


def test_quieter_and_louder(hiss):
    np.testing.assert_allclose(quieter(hiss), hiss * 10 ** (-0.6), rtol=1e-6)
    assert np.abs(louder(hiss * 10)).max() == 1
    np.testing.assert_allclose(louder(hiss / 20), hiss / 20 * 10**0.6, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_equaliser_is_mild(hiss, seed):
    curve = gain_db(hiss, mild_equaliser(hiss, seed), np.geomspace(40, 10000, 60))
    assert 3 < np.ptp(curve) < 20
    assert decibels(mild_equaliser(hiss, seed)) == pytest.approx(decibels(hiss), abs=0.01)


def test_the_equaliser_depends_on_its_seed(hiss):
    np.testing.assert_array_equal(mild_equaliser(hiss), mild_equaliser(hiss, 0))
    assert not np.allclose(mild_equaliser(hiss, 1), mild_equaliser(hiss, 2))


def test_the_band_of_a_telephone(hiss):
    low, edge, inside, top, high = gain_db(
        hiss, phone_bandwidth(hiss), [120, 300, 1000, 3400, 6800]
    )
    assert low < -25
    assert edge == pytest.approx(-3, abs=1.0)
    assert inside == pytest.approx(0, abs=0.2)
    assert top == pytest.approx(-3, abs=0.6)
    assert high < -40


def test_sounds_are_played_in_different_rooms(hiss):
    changed = room_and_loudspeaker(hiss)
    np.testing.assert_array_equal(changed, room_and_loudspeaker(hiss))
    assert decibels(changed) == pytest.approx(decibels(hiss), abs=0.1)
    bass, middle = gain_db(hiss, changed, [40, 1500])
    assert bass < middle - 15
    hertz = np.geomspace(500, 3000, 10)
    other = gain_db(0.9 * hiss, room_and_loudspeaker(0.9 * hiss), hertz)
    assert np.ptp(other - gain_db(hiss, changed, hertz)) > 3


def test_a_late_start():
    count = np.arange(2 * RATE, dtype=np.float32)
    assert late_start(count)[0] == round(1.3 * RATE)
    np.testing.assert_array_equal(late_start(count[:RATE]), count[:RATE])


@pytest.mark.parametrize("change", [stereo_48k, stereo_44k])
def test_stereo_and_back_is_nearly_the_same(change, tune):
    back = change(tune)
    assert np.corrcoef(tune, back)[0, 1] > 0.99
    # The mean of the channel and of one 1 dB softer.
    assert decibels(back) - decibels(tune) == pytest.approx(
        20 * np.log10((1 + 10 ** (-1 / 20)) / 2), abs=0.1
    )


def test_an_mp3_has_64_kilobits_per_second(tune):
    content = mp3_bytes(tune)
    assert len(content) * 8 / (len(tune) / RATE) == pytest.approx(64_000, rel=0.01)
    # The second frame's header (ISO 13818-3): MPEG-2, layer III, and index 8, which is 64 kbit/s.
    frame = 72 * 64_000 // RATE
    header = content[frame : frame + 4]
    if header[0] != 0xFF:  # frames are a byte longer now and then
        header = content[frame + 1 : frame + 5]
    assert header[0] == 0xFF
    assert header[1] & 0xFE == 0xF2
    assert header[2] >> 4 == 8
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        assert (file.format, file.samplerate, file.channels) == ("MP3", RATE, 1)


def test_an_mp3_round_trip_is_lossy_without_delay(tune):
    back = mp3_64k(tune)
    lost = decibels(tune) - decibels(back - tune)
    assert 5 < lost < 60
    lags = range(-3, 4)
    fits = [np.dot(tune[1000:-1000], np.roll(back, lag)[1000:-1000]) for lag in lags]
    assert lags[int(np.argmax(fits))] == 0


def test_without_mp3(monkeypatch, hiss):
    def refuse(*_, **__):
        raise ValueError("unknown format")

    monkeypatch.setattr(soundfile, "write", refuse)
    with pytest.raises(AudioError, match="MP3 cannot be written here: install soundfile"):
        mp3_64k(hiss)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        module.ROBUSTNESS["more"] = quieter
