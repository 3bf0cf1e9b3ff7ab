"""Tags: their ranks among the reference songs, and what is said of them."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import percentileofscore

from genrekit.model.tags import CLEAR, QUANTILES, TAG_KINDS, TAGS, TagReference

# As the published model lists them: Pons and Serra 2019, musicnn/configuration.py, MSD_LABELS.
PUBLISHED = """rock, pop, alternative, indie, electronic, female vocalists, dance, 00s,
alternative rock, jazz, beautiful, metal, chillout, male vocalists, classic rock, soul, indie rock,
Mellow, electronica, 80s, folk, 90s, chill, instrumental, punk, oldies, blues, hard rock, ambient,
acoustic, experimental, female vocalist, guitar, Hip-Hop, 70s, party, country, easy listening, sexy,
catchy, funk, electro, heavy metal, Progressive rock, 60s, rnb, indie pop, sad, House, happy"""


def songs_of(rng, count=400, segments=6):
    """Log-odds of songs whose tags differ in mean and spread, and of their segments."""
    means = rng.normal(np.linspace(-6, 0, len(TAGS)), 1.5, (count, len(TAGS)))
    return [rng.normal(mean, 0.5, (segments, len(TAGS))).astype(np.float32) for mean in means]


@pytest.fixture(scope="module")
def population():
    return songs_of(np.random.default_rng(0))


@pytest.fixture(scope="module")
def reference(population):
    return TagReference.of(population)


def test_the_tags_are_the_published_ones_in_their_order():
    assert list(TAGS) == [" ".join(tag.split()).lower() for tag in PUBLISHED.split(",")]


def test_every_tag_has_a_kind_and_the_duplicate_has_none():
    kinds = Counter(TAG_KINDS.values())
    assert set(kinds) == {"style", "mood", "voice", "instrument", "era", ""}
    assert [tag for tag, kind in TAG_KINDS.items() if not kind] == ["female vocalist"]


def test_the_strength_is_the_share_of_weaker_songs(population, reference):
    means = np.stack([song.mean(axis=0) for song in population])
    for song in songs_of(np.random.default_rng(1), count=5):
        for one in reference.of_song(song):
            tag = TAGS.index(one.tag)
            expected = percentileofscore(means[:, tag], song.mean(axis=0)[tag]) / 100
            # The population is kept as 101 quantiles.
            assert one.stronger_than == pytest.approx(expected, abs=0.01)


def test_the_strength_of_a_moment_is_the_share_of_weaker_segments(population, reference):
    segments = np.concatenate(population)
    (song,) = songs_of(np.random.default_rng(2), count=1)
    for log_odds, shares in zip(song, reference.of_segments(song), strict=True):
        assert list(shares) == [tag for tag in TAGS if tag != "female vocalist"]
        expected = {tag: np.mean(segments[:, i] < log_odds[i]) for i, tag in enumerate(TAGS)}
        assert shares == pytest.approx({tag: expected[tag] for tag in shares}, abs=0.01)


def test_the_strongest_come_first_and_those_above_the_limit_are_clear(reference):
    heard = reference.of_song(songs_of(np.random.default_rng(3), count=1)[0])
    strengths = [one.stronger_than for one in heard]
    assert strengths == sorted(strengths, reverse=True)
    assert [one.clear for one in heard] == [share >= CLEAR for share in strengths]
    assert any(one.clear for one in heard)
    assert {one.tag: one.kind for one in heard} == {t: k for t, k in TAG_KINDS.items() if k}
    assert all(type(one.stronger_than) is float and type(one.clear) is bool for one in heard)


def test_nothing_is_clear_in_what_is_no_music(reference):
    song = np.full((3, len(TAGS)), 99, np.float32)
    assert all(one.clear for one in reference.of_song(song))
    assert not any(one.clear for one in reference.of_song(song, is_music=False))


@pytest.mark.parametrize(("beyond", "share"), [(99.0, 1.0), (-99.0, 0.0)])
def test_beyond_all_reference_songs(reference, beyond, share):
    song = np.full((3, len(TAGS)), beyond, np.float32)
    assert {one.stronger_than for one in reference.of_song(song)} == {share}
    assert {s for segment in reference.of_segments(song) for s in segment.values()} == {share}


def test_one_reference_song_is_enough():
    song = np.zeros((1, len(TAGS)), np.float32)
    reference = TagReference.of([song])
    assert reference.songs.shape == reference.segments.shape == (len(TAGS), QUANTILES)
    assert all(np.isfinite(one.stronger_than) for one in reference.of_song(song))
