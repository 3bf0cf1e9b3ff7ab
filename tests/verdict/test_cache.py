"""The decoded songs that a process keeps."""

import numpy as np

from genrekit.audio.decoder import Decoded
from genrekit.audio.source import AudioInfo
from genrekit.verdict import cache as cache_module
from genrekit.verdict.cache import MAX_IDLE_SECONDS, SongCache


def song(size):
    samples = np.zeros(size // 4, np.float32)
    return Decoded(
        samples, AudioInfo("wav", 8000, 1, None, "pcm_s16le"), cut=False, cancelled=False
    )


def kept(cache, names):
    return [cache.get(name) is not None for name in names]


def test_the_least_recently_used_song_is_evicted_first():
    cache = SongCache(100)
    for name in "abc":
        cache.put(name, song(40))
    assert kept(cache, "abc") == [False, True, True]
    cache.get("b")
    cache.put("d", song(40))
    assert kept(cache, "bcd") == [True, False, True]
    cache.put("too large", song(104))
    assert kept(cache, ["too large", "b"]) == [False, True]


def test_an_idle_song_is_evicted(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(cache_module.time, "monotonic", lambda: now[0])
    cache = SongCache(100)
    cache.put("a", song(8))
    now[0] += MAX_IDLE_SECONDS - 1
    assert kept(cache, "a") == [True]
    now[0] += MAX_IDLE_SECONDS + 1
    assert kept(cache, "a") == [False]
