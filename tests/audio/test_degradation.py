"""Stress on sounds: levels, spectra and noise measured by other means, files by their size."""

import io
import time

import numpy as np
import pytest
import soundfile
from scipy.signal import welch

from genrekit.audio import degradation as module
from genrekit.audio.degradation import (
    ROBUSTNESS,
    SAMPLE_RATE,
    Degradation,
    degrade,
    late_start,
    louder,
    mild_equaliser,
    mp3_64k,
    mp3_bytes,
    noise,
    phone_bandwidth,
    quieter,
    stereo_44k,
    stereo_48k,
)
from genrekit.errors import AudioError, SettingsError

RATE = SAMPLE_RATE


@pytest.fixture(scope="module")
def hiss():
    """Eight seconds of white noise, far below full scale."""
    return (0.05 * np.random.default_rng(1).normal(size=8 * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def tune():
    """Thirty seconds of a composed piece."""
    from genrekit.audio.synth.rendering import render

    return np.asarray(render("blues", seconds=30, seed=1)[: 30 * RATE], np.float32)


def gain_db(before, after, hertz):
    """Gain at some frequencies, from two power spectra."""
    f, p = welch(before, RATE, nperseg=2048)
    _, q = welch(after, RATE, nperseg=2048)
    return np.interp(hertz, f, 10 * np.log10(q / p))


def decibels(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


# -- the sliders ------------------------------------------------------------------------------


def test_no_stress_is_the_same_sound_in_a_copy(tune):
    same = degrade(tune, RATE, Degradation(seed=5, noise_colour="white"))
    np.testing.assert_array_equal(same, tune)
    assert same is not tune
    assert not np.shares_memory(same, tune)


@pytest.mark.parametrize("db", [-40, -6, 3, 12])
def test_level(hiss, db):
    assert decibels(degrade(hiss, RATE, Degradation(level_db=db))) - decibels(
        hiss
    ) == pytest.approx(db, abs=0.02)


def test_above_full_scale_is_cut_off_hard():
    t = np.arange(RATE) / RATE
    wave = (0.5 * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
    loud = degrade(wave, RATE, Degradation(level_db=12))
    np.testing.assert_allclose(loud, np.clip(wave * 10**0.6, -1, 1), atol=1e-6)
    assert (loud == 1).mean() > 0.2


@pytest.mark.parametrize("limit", [500.0, 2000.0])
def test_low_pass(hiss, limit):
    softer = degrade(hiss, RATE, Degradation(low_pass_hz=limit))
    below, at, above = gain_db(hiss, softer, [limit / 2, limit, 2 * limit])
    assert below == pytest.approx(0, abs=0.3)
    assert at == pytest.approx(-3, abs=0.6)
    assert above < -40


def test_low_pass_at_half_the_sample_rate_is_off(hiss):
    np.testing.assert_array_equal(degrade(hiss, RATE, Degradation(low_pass_hz=11025)), hiss)


def test_filters_do_not_move_sound_in_time():
    click = np.zeros(RATE, np.float32)
    click[7000] = 0.5
    assert np.abs(degrade(click, RATE, Degradation(low_pass_hz=1000))).argmax() == 7000
    # What wraps round would come in at the start.
    click = np.zeros(RATE, np.float32)
    click[-1] = 0.5
    assert np.abs(degrade(click, RATE, Degradation(low_pass_hz=1000))[: RATE // 2]).max() < 1e-4


@pytest.mark.parametrize("colour", ["pink", "white"])
@pytest.mark.parametrize("snr", [-5, 20])
def test_noise_lies_as_far_below_the_sound_as_asked_for(hiss, colour, snr):
    noisy = degrade(hiss, RATE, Degradation(noise_db=snr, noise_colour=colour, seed=2))
    assert decibels(hiss) - decibels(noisy - hiss) == pytest.approx(snr, abs=0.05)


def test_the_level_does_not_change_the_signal_to_noise_ratio(hiss):
    quiet = degrade(hiss, RATE, Degradation(level_db=-20, noise_db=10))
    np.testing.assert_allclose(10 * quiet, degrade(hiss, RATE, Degradation(noise_db=10)), atol=1e-6)


def test_the_colours_of_noise():
    slope = {}
    for colour in ("pink", "white"):
        f, p = welch(noise(30 * RATE, RATE, colour, seed=3), RATE, nperseg=4096)
        inside = (f > 100) & (f < 8000)
        slope[colour] = np.polyfit(np.log2(f[inside]), 10 * np.log10(p[inside]), 1)[0]
    assert slope["pink"] == pytest.approx(-3.01, abs=0.1)
    assert slope["white"] == pytest.approx(0, abs=0.1)
    assert noise(0, RATE).shape == (0,)


def test_noise_comes_from_its_seed():
    np.testing.assert_array_equal(noise(999, RATE, seed=1), noise(999, RATE, seed=1))
    assert abs(np.corrcoef(noise(9999, RATE, seed=1), noise(9999, RATE, seed=2))[0, 1]) < 0.2


def test_a_phone_keeps_the_band_of_a_telephone(hiss):
    heard = degrade(hiss, RATE, Degradation(phone=1))
    low, middle, ring, high = gain_db(hiss, heard, [80, 1500, 2300, 6000])
    assert low < middle - 12
    assert high < middle - 20
    assert ring > middle + 1.5


def test_a_phone_echoes():
    click = np.zeros(RATE, np.float32)
    click[1000] = 0.9
    power = np.square(degrade(click, RATE, Degradation(phone=1)))
    early, late = power[1100:2000].sum(), power[9000:9900].sum()
    assert early > 5 * late


def test_a_phone_levels_loud_and_soft():
    t = np.arange(4 * RATE) / RATE
    tone = (np.where(t < 2, 0.01, 0.5) * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    heard = degrade(tone, RATE, Degradation(phone=1))
    steps = [decibels(s[3 * RATE :]) - decibels(s[RATE : 2 * RATE]) for s in (tone, heard)]
    assert steps[0] == pytest.approx(34, abs=0.1)
    assert steps[1] < 28


def test_more_phone_is_further_from_the_sound(tune):
    far = [
        np.corrcoef(tune, degrade(tune, RATE, Degradation(phone=amount)))[0, 1]
        for amount in (0.05, 0.3, 0.6, 1)
    ]
    assert far == sorted(far, reverse=True)
    assert far[0] > 0.95
    assert decibels(degrade(tune, RATE, Degradation(phone=1))) == pytest.approx(
        decibels(tune), abs=0.3
    )


@pytest.mark.parametrize("rate", [8000, 44100])
def test_other_sample_rates(rate):
    sound = (0.1 * np.random.default_rng(0).normal(size=rate)).astype(np.float32)
    heard = degrade(sound, rate, Degradation(3, 3000, 20, "white", 1))
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_hardly_any_sound_or_none(samples):
    silent = np.zeros(samples, np.float32)
    heard = degrade(silent, RATE, Degradation(6, 1000, 10, "pink", 1))
    assert heard.shape == (samples,)
    assert np.isfinite(heard).all()
    assert np.abs(heard).max(initial=0) < 1e-6


def test_quick_enough_for_a_slider(tune):
    """In no more than some Fourier transforms of the sound, of which it takes six."""
    every = Degradation(-3, 4000, 20, "pink", 0.7)

    def spent(work):
        start = time.thread_time()
        work()
        return time.thread_time() - start

    ours = min(spent(lambda: degrade(tune, RATE, every)) for _ in range(4))
    transform = min(spent(lambda: np.fft.irfft(np.fft.rfft(tune))) for _ in range(4))
    assert ours < 20 * transform


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"level_db": 13}, r"level_db is 13: use a number from -40 to 12 dB\."),
        ({"level_db": None}, "level_db is None"),
        ({"low_pass_hz": 200}, "low_pass_hz is 200: use a number from 300 to 11025 Hz, or None"),
        ({"noise_db": float("nan")}, "noise_db is not a number"),
        ({"noise_colour": "red"}, 'Unknown noise "red": use pink or white'),
        ({"phone": 1.5}, "phone is 1.5: use a number from 0 to 1"),
        ({"phone": True}, "phone is True"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_range(wrong, match):
    with pytest.raises(SettingsError, match=match):
        Degradation(**wrong)


# -- the fixed changes ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROBUSTNESS)
def test_every_change_keeps_the_kind_of_sound_and_its_input(name, tune):
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


def test_softer_and_louder(hiss):
    np.testing.assert_allclose(quieter(hiss), hiss * 10 ** (-0.6), rtol=1e-6)
    assert np.abs(louder(hiss * 10)).max() == 1
    np.testing.assert_allclose(louder(hiss / 20), hiss / 20 * 10**0.6, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_equaliser_is_mild_but_not_nothing(hiss, seed):
    curve = gain_db(hiss, mild_equaliser(hiss, seed), np.geomspace(40, 10000, 60))
    assert 3 < np.ptp(curve) < 20
    assert decibels(mild_equaliser(hiss, seed)) == pytest.approx(decibels(hiss), abs=0.01)


def test_the_equaliser_follows_its_seed(hiss):
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


def test_an_mp3_of_64_kilobits_a_second(tune):
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


def test_an_mp3_round_trip_loses_something_but_no_time(tune):
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
