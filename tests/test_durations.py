"""Durations in words."""

import re
from pathlib import Path

import pytest

from genrekit.durations import in_words, the_first

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (0.05, "0.05 seconds"),
        (1, "1 second"),
        (0.999, "1 second"),
        (29.97, "29.97 seconds"),
        (59.996, "1 minute"),
        (60, "1 minute"),
        (100, "1 minute 40 seconds"),
        (61, "1 minute 1 second"),
        (900.0, "15 minutes"),
        (3599.6, "1 hour"),
        (5400, "1 hour 30 minutes"),
        (86_400, "24 hours"),
        (360_000_000, "100,000 hours"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert in_words(seconds) == words


def test_one_of_a_unit_needs_no_number():
    assert the_first(60) == "the first minute"
    assert the_first(3600) == "the first hour"
    assert the_first(6) == "the first 6 seconds"
    assert the_first(100) == "the first 1 minute 40 seconds"


def test_nobody_else_says_minutes_and_hours_by_itself():
    """A number before the word is wrong for 1, and unreadable for a third."""
    files = [*REPOSITORY.glob("genrekit/**/*.py"), *REPOSITORY.glob("pages/**/*.py")]
    by_itself = re.compile(r"\}\s*\"?\s*(minute|hour)s?\b")
    found = [path.name for path in files if by_itself.search(path.read_text(encoding="utf-8"))]
    assert found == []
