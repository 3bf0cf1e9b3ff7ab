"""One song's questions, answered as the library, the command line and known sounds have it."""

import io
import pickle
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from alike import assert_alike
from coded_sounds import KINDS, free_format_mp3
from coded_sounds import coded as coded_sound

from genrekit.audio.decoder import decode, load_audio
from genrekit.audio.degradation import Degradation
from genrekit.audio.source import AudioInfo
from genrekit.audio.synth.rendering import render
from genrekit.dataset.splits import by_track
from genrekit.errors import AudioError
from genrekit.features.extraction import FeatureParams, split_segments
from genrekit.model.bundle import GenreModel, load_model
from genrekit.model.neighbours_file import save_neighbours
from genrekit.model.neighbours_fit import fit_neighbours
from genrekit.model.networks import build_network
from genrekit.model.verdicts import Verdict
from genrekit.verdict import analysis
from genrekit.verdict.analysis import ModelFile, Song
from genrekit.verdict.playback import browser_type

RATE = 8000


def coded(samples, rate=RATE, kind="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def music(seconds, seed=1):
    return render("jazz", seed=seed, seconds=seconds, sample_rate=RATE)


@pytest.fixture(autouse=True)
def nothing_kept():
    analysis.clear_caches()


@pytest.fixture(scope="module")
def model(demo_bundle):
    return ModelFile.at(demo_bundle)


@pytest.fixture(scope="module")
def song():
    return Song(coded(music(7.5)), 60)


@pytest.fixture
def decodings(monkeypatch):
    """The rates at which a file was decoded, one for each time."""
    rates = []

    def counted(source, rate, max_seconds):
        rates.append(rate)
        return decode(source, rate, max_seconds)

    monkeypatch.setattr(analysis, "decode", counted)
    return rates


# -- the verdict ------------------------------------------------------------------------------


def test_the_verdict_is_that_of_the_library(song, model):
    result = analysis.analyse(song, model)
    assert_alike(result.verdict, load_model(model.folder).classify(song.content))
    assert result.seconds == pytest.approx(7.5)
    assert (result.info.container, result.info.channels, result.rate) == ("wav", 1, RATE)
    assert not result.cut
    assert_alike(analysis.judge(song, model), result.verdict)


def test_a_song_whose_channels_cancel_is_classified_with_a_note(model):
    one = music(4.5)
    song = Song(coded(np.stack([one, -one], axis=1), subtype="FLOAT"), 60)
    result = analysis.analyse(song, model)
    plain = analysis.analyse(Song(coded(one, subtype="FLOAT"), 60), model)
    assert result.verdict.probabilities == pytest.approx(plain.verdict.probabilities, abs=1e-5)
    assert result.picture.values.max() == 255
    note = "Its channels cancel each other out, so only the loudest was heard."
    assert result.verdict.note == f"{plain.verdict.note} {note}".strip()
    assert_alike(result.verdict, load_model(model.folder).classify(song.content))


def test_segment_probabilities_are_those_of_the_library(model):
    features = np.random.default_rng(0).normal(0, 1, (5, *model.load().params.shape))
    features = features.astype(np.float32)
    expected = model.load().probabilities(features)
    assert_alike(analysis.segment_probabilities(features, model), expected)


def test_only_the_start_of_a_long_song_is_analysed_and_the_note_says_so(song, model):
    short = Song(song.content, 3.0)
    result = analysis.analyse(short, model)
    assert result.cut
    assert result.seconds == 3
    assert len(result.verdict.segments) == 3
    assert_alike(result.verdict, load_model(model.folder).classify(song.content, max_seconds=3.0))
    assert "Only the first 3 seconds were heard." in result.verdict.note


def test_a_song_is_decoded_once_for_all_questions(song, model, decodings):
    result = analysis.analyse(song, model)
    analysis.judge(song, model)
    analysis.stress_test(song, model, Degradation(level_db=-6))
    analysis.explain(song, model, result.verdict.segments and "blues", result.starts, (0, 1))
    analysis.excerpt_sound(song, result.rate, 0, 2, Degradation())
    analysis.wav_rendering(song, result.rate)
    analysis.nearest(song, model, result.starts)
    assert decodings == [RATE]


def test_an_idle_process_keeps_no_songs(song, model, decodings):
    analysis.analyse(song, model)
    analysis.clear_caches()
    analysis.samples_of(song, RATE)
    assert decodings == [RATE, RATE]


def test_another_rate_limit_or_content_is_decoded_again(song, model, decodings):
    analysis.analyse(song, model)
    analysis.analyse(Song(song.content, 5), model)
    analysis.analyse(Song(coded(music(7.5, seed=2)), 60), model)
    analysis.wav_rendering(song, 22050)
    assert decodings == [RATE, RATE, RATE, 22050]


@pytest.mark.parametrize("content", [b"", b"hello, hello, hello", b"fLaC" + bytes(40)])
def test_a_bad_file_is_refused_with_the_decoders_message(content, model):
    with pytest.raises(AudioError) as refused:
        analysis.analyse(Song(content, 60), model)
    with pytest.raises(AudioError) as expected:
        load_audio(content)
    assert str(refused.value) == str(expected.value)


def test_a_host_may_allow_fewer_channels(model):
    content = coded(np.zeros((RATE, 3)))
    assert analysis.analyse(Song(content, 60), model).info.channels == 3
    with pytest.raises(AudioError, match="It has 3 channels, and at most 2 can be used here"):
        analysis.analyse(Song(content, 60, max_channels=2), model)


def test_questions_and_answers_can_be_pickled(song, model):
    result = analysis.analyse(song, model)
    test = analysis.stress_test(song, model, Degradation(noise_db=10))
    why = analysis.explain(song, model, "blues", result.starts, (0,))
    for value in (song, model, test):
        assert pickle.loads(pickle.dumps(value)) == value
    assert pickle.loads(pickle.dumps(song)).content == song.content
    assert pickle.loads(pickle.dumps(result)).verdict == result.verdict
    assert (pickle.loads(pickle.dumps(why)).values == why.values).all()


def test_a_retrained_model_is_loaded_again(demo_model, tmp_path):
    demo_model.save(tmp_path)
    first = ModelFile.at(tmp_path)
    assert first.load() is first.load()
    changed = replace(first, changed=first.changed + 1)
    assert changed.load() is not first.load()
    assert first.card()["split"] == load_model(tmp_path).card["split"]
    assert ModelFile.at(tmp_path / "nowhere").card() == {}


# -- what is kept -----------------------------------------------------------------------------


def test_cached_samples_are_read_only(song, model):
    analysis.analyse(song, model)
    kept = analysis._decoded(song, RATE).samples
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1


# -- the sound --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "channels", "mime"),
    [
        ("WAV", "PCM_16", 44100, 2, "audio/wav"),
        ("WAV", "FLOAT", 48000, 1, "audio/wav"),
        ("WAV", "DOUBLE", 44100, 1, None),
        ("WAV", "MS_ADPCM", 44100, 1, None),
        ("WAV", "PCM_16", 44100, 8, None),
        ("WAV", "PCM_16", 192000, 1, None),
        ("RF64", "PCM_16", 44100, 1, None),
        ("FLAC", "PCM_16", 44100, 1, "audio/flac"),
        ("OGG", "VORBIS", 44100, 1, "audio/ogg"),
        ("MP3", "MPEG_LAYER_III", 44100, 1, "audio/mpeg"),
        ("AIFF", "PCM_16", 44100, 1, None),
        ("AU", "PCM_16", 44100, 1, None),
    ],
)
def test_a_file_that_browsers_play_is_not_rendered(kind, subtype, rate, channels, mime, model):
    noise = np.random.default_rng(0).normal(0, 0.1, (3 * rate, channels))
    result = analysis.analyse(Song(coded(noise, rate, kind, subtype), 60), model)
    assert result.mime == mime
    assert result.info.channels == channels


# Whatever these containers promise, Chromium does not play what is in them.
RENDERED = [
    *[("wav", codec) for codec in ("pcm_s32le", "pcm_f64le", "adpcm_ms")],
    *[("m4a", codec) for codec in ("alac", "ac3", "eac3")],
    *[("mp3", "mp2"), ("aiff", "pcm_s16be"), ("webm", "alac"), ("wma", "wmav2")],
]


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_a_file_is_announced_by_its_codec(container, codec, model):
    result = analysis.analyse(Song(coded_sound(container, codec, 1.2), 60), model)
    assert (result.mime is None) == ((container, codec) in RENDERED)


def test_codecs_that_browsers_refuse_are_rendered(model):
    assert analysis.analyse(Song(free_format_mp3(), 60), model).mime is None
    for codec in ("amr_nb", "amr_wb", "dts", "truehd", "a codec of tomorrow"):
        assert browser_type(b"", AudioInfo("m4a", 8000, 1, None, codec)) is None


def test_the_rendering_is_what_was_analysed(song):
    samples, rate = soundfile.read(io.BytesIO(analysis.wav_rendering(song, RATE)))
    assert rate == RATE
    assert np.abs(samples - load_audio(song.content, RATE)).max() < 1 / 32000


def test_a_rendering_has_a_rate_that_browsers_play(song):
    assert soundfile.info(io.BytesIO(analysis.wav_rendering(song, 2000))).samplerate == 22050


def test_an_excerpt_has_its_position_and_its_degradation(song):
    whole = load_audio(song.content, RATE)
    piece, _ = soundfile.read(io.BytesIO(analysis.excerpt_sound(song, RATE, 2, 3, Degradation())))
    assert np.abs(piece - whole[2 * RATE : 5 * RATE]).max() < 1 / 32000
    softer, _ = soundfile.read(
        io.BytesIO(analysis.excerpt_sound(song, RATE, 2, 3, Degradation(level_db=-20)))
    )
    assert np.abs(softer - piece / 10).max() < 1 / 16000
    end, _ = soundfile.read(io.BytesIO(analysis.excerpt_sound(song, RATE, 99, 3, Degradation())))
    assert np.abs(end - whole[-3 * RATE :]).max() < 1 / 32000


# -- stress -----------------------------------------------------------------------------------


def test_without_a_degradation_the_verdict_holds(song, model):
    test = analysis.stress_test(song, model, Degradation())
    assert test.holds
    assert_alike(test.after, test.before)
    assert_alike(test.before, analysis.judge(song, model))
    assert (test.start, test.seconds) == (0, 7.5)


def test_the_models_input_is_degraded(song, model):
    stress = Degradation(noise_db=0, level_db=-10)
    test = analysis.stress_test(song, model, stress)
    network = load_model(model.folder)
    samples = analysis.degrade(load_audio(song.content, RATE), RATE, stress)
    assert_alike(test.after, network.classify(samples, sample_rate=RATE))
    assert test.after.probabilities != test.before.probabilities


def test_the_middle_of_a_long_song_is_tested(model):
    song = Song(coded(np.tile(music(10), 20)), 600)
    test = analysis.stress_test(song, model, Degradation())
    assert (test.start, test.seconds) == (40, 120)
    assert_alike(test.before.segments, test.after.segments)
    whole = analysis.judge(song, model).segments
    assert test.before.segments[0].probabilities == pytest.approx(whole[40].probabilities, abs=1e-5)


def test_the_verdict_flips_when_it_becomes_unsure():
    sure = Verdict("jazz", 0.9, {"jazz": 0.9}, (), "")
    unsure = Verdict(None, 0.4, {"jazz": 0.4}, (), "")
    assert not analysis.StressTest(sure, unsure, 0, 1).holds
    assert analysis.StressTest(unsure, unsure, 0, 1).holds


# -- why --------------------------------------------------------------------------------------


def test_few_segments_are_all_explained_and_some_of_many():
    most = analysis.EXPLAINED_SEGMENTS
    assert analysis.segments_to_explain(0) == ()
    assert analysis.segments_to_explain(7, 3) == tuple(range(7))
    spread = analysis.segments_to_explain(300)
    assert len(set(spread)) == most
    assert (spread[0], spread[-1]) == (0, 299)
    for around in (0, 5, 150, 299):
        part = analysis.segments_to_explain(300, around)
        assert around in part
        assert part == tuple(range(part[0], part[0] + most))


def test_the_explanation_covers_the_whole_song(song, model):
    result = analysis.analyse(song, model)
    why = analysis.explain(song, model, "blues", result.starts, tuple(range(7)))
    columns_a_second = why.values.shape[1] / result.seconds
    assert columns_a_second == pytest.approx(6, rel=0.05)
    assert "blues" in why.sentence
    assert np.isfinite(why.values).all()

    some = analysis.explain(song, model, "blues", result.starts, (2, 3))
    at = slice(round(2.2 * columns_a_second), round(3.8 * columns_a_second))
    assert some.values[:, at] == pytest.approx(why.values[:, at], abs=1e-4)
    outside = np.delete(some.values, np.r_[11 : 11 + 14], axis=1)
    assert np.abs(some.values).max() > 0
    assert not outside.any()


def test_the_evidence_is_heard_where_the_explanation_has_it(song, model):
    result = analysis.analyse(song, model)
    why = analysis.explain(song, model, "blues", result.starts, (2, 3))
    sounds = analysis.evidence_sounds(song, model, why.areas.tobytes(), len(why.areas))
    only, without = (soundfile.read(io.BytesIO(sound))[0] for sound in sounds)
    assert len(only) == len(without) == round(result.seconds * result.rate)
    column = len(only) / why.areas.shape[1]
    heard = np.add.reduceat(only**2, (column * np.arange(why.areas.shape[1])).astype(int))
    marked = why.areas.any(axis=0)
    assert 0 < marked.sum() < 14
    assert heard[marked].sum() > 0.9 * heard.sum()


# 0.3001 s are 2400.8 samples: after 60 segments, times and samples would be 48 apart.
UNEVEN = FeatureParams(sample_rate=RATE, segment_seconds=0.3001, n_fft=512, hop_length=200)


@pytest.fixture(scope="module")
def uneven_model(make_dataset, tmp_path_factory):
    """A model whose segments are no whole number of samples, with its neighbours."""
    data = make_dataset(tracks=2, segments=60)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(data), *UNEVEN.shape)).astype(np.float32)
    data = replace(data, features=features, params=UNEVEN)
    ones = np.ones(UNEVEN.coefficients, np.float32)
    network = build_network("mlp", UNEVEN.shape, 3, seed=0)
    model = GenreModel(network, "mlp", UNEVEN, data.genres, 0 * ones, ones)
    folder = tmp_path_factory.mktemp("uneven")
    model.save(folder)
    save_neighbours(fit_neighbours(model, data, np.arange(len(data))), folder)
    return ModelFile.at(folder)


def test_explanations_and_neighbours_take_the_segments_of_the_verdict(uneven_model, monkeypatch):
    given = {}

    def remembered(name):
        asked = getattr(analysis, name)

        def ask(*arguments):
            given[name] = next(a for a in arguments if isinstance(a, np.ndarray))
            return asked(*arguments)

        monkeypatch.setattr(analysis, name, ask)

    for name in ("occlusion", "extract"):
        remembered(name)
    song = Song(coded(music(18.5), subtype="FLOAT"), 60)
    judged = split_segments(load_audio(song.content, RATE), UNEVEN)
    result = analysis.analyse(song, uneven_model)
    every = result.starts
    assert len(every) == 61
    which = tuple(range(len(every)))
    why = analysis.explain(song, uneven_model, "a", every, which)
    found = analysis.nearest(song, uneven_model, every)
    np.testing.assert_array_equal(given["occlusion"], judged)
    np.testing.assert_array_equal(given["extract"], judged)
    # Drawn, played and named at the same places, to the sample.
    ends = [part.end for part in result.verdict.segments]
    np.testing.assert_allclose(np.array([every, ends]) * RATE % 2400, 0, atol=1e-6)
    for matches in found.segments:
        for match in matches:
            assert match.start * RATE == pytest.approx(2400 * match.place, abs=0.1)
    # The map is as long as the song: its last column ends with the sound.
    assert why.values.shape[1] == pytest.approx(6 * 18.5 / 0.3, abs=1)


def test_a_training_song_is_recognised(demo, demo_model, demo_folder, tmp_path):
    bare, model = tmp_path / "bare", ModelFile.at(tmp_path)
    replace(demo_model, neighbours=None).save(bare)
    demo_model.save(tmp_path)
    split = by_track(demo, seed=3)
    name = str(demo.tracks[split.train[0]])
    path = next(record.path for record in demo.records if record.id == name)
    song = Song((demo_folder / path).read_bytes(), 60)
    where = (0.0, 1.0, 2.0)
    assert analysis.nearest(song, ModelFile.at(bare), where) is None
    found = analysis.nearest(song, model, where, k=2)
    assert [segment[0].track for segment in found.segments] == [name] * 3
    assert [segment[0].start for segment in found.segments] == list(where)
    assert all(len(segment) == 2 for segment in found.segments)
