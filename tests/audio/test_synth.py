"""The generated music: well-formed, reproducible, separable by style and by artist."""

import csv
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import genrekit
from genrekit.audio.synth import demo
from genrekit.audio.synth.chart import STYLES, chord_tones, read_styles, styles
from genrekit.audio.synth.demo import write_demo_dataset
from genrekit.audio.synth.instruments import DRUMS, TIMBRES
from genrekit.audio.synth.notes import make_artist
from genrekit.audio.synth.rendering import render
from genrekit.audio.synth.voices import play_hit, play_note
from genrekit.errors import GenreKitError, SettingsError

ARTISTS, SEEDS, RATE = 4, 3, 22050


@pytest.fixture(scope="module")
def clips():
    """Audio by (style, artist, seed): 6 s each."""
    keys = itertools.product(STYLES, range(ARTISTS), range(SEEDS))
    return {(s, a, n): render(s, artist=a, seed=n, seconds=6) for s, a, n in keys}


@pytest.fixture(scope="module")
def points(clips):
    """Standardised statistics of each clip, shape (styles, artists, seeds, dimensions)."""
    values = np.array([statistics(clip) for clip in clips.values()])
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return values.reshape(len(STYLES), ARTISTS, SEEDS, -1)


def statistics(clip):
    """Level and unrest of 24 bands in dB, and how the loudness repeats from 0.1 to 1 s."""
    hop = 256
    frames = np.lib.stride_tricks.sliding_window_view(clip, 1024)[::hop] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(1, 512, 28).astype(int))
    decibels = 10 * np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-4)
    onsets = np.maximum(0, np.diff(decibels, axis=0)).mean(axis=1)
    onsets -= onsets.mean()
    repetition = np.correlate(onsets, onsets, "full")[len(onsets) - 1 :] / (onsets @ onsets)
    lags = repetition[int(0.1 * RATE / hop) : int(RATE / hop)]
    rhythm = [chunk.max() for chunk in np.array_split(lags, 8)]
    return np.concatenate([decibels.mean(axis=0), decibels.std(axis=0), rhythm])


def test_styles():
    assert list(STYLES) == sorted(STYLES)
    assert 10 <= len(STYLES) <= 12
    assert all(style.replace("-", "").isalpha() and style.islower() for style in STYLES)


@pytest.mark.parametrize("style", STYLES)
def test_clip_is_well_formed(clips, style):
    for clip in (clip for key, clip in clips.items() if key[0] == style):
        assert clip.shape == (6 * RATE,)
        assert clip.dtype == np.float32
        assert np.isfinite(clip).all()
        assert -2.6 < 20 * np.log10(np.abs(clip).max()) < -1.1
        assert abs(clip.mean()) < 1e-3
        assert max(abs(clip[0]), abs(clip[-1])) < 1e-6
        assert max(np.abs(clip[:22]).max(), np.abs(clip[-22:]).max()) < 0.1


def test_level_does_not_reveal_the_style(clips):
    level = {style: [] for style in STYLES}
    for (style, _, _), clip in clips.items():
        level[style].append(20 * np.log10(clip.std()))
    means = [np.mean(values) for values in level.values()]
    assert max(means) - min(means) < 6


@pytest.mark.parametrize("name", TIMBRES)
def test_notes_do_not_click(name):
    note = np.abs(play_note(TIMBRES[name], 60, 0.4, 1.0, RATE))
    assert note[0] == note[-1] == 0
    assert max(note[:4].max(), note[-4:].max()) < 0.1 * note.max()


@pytest.mark.parametrize("name", DRUMS)
def test_drums_do_not_click(name):
    hit = np.abs(play_hit(name, make_artist("jazz", 0), RATE))
    assert hit[0] == hit[-1] == 0
    assert hit[-22:].max() < 0.01
    assert hit.max() == pytest.approx(DRUMS[name].peak)


def test_notes_are_in_tune():
    note = play_note(TIMBRES["flute"], 69, 1.0, 1.0, RATE)
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note)), 8 * len(note)))
    peak = np.fft.rfftfreq(8 * len(note), 1 / RATE)[spectrum.argmax()]
    assert 1200 * abs(np.log2(peak / 440)) < 5  # cents


@pytest.mark.parametrize(
    ("name", "tones"),
    [("C", (0, 4, 7)), ("Bbm7", (10, 13, 17, 20)), ("F#5", (6, 13)), ("Dm7b5", (2, 5, 8, 12))],
)
def test_chord_names(name, tones):
    assert chord_tones(name) == tones


CHART = """
[polka]
tempo = [100, 120]
scale = "major"
forms = ["C G7 C,F C"]
parts = [{ timbres = "organ sax", low = 60, gain = -3, send = 0.2, patterns = "x.x. ?-?-/?..." }]
drums = { kick = "X-x-" }
"""


def test_a_chart_is_read_as_written():
    (style,) = read_styles(CHART).values()
    assert style.tempo == (100, 120)
    assert style.scale == (0, 2, 4, 5, 7, 9, 11)
    assert style.forms == (
        tuple(tuple(map(chord_tones, bar)) for bar in (["C"], ["G7"], ["C", "F"], ["C"])),
    )
    assert style.drums == (("kick", ("X-x-",)),)
    (part,) = style.parts
    assert (part.timbres, part.patterns) == (("organ", "sax"), ("x.x.", "?-?-/?..."))
    assert (part.low, part.gain, part.send, part.drive, part.echo) == (60, -3, 0.2, 0, 0)
    assert (style.beats, style.swing, style.loose, style.drum_gain) == (4, 0, 0.004, 0)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("[100, 120]", "[120, 100]", "tempo is 100: use a number from 120 to 300"),
        ("[100, 120]", "[100]", "not enough values"),
        ('"major"', '"dorian"', 'unknown scale "dorian": use one of blues, major,'),
        ("C G7 C,F C", "C H7", 'unknown chord "H7"'),
        ("C G7 C,F C", "C Gmaj13", 'unknown chord "Gmaj13"'),
        ('["C G7 C,F C"]', '[""]', "no parts or an empty form"),
        ("organ sax", "organ kazoo", 'unknown instrument "kazoo": use one of banjo'),
        ("kick", "gong", 'unknown drum "gong": use one of brush'),
        ("X-x-", "X-?-", r'pattern "X-\?-" is not made of -.Xxo'),
        ("?-?-/?...", "?-?-//?", 'pattern "\\?-\\?-//\\?" is not made of'),
        ("X-x-", "", "a player has no pattern"),
        ("low = 60", 'low = "C4"', "low is 'C4': use a number from 0 to 127"),
        ("send = 0.2", "send = nan", "send is not a number"),
        ("send = 0.2, ", "", "send is missing"),
        ("send = 0.2", "sent = 0.2", "unknown setting sent"),
        ('scale = "major"', "beats = 3", "scale is missing"),
        ('scale = "major"', 'scale = "major"\nbeats = 0', "beats is 0"),
        ('forms = ["C G7 C,F C"]', "forms = 4", "'int' object is not iterable"),
    ],
)
def test_a_wrong_chart_gives_an_error_that_names_its_style(right, wrong, message):
    assert CHART.count(right) == 1
    said = f'^The chart of the style "polka" is wrong: .*{message}'
    with pytest.raises(SettingsError, match=said):
        read_styles(CHART.replace(right, wrong))


def test_invalid_toml_gives_a_plain_error():
    with pytest.raises(SettingsError, match="The styles are not valid TOML: .*line 2"):
        read_styles("\n[polka\n")


def test_the_charts_are_read_once():
    assert styles() is styles()
    assert tuple(styles()) == STYLES


def test_equal_arguments_give_equal_bytes_in_another_process():
    here = render("jazz", seed=3, artist=2, seconds=1)
    code = (
        "import sys; from genrekit.audio.synth.rendering import render;"
        "sys.stdout.buffer.write(render('jazz', seed=3, artist=2, seconds=1).tobytes())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=Path(genrekit.__file__).parents[1],
        env={**os.environ, "PYTHONHASHSEED": "12"},
    )
    assert here.tobytes() == there.stdout
    assert here.tobytes() == render("jazz", seed=3, artist=2, seconds=1).tobytes()


def test_each_argument_matters(clips):
    assert len({clip.tobytes() for clip in clips.values()}) == len(clips)


def test_length_and_sample_rate():
    assert render("disco", seed=0, seconds=0.1).shape == (2205,)
    assert render("ambient", seed=0, seconds=1.23456, sample_rate=8000).shape == (9876,)
    assert render("metal", seed=0, seconds=2, sample_rate=44100).shape == (88200,)


def test_styles_are_separable_on_unseen_artists(points):
    for unseen in range(ARTISTS):
        heard = [artist for artist in range(ARTISTS) if artist != unseen]
        centroids = points[:, heard].mean(axis=(1, 2))
        distances = np.linalg.norm(points[:, unseen, :, None] - centroids, axis=-1)
        right = distances.argmin(axis=-1) == np.arange(len(STYLES))[:, None]
        assert right.mean() >= 0.7  # chance is 0.08


def test_an_artist_resembles_itself(points):
    difference = points[:, :, :, None, None] - points[:, None, None]
    distance = np.linalg.norm(difference, axis=-1)  # style, artist, seed, artist, seed
    same = np.eye(ARTISTS, dtype=bool)[:, None, :, None]
    other_track = ~np.eye(SEEDS, dtype=bool)[None, :, None, :]
    own = distance.mean(axis=(1, 2, 3, 4), where=same & other_track)
    others = distance.mean(axis=(1, 2, 3, 4), where=~same)
    assert own.mean() < 0.8 * others.mean()
    assert (own < others).all()


def test_dataset(tmp_path):
    options = {"tracks_per_style": 3, "artists_per_style": 2, "seconds": 0.5}
    styles = ["reggae", "chiptune"]
    paths = list(write_demo_dataset(tmp_path, styles=styles, **options))
    names = [f"{style}/{style}.0000{i}" for style in styles for i in range(3)]
    assert paths == [tmp_path / f"{name}.flac" for name in names]
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {*paths, tmp_path / "tracks.csv"}

    info = soundfile.info(paths[0])
    assert (info.format, info.subtype) == ("FLAC", "PCM_16")
    assert (info.samplerate, info.channels, info.frames) == (22050, 1, 11025)
    audio, _ = soundfile.read(paths[1], dtype="float32")
    np.testing.assert_allclose(audio, render("reggae", seed=1, artist=1, seconds=0.5), atol=2**-15)

    with (tmp_path / "tracks.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["track", "artist"]
    artists = [f"{style} artist {i % 2}" for style in styles for i in range(3)]
    assert rows[1:] == [list(row) for row in zip(names, artists, strict=True)]


def test_a_dataset_is_written_track_by_track(tmp_path):
    folder = tmp_path / "new" / "demo"
    steps = write_demo_dataset(folder, styles=["metal"], tracks_per_style=2, seconds=0.2, workers=1)
    assert not folder.exists()
    first = next(steps)
    assert [path for path in folder.rglob("*") if path.is_file()] == [first]
    before = first.read_bytes()
    steps.close()

    again = write_demo_dataset(folder, styles=["metal"], tracks_per_style=2, seconds=0.2)
    assert len(list(again)) == 2
    assert first.read_bytes() == before
    other = write_demo_dataset(folder, styles=["metal"], tracks_per_style=1, seconds=0.2, seed=1)
    assert next(other).read_bytes() != before


def test_processes_write_the_same_files_in_the_same_order(tmp_path):
    options = {"styles": ["blues", "disco"], "tracks_per_style": 3, "seconds": 0.2}
    alone, together = (
        list(write_demo_dataset(tmp_path / str(workers), workers=workers, **options))
        for workers in (1, 3)
    )
    assert [path.name for path in alone] == [path.name for path in together]
    for name in [*(path.relative_to(tmp_path / "1") for path in alone), "tracks.csv"]:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_a_worker_killed_by_the_system_gives_a_plain_error(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_write_track", end)
    with pytest.raises(GenreKitError, match="run again with fewer workers"):
        list(write_demo_dataset(tmp_path, styles=["disco"], tracks_per_style=2, workers=2))


def end(track):
    os.kill(os.getpid(), signal.SIGKILL)


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    options = {"styles": ["disco"], "tracks_per_style": 1, "seconds": 0.2}
    (path,) = write_demo_dataset(tmp_path, **options)
    before = path.read_bytes()

    def fail(file, *_, **__):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(soundfile, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        next(write_demo_dataset(tmp_path, seed=1, **options))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "polka"}, r'Unknown style "polka": use one of ambient, blues, .*reggae'),
        ({"seconds": 0}, "seconds is 0: use a number from 0.1 to 600 s"),
        ({"seconds": -3.0}, "seconds is -3.0"),
        ({"seconds": 601}, "seconds is 601"),
        ({"seconds": float("nan")}, "seconds is not a number"),
        ({"seed": -1}, "seed is -1: use a whole number of at least 0"),
        ({"artist": -2}, "artist is -2"),
        ({"sample_rate": 400}, "sample_rate is 400: use a whole number from 8000 to 96000 Hz"),
    ],
)
def test_render_rejects(options, message):
    with pytest.raises(SettingsError, match=message):
        render(**{"style": "jazz", "seed": 0, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"styles": ["jazz", "polka"]}, 'Unknown style "polka"'),
        ({"tracks_per_style": 0}, "tracks_per_style is 0: use a whole number from 1 to 100000"),
        ({"artists_per_style": 0}, "artists_per_style is 0"),
        ({"workers": 0}, "workers is 0: use a whole number of at least 1"),
        ({"seconds": 0}, "seconds is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_dataset_rejects_at_the_call(tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        write_demo_dataset(tmp_path / "demo", **options)
    assert not (tmp_path / "demo").exists()
