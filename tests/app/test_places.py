"""Places for a few, and the queue for the others, on a clock that the tests set."""

import pytest

from genrekit.app.classify.places import GONE_SECONDS, TURN_SECONDS, Place, Places

HERE = GONE_SECONDS - 1


class Hall:
    """Places whose clock stands still until it is moved, with everybody asking all along."""

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self.places = Places(count, lambda: self.now)

    def ask(self, *names: str) -> list[int]:
        """The numbers of these in the queue; -1 for those whose turn has ended."""
        found = [self.places.ask(name) for name in names]
        return [-1 if place is None else place.number for place in found]

    def wait(self, seconds: float, *names: str) -> None:
        while seconds > 0:
            self.now += min(HERE, seconds)
            seconds -= HERE
            self.ask(*names)


@pytest.fixture
def hall() -> Hall:
    return Hall(2)


def test_places_are_given_in_the_order_of_coming(hall):
    assert hall.ask("a", "b", "c", "d", "c", "a") == [0, 0, 1, 2, 1, 0]
    hall.places.leave("a")
    assert hall.ask("d", "c", "b", "a") == [1, 0, 0, 2]


def test_who_is_gone_frees_the_place_within_seconds(hall):
    hall.ask("a", "b", "c", "d", "e")
    hall.wait(GONE_SECONDS, "b", "d")
    assert hall.ask("d", "b", "e") == [0, 0, 1], "c is gone from the queue as well"


def test_a_turn_ends_when_it_is_long_enough_and_somebody_waits(hall):
    hall.ask("a", "b")
    hall.wait(10 * TURN_SECONDS, "a", "b")
    assert hall.ask("a", "b") == [0, 0], "nobody waits"
    assert hall.ask("c", "b", "a", "c") == [1, -1, 0, 0], "one place is enough for one"
    assert hall.ask("b") == [1], "who has had a turn waits for the next"
    assert hall.ask("a") == [-1]


def test_the_wait_is_told_at_its_longest(hall):
    hall.ask("a")
    hall.wait(30, "a")
    hall.ask("b")
    waits = [hall.places.ask(name).seconds for name in "cdef"]
    assert waits == [TURN_SECONDS - 30, TURN_SECONDS, 2 * TURN_SECONDS - 30, 2 * TURN_SECONDS]
    hall.wait(TURN_SECONDS - 30, *"abcdef")
    assert hall.ask("a") == [-1] or hall.ask("c") == [0]


def test_a_place_is_nobodys_twice():
    hall = Hall(1)
    assert [hall.places.ask("a"), hall.places.ask("a")] == [Place(0), Place(0)]
    hall.places.leave("nobody")
    assert hall.ask("b") == [1]


def test_addresses_take_turns_whichever_came_first(hall):
    for name in "abcdef":
        hall.places.ask(name, "school")
    assert hall.places.ask("x", "elsewhere").number == 1
    assert hall.places.ask("y", "elsewhere").number == 2, "the school has two turns now"
    hall.places.leave("a")
    assert hall.places.ask("x", "elsewhere") == Place(0)
    assert hall.places.ask("c", "school").number == 1
