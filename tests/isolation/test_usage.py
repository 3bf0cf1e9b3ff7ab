"""Who has used how much lately."""

from genrekit.isolation import usage
from genrekit.isolation.usage import Usage


def test_half_is_forgotten_in_half_a_minute(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(usage.time, "monotonic", lambda: now[0])
    used = Usage()
    used.add("a", 6.0)
    now[0] += 30
    assert used.of("a") == 3.0
    used.add("a", 1.0)
    now[0] += 60
    assert used.of("a") == 1.0
    assert used.of("nobody") == 0.0
    assert used.of("nobody", unknown=4.0) == 4.0
    assert used.of("a", unknown=4.0) == 1.0


def test_names_are_not_kept_for_ever(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(usage.time, "monotonic", lambda: now[0])
    used = Usage()
    used.add("busy", 1e6)
    for number in range(5000):
        used.add(f"name {number}", 1.0)
        now[0] += 1
    assert len(used._noted) < 1100
    assert used.of("busy") < 1e-9 * 1e6
    assert used.of("name 4999") > 0.9
