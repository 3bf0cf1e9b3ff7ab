"""What numba compiled is kept for workers, which may write nowhere else."""

import io
import os

import numpy as np
import soundfile

from genrekit.audio.encode import wav_bytes
from genrekit.isolation.pool import Workers
from genrekit.music import compiled
from genrekit.music.key import Key
from genrekit.verdict import analysis


def test_the_folder_is_of_these_versions_and_not_part_of_the_source():
    folder = compiled.kept()
    assert folder.parent.name == "__pycache__"
    assert "librosa-0.11" in folder.name
    assert "numba-" in folder.name


def test_only_a_whole_compilation_is_kept_and_what_a_killed_one_left_is_removed(
    monkeypatch, tmp_path
):
    folder = tmp_path / "cache" / "versions"
    killed, running = folder.parent / "unfinished-old", folder.parent / "unfinished-new"
    for left in (killed, running):
        left.mkdir(parents=True)
    os.utime(killed, (0, 0))
    monkeypatch.setattr(compiled, "kept", lambda: folder)
    monkeypatch.setattr(compiled, "_use", lambda: None)
    monkeypatch.setattr(compiled, "die_with", lambda parent: None)
    monkeypatch.setattr(os, "nice", lambda by: by)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    compiled.main()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["unfinished-new", "versions"]


def test_a_confined_worker_answers_questions_about_music():
    workers = Workers(1, 120, 3000, compiled.load, types=[analysis.Song, analysis.Rhythm, Key])
    samples = np.zeros(22050 * 6, np.float32)
    samples[::11025] = 0.8
    song = analysis.Song(wav_bytes(samples, 22050), 60)
    try:
        assert workers.ready(280)
        found = workers.call(analysis.rhythm, song)
        assert 119 < found.tempo < 121
        clicked = workers.call(analysis.clicks, song, found.beats)
        assert len(soundfile.read(io.BytesIO(clicked))[0]) == len(samples)
        drums, harmony = workers.call(analysis.parts, song)
        assert len(drums) == len(harmony)
    finally:
        workers.close()
