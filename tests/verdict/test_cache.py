"""The cache that the questions about one song share."""

from genrekit.verdict import cache as cache_module
from genrekit.verdict.cache import MAX_IDLE_SECONDS, SizedCache


def test_the_least_recently_used_item_is_evicted_first():
    cache = SizedCache(100)
    for name in "abc":
        cache.put(name, 40, name)
    assert [cache.get(name) for name in "abc"] == [None, "b", "c"]
    cache.get("b")
    cache.put("d", 40, "d")
    assert [cache.get(name) for name in "bcd"] == ["b", None, "d"]
    cache.put("too large", 101, "x")
    assert cache.get("too large") is None
    assert cache.get("b") == "b"


def test_an_idle_item_is_evicted(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(cache_module.time, "monotonic", lambda: now[0])
    cache = SizedCache(100)
    cache.put("a", 10, "a")
    now[0] += MAX_IDLE_SECONDS - 1
    assert cache.get("a") == "a"
    now[0] += MAX_IDLE_SECONDS + 1
    assert cache.get("a") is None
