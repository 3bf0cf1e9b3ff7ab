"""The bundled clips: their scores as MIDI, read independently, and their sound."""

import io
import struct
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import librosa
import numpy as np
import pytest
import soundfile

from examples import mix, score
from examples.pieces import PIECES, compose
from examples.score import Mix, Note, Part, Piece
from genrekit.app.kit.clips import CLIPS, FOLDER
from genrekit.model.bundle import MODELS, load_model
from genrekit.model.verdicts import confidence_in_words

NAMES = [clip.name for clip in CLIPS]
LOWEST_BASS, HIGHEST_BASS = 28, 60


@dataclass
class Track:
    """A track of a MIDI file: notes as (start tick, end tick, pitch, velocity), tempos by tick."""

    name: str = ""
    channel: int = 0
    program: int = 0
    notes: list[tuple[int, int, int, int]] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0


def number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    while True:
        value = value << 7 | data[at] & 127
        at += 1
        if data[at - 1] < 128:
            return value, at


def read_track(data: bytes) -> Track:
    track, at, now, sounding = Track(), 0, 0, {}
    while True:
        delta, at = number(data, at)
        now += delta
        status = data[at]
        assert status >= 0x80, "no running status is written"
        if status == 0xFF:
            kind, (size, at) = data[at + 1], number(data, at + 2)
            content, at = data[at : at + size], at + size
            if kind == 0x2F:
                assert at == len(data)
                assert not sounding, "a note never ends"
                track.end = now
                return track
            if kind == 0x03:
                track.name = content.decode()
            else:
                assert kind == 0x51
                track.tempos.append((now, int.from_bytes(content, "big")))
            continue
        kind, track.channel = status & 0xF0, status & 15
        if kind == 0xC0:
            track.program, at = data[at + 1], at + 2
            continue
        first, second = data[at + 1 : at + 3]
        at += 3
        if kind == 0x90:
            assert first not in sounding, "a note is struck while it sounds"
            sounding[first] = (now, second)
        elif kind == 0x80:
            start, velocity = sounding.pop(first)
            assert now > start
            track.notes.append((start, now, first, velocity))
        else:
            assert kind in (0xB0, 0xE0)


def read_midi(data: bytes) -> tuple[int, list[Track]]:
    """Ticks a beat, and the tracks."""
    magic, size, form, count, ticks = struct.unpack(">4sIHHH", data[:14])
    assert (magic, size, form) == (b"MThd", 6, 1)
    at, tracks = 14, []
    for _ in range(count):
        magic, size = struct.unpack(">4sI", data[at : at + 8])
        assert magic == b"MTrk"
        tracks.append(read_track(data[at + 8 : at + 8 + size]))
        at += 8 + size
    assert at == len(data)
    return ticks, tracks


def played_seconds(ticks: int, tempo: Track) -> float:
    ends = [at for at, _ in tempo.tempos[1:]] + [tempo.end]
    return sum(
        (end - at) / ticks * micro / 1e6
        for (at, micro), end in zip(tempo.tempos, ends, strict=True)
    )


# -- scores -----------------------------------------------------------------------------------


def test_the_list_of_clips_is_the_list_of_pieces():
    assert list(PIECES) == NAMES
    assert [clip.title for clip in CLIPS] == [compose(name).title for name in NAMES]
    assert len({clip.label for clip in CLIPS}) == len(CLIPS)
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_deterministic(name):
    assert compose(name).midi() == (FOLDER / f"{name}.mid").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_score_can_be_played(name):
    piece = compose(name)
    ticks, (tempo, *tracks) = read_midi(piece.midi())
    assert tempo.name == piece.title
    assert played_seconds(ticks, tempo) == pytest.approx(piece.seconds, abs=0.01)
    assert [track.name for track in tracks] == [part.name for part in piece.parts]
    melodic = [track.channel for track in tracks if track.name != "Drums"]
    assert len(set(melodic)) == len(melodic)
    assert 9 not in melodic
    for track in tracks:
        assert len(track.notes) > 5, track.name
        # A hand that is late, or a pedal, may let the last note ring a little longer.
        assert track.end <= (piece.beats + 2) * ticks
        for start, end, pitch, velocity in track.notes:
            assert end - start < 20 * ticks
            assert 1 <= velocity <= 127
            assert 21 <= pitch <= 108
            if "bass" in track.name.lower():
                assert LOWEST_BASS <= pitch <= HIGHEST_BASS


@pytest.mark.parametrize("name", [name for name in NAMES if name != "classical"])
def test_a_bass_plays_one_note_at_a_time(name):
    _, tracks = read_midi(compose(name).midi())
    bass = next(track for track in tracks if "bass" in track.name.lower())
    notes = sorted(bass.notes)
    over = [max(a[1] - b[0], 0) for a, b in pairwise(notes)]
    assert max(over) < 48, "a tenth of a beat is no chord"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "00"), (0x40, "40"), (0x7F, "7f"), (0x80, "8100"), (0x2000, "c000"),
     (0x1FFFFF, "ffff7f"), (0xFFFFFFF, "ffffff7f")],
)  # fmt: skip
def test_variable_length_numbers_are_those_of_the_midi_standard(value, written):
    assert score._variable(value).hex() == written


def test_a_line_is_read_as_written():
    part = Part("Test", 0)
    assert part.line(4, "A4 - C#5+E5*2! | /Bb3,", step=0.5, velocity=80, gate=1) == 6.5
    assert part.notes == [
        Note(4, 69, 0.5, 80), Note(5, 73, 1, 96), Note(5, 76, 1, 96), Note(6, 58, 0.5, 58),
    ]  # fmt: skip
    assert part.slides == [6]
    with pytest.raises(ValueError, match="Not a note: H4"):
        part.line(0, "H4")


def test_chords_are_led_by_small_steps():
    assert list(score.voiced("C F", 60)) == [[64, 67, 72], [65, 69, 72]]
    voices = list(score.voiced("Dm7 G7 Cmaj7 A7b9 Dm9 C13", 52, rootless=True))
    for before, after in pairwise(voices):
        if len(before) == len(after):
            assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= 5
    with pytest.raises(ValueError, match="Not a chord: Cblue"):
        score.chord("Cblue")


def test_swing_moves_the_off_beat_alone():
    piece = Piece("test", "Test", 120, 4, swing=2 / 3)
    part = piece.add(Part("Test", 0, loose=0))
    part.line(0, "A4 B4 C5 D5", gate=1)
    starts = [note.start for note in piece.performed(part)]
    assert starts == pytest.approx([0, 2 / 3, 1, 5 / 3])


def test_a_note_ends_before_its_pitch_is_repeated():
    piece = Piece("test", "Test", 120, 4)
    part = piece.add(Part("Test", 0, loose=0))
    for start in (0, 1):
        part.play(start, 60, 3)
    first, second = piece.performed(part)
    assert first.start + first.length < second.start
    assert second.length == 3


# -- sound ------------------------------------------------------------------------------------


@pytest.fixture(params=CLIPS, ids=NAMES)
def clip(request):
    return request.param


@pytest.fixture
def sound(clip):
    samples, rate = soundfile.read(clip.path)
    assert rate == 44_100
    assert samples.shape[1:] == (2,)
    return samples


def decibels(values) -> float:
    return float(10 * np.log10(np.mean(np.square(values)) + 1e-12))


def test_a_clip_has_a_good_level_and_is_never_silent(clip, sound):
    seconds = len(sound) / 44_100
    assert 20 <= seconds <= 30
    assert round(seconds) == clip.seconds
    assert 0.3 < np.abs(sound).max() <= 10 ** (-1 / 20)
    assert -22 < decibels(sound) < -14
    music = sound[: -round(2.5 * 44_100)]
    assert min(decibels(part) for part in np.array_split(music, len(music) // 22_050)) > -45
    assert decibels(sound[-2000:]) < -50, "it ends, and is not cut"
    assert abs(decibels(sound[:, 0]) - decibels(sound[:, 1])) < 3


def test_the_sound_matches_the_score(clip, sound):
    """The pitch classes of the sound are those of the notes, as long as each lasts."""
    heard = librosa.feature.chroma_stft(y=sound.mean(axis=1), sr=44_100, n_fft=8192).mean(axis=1)
    written = np.zeros(12)
    for part in compose(clip.name).parts:
        if not part.is_drums:
            for note in part.notes:
                written[note.pitch % 12] += note.length
    matches = [np.corrcoef(np.roll(written, shift), heard)[0, 1] for shift in range(12)]
    assert np.argmax(matches) == 0
    assert matches[0] > 0.5


def test_clips_are_small_and_complete():
    assert sum(clip.path.stat().st_size for clip in CLIPS) < 2_500_000
    kinds = Counter(path.suffix for path in FOLDER.iterdir() if path.is_file())
    assert kinds[".ogg"] == kinds[".mid"] == len(CLIPS)


def test_loudness_equals_the_standard():
    """A 997 Hz sine at full scale in one channel is -3.01 LUFS (ITU-R BS.1770)."""
    sine = np.sin(2 * np.pi * 997 * np.arange(5 * 44_100) / 44_100)
    assert mix.loudness(np.stack([sine, 0 * sine], 1)) == pytest.approx(-3.01, abs=0.03)
    assert mix.loudness(np.stack([sine, sine], 1) / 10) == pytest.approx(-20, abs=0.03)


def test_a_mix_has_its_loudness_without_peaks():
    chance = np.random.default_rng(0)
    quiet = 0.01 * chance.standard_normal((5 * 44_100, 2))
    quiet[50_000] = 1
    loud = mix.mastered(quiet)
    assert mix.loudness(loud) == pytest.approx(-16, abs=0.3)
    assert np.abs(loud).max() < 10 ** (-1.5 / 20)


def test_a_part_has_its_pan_and_level():
    noise = np.random.default_rng(0).standard_normal((44_100, 2))
    even, left = mix.shaped(noise, Mix()), mix.shaped(noise, Mix(6, -1, 0, 1000))
    assert decibels(even) == pytest.approx(-20, abs=1)
    assert decibels(left[:, 0]) == pytest.approx(-14, abs=1)
    assert not left[:, 1].any()
    power = np.abs(np.fft.rfft(left[:, 0])) ** 2
    assert power[4000:].sum() < 0.01 * power.sum()


def test_sound_survives_encoding():
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(88_200) / 44_100)
    back, rate = soundfile.read(io.BytesIO(mix.encode(np.stack([sine, sine], 1))))
    assert (rate, back.shape) == (44_100, (88_200, 2))
    assert decibels(back[:, 0] - sine) < decibels(sine) - 15


def test_no_shipped_model_is_very_sure_of_a_wrong_genre():
    for model in (load_model(card.parent) for card in MODELS.glob("*/model.json")):
        for clip in CLIPS:
            verdict = model.classify(clip.path)
            if confidence_in_words(verdict.confidence) == "very sure":
                assert verdict.genre in (None, clip.name), clip.name
