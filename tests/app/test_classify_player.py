"""The evidence player without a browser: what travels to it, and what comes back."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from genrekit.app.classify import player as module
from genrekit.app.classify.player import cell_edges, evidence_player
from genrekit.app.kit.charts import GREY, genre_colours
from genrekit.audio.source import AudioInfo
from genrekit.model.tags import SoundsLike
from genrekit.model.verdicts import SegmentVerdict, Verdict
from genrekit.verdict.analysis import Explanation, SongResult
from genrekit.verdict.picture import MAX_COLUMNS, Picture, mel_picture

SEGMENTS = (
    SegmentVerdict(0.0, 2.0, {"ska": 0.7, "dub": 0.2, "pop": 0.1}),
    SegmentVerdict(2.0, 4.0, {"ska": 0.3, "dub": 0.6, "pop": 0.1}),
    SegmentVerdict(4.0, 6.0, {"ska": 0.5, "dub": 0.1, "pop": 0.4}),
)
VALUES = np.arange(40 * 100, dtype=np.uint32).reshape(40, 100).astype(np.uint8)


def song(
    segments: Sequence[SegmentVerdict] = SEGMENTS,
    genre: str | None = "ska",
    seconds: float = 6.0,
    values: NDArray[np.uint8] = VALUES,
) -> SongResult:
    means = {"ska": 0.5, "dub": 0.3, "pop": 0.2} if segments else {}
    return SongResult(
        verdict=Verdict(genre, 0.5, means, tuple(segments), ""),
        info=AudioInfo("wav", 8000, 1, seconds, "pcm_s16le"),
        seconds=seconds,
        rate=8000,
        cut=False,
        picture=Picture(values, tuple(np.linspace(50, 8000, len(values)).tolist())),
        mime="audio/wav",
    )


class Mounted:
    """Stands in for the browser: keeps what was sent, answers with a choice."""

    def __init__(self, choice: Any = None) -> None:
        self.choice, self.sent = choice, b""

    def __call__(self, *, data: bytes, **_: Any) -> Any:
        self.sent = data
        return type("Result", (), {"segment": self.choice})

    def read(self) -> tuple[dict[str, Any], NDArray[np.uint8], NDArray[np.int8] | None]:
        """The header, the picture and the map, read as the module's docstring says."""
        start = 4 + int.from_bytes(self.sent[:4], "little")
        header = json.loads(self.sent[4:start])
        bands, columns = len(header["hz"]), header["columns"]
        end = start + bands * columns
        picture = np.frombuffer(self.sent[start:end], np.uint8).reshape(bands, columns)
        if header["why"] is None:
            assert len(self.sent) == end
            return header, picture, None
        why, areas = np.frombuffer(self.sent[end:], np.int8).reshape(2, *header["why"])
        assert set(areas.ravel()) <= {0, 1}
        return header, picture, why


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that calls the player; what was sent is its second answer."""

    def call(
        result: SongResult | None = None,
        why: NDArray[np.float32] | None = None,
        choice: Any = None,
        url: str | None = None,
    ) -> tuple[Any, Mounted]:
        mounted = Mounted(choice)
        monkeypatch.setattr(module, "_mount", mounted)
        explanation = None if why is None else Explanation("dub", why, "", (0,))
        return evidence_player(url, result or song(), explanation, key="song"), mounted

    return call


def test_the_legend_names_the_genre_that_is_explained(mount):
    why = np.array([[1, -1]], np.float32)
    assert mount(why=why)[1].read()[0]["explained"] == "dub"
    assert mount()[1].read()[0]["explained"] is None


def segments_at(*spans: tuple[float, float]) -> list[SegmentVerdict]:
    return [SegmentVerdict(start, end, {"ska": 1.0}) for start, end in spans]


@pytest.mark.parametrize(
    ("spans", "seconds", "edges"),
    [
        ([(0, 3), (3, 6), (6, 9)], 10, [0, 3, 6, 10]),
        ([(0, 4), (2, 6), (4, 8)], 8, [0, 3, 5, 8]),
        ([(1, 2), (5, 8)], 9, [0, 4, 9]),
        ([(0, 30)], 30, [0, 30]),
    ],
)
def test_cells_tile_the_axis(
    spans: list[tuple[float, float]], seconds: float, edges: list[float]
) -> None:
    assert cell_edges(segments_at(*spans), seconds) == pytest.approx(edges)


def test_every_centre_lies_in_its_own_cell() -> None:
    rng = np.random.default_rng(0)
    starts = np.sort(rng.uniform(0, 100, 80))
    segments = segments_at(*[(s, s + 3) for s in starts])
    edges = cell_edges(segments, 104)
    assert (edges[0], edges[-1], len(edges)) == (0, 104, 81)
    for (low, high), segment in zip(pairwise(edges), segments, strict=True):
        assert low < (segment.start + segment.end) / 2 < high


def test_the_message_holds_what_was_given(mount: Any) -> None:
    why = np.array([[1.0, -0.5, 0.0], [0.25, -2.0, 2.0]], np.float32)
    header, picture, reasons = mount(why=why)[1].read()
    assert (picture == VALUES).all()
    assert np.allclose(reasons / 127 * 2, why, atol=0.01)
    assert header["edges"] == [0, 2, 4, 6]
    colours = genre_colours(["ska", "dub", "pop"])
    assert header["genres"] == [
        *([genre, colours[genre]] for genre in ("dub", "pop", "ska")),
        ["no music", GREY],
    ]
    # Start, end, the likeliest genre and its probability, the next.
    assert header["segments"][1] == [2, 4, 0, 0.6, 2, 0.3]
    assert header["summary"] == "Spectrogram of 6 s; 2 of 3 segments say ska."


def test_a_map_without_evidence_stays_blank(mount: Any) -> None:
    reasons = mount(why=np.zeros((2, 3), np.float32))[1].read()[2]
    assert reasons.shape == (2, 3)
    assert not reasons.any()


def test_unsure_and_long_is_summed_up_by_the_most_frequent_genre(mount: Any) -> None:
    header = mount(song(genre=None, seconds=65.0))[1].read()[0]
    assert header["summary"] == "Spectrogram of 1 min 5 s; 2 of 3 segments say ska."


def test_a_song_without_segments_can_be_played(mount: Any) -> None:
    header = mount(song(segments=(), genre=None))[1].read()[0]
    assert header["segments"] == []
    assert header["summary"] == "Spectrogram of 6 s."


def heard(segments: int) -> SongResult:
    """A song in which 14 tags weaken from the first to the last and, but for one, over time."""
    names = [f"tag {i}" for i in range(14)]
    parts = tuple(
        SegmentVerdict(
            3.0 * i,
            3.0 * i + 3,
            {"ska": 1.0},
            {name: 0.9 - 0.02 * i - 0.05 * k for k, name in enumerate(names)}
            | {"tag 2": 0.1 + 0.3 * i},
        )
        for i in range(segments)
    )
    tags = tuple(SoundsLike(name, "style", 0.99 - 0.03 * k, k < 2) for k, name in enumerate(names))
    result = song(parts, seconds=3.0 * segments)
    return replace(result, verdict=replace(result.verdict, sounds_like=tags))


def test_the_strongest_tags_travel_with_their_strength_in_each_segment(mount: Any) -> None:
    header = mount(heard(3))[1].read()[0]
    assert [row["name"] for row in header["tags"]] == [f"tag {i}" for i in range(12)]
    assert header["tags"][0] == {"name": "tag 0", "clear": True, "percent": [90, 88, 86]}
    assert header["tags"][2] == {"name": "tag 2", "clear": False, "percent": [10, 40, 70]}
    said = "Tags over time: tag 0 most at 0 s, tag 1 most at 0 s, tag 2 most at 6 s, "
    assert header["tags_summary"].startswith(said)


def test_of_each_moment_the_strongest_of_all_tags_are_named(mount: Any) -> None:
    result = heard(2)
    first = replace(SEGMENTS[0], sounds_like={"a": 0.96, "b": 0.5, "c": 0.99, "d": 1.0, "e": 0.97})
    second = replace(SEGMENTS[1], sounds_like=dict.fromkeys("abcde", 0.9))
    verdict = replace(result.verdict, segments=(first, second), sounds_like=())
    header = mount(replace(result, verdict=verdict))[1].read()[0]
    assert header["stand_out"] == [["d", "c", "e"], []]


def test_a_model_without_tags_has_no_rows(mount: Any) -> None:
    header = mount()[1].read()[0]
    assert (header["tags"], header["tags_summary"]) == ([], "")


def test_the_tags_of_a_long_song_are_small(mount: Any) -> None:
    sent = mount(heard(300))[1].sent
    assert len(sent) - len(mount(song(heard(300).verdict.segments))[1].sent) < 20_000


def test_the_message_of_a_long_song_is_small(mount: Any) -> None:
    values = mel_picture(np.ones(900 * 8000, np.float32), 8000).values
    probabilities = dict.fromkeys(("ska", "dub", "pop"), 1 / 3)
    segments = [SegmentVerdict(3.0 * i, 3.0 * i + 3, probabilities) for i in range(300)]
    why = np.ones((8, MAX_COLUMNS), np.float32)
    sent = mount(song(segments, seconds=900.0, values=values), why)[1]
    assert len(sent.sent) < 2 * 96 * MAX_COLUMNS


@pytest.mark.parametrize(
    ("choice", "answer"),
    [(None, None), (2, 2), (0, 0), (3, None), (-1, None), ("1", None), (True, None), (1.5, None)],
)
def test_only_a_segment_that_exists_can_be_chosen(mount: Any, choice: Any, answer: Any) -> None:
    chosen = mount(choice=choice)[0]
    assert chosen == answer
    assert type(chosen) is type(answer)


def test_without_a_server_there_is_no_sound_and_no_crash(mount: Any) -> None:
    assert mount()[1].read()[0]["sounds"] == [["Whole song", None]]
    assert mount(url="/media/1.wav")[1].read()[0]["sounds"] == [["Whole song", "/media/1.wav"]]
