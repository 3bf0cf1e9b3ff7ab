"""The evidence player without a browser: what travels to it, and what it refuses."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from genrekit.app.classify import player as module
from genrekit.app.classify.player import MAX_COLUMNS, cell_edges, evidence_player
from genrekit.errors import SettingsError
from genrekit.model.verdicts import SegmentVerdict

SONG: dict[str, Any] = {
    "picture": np.arange(40 * 100, dtype=np.uint32).reshape(40, 100).astype(np.uint8),
    "seconds": 6.0,
    "band_hz": np.linspace(50, 8000, 40),
    "segments": [
        SegmentVerdict(0.0, 2.0, {"ska": 0.7, "dub": 0.2, "pop": 0.1}),
        SegmentVerdict(2.0, 4.0, {"ska": 0.3, "dub": 0.6, "pop": 0.1}),
        SegmentVerdict(4.0, 6.0, {"ska": 0.5, "dub": 0.1, "pop": 0.4}),
    ],
    "verdict": "ska",
    "colours": {"ska": "#111111", "dub": "#222222"},
}


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
        return header, picture, np.frombuffer(self.sent[end:], np.int8).reshape(header["why"])


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that calls the player; what was sent is its second answer."""

    def call(choice: Any = None, audio: bytes = b"RIFF", **changes: Any) -> tuple[Any, Mounted]:
        mounted = Mounted(choice)
        if "why" in changes:
            changes.setdefault("explained", "ska")
        monkeypatch.setattr(module, "_mount", mounted)
        return evidence_player(audio, "audio/wav", key="song", **(SONG | changes)), mounted

    return call


def test_the_legend_names_the_genre_that_is_explained(mount):
    why = np.array([[1, -1]], np.float32)
    assert mount(why=why, explained="dub")[1].read()[0]["explained"] == "dub"
    assert mount()[1].read()[0]["explained"] is None
    for half in ({"why": why, "explained": None}, {"explained": "dub"}):
        with pytest.raises(SettingsError, match="give both, or neither"):
            mount(**half)


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


@pytest.mark.parametrize(
    "spans", [[(3, 6), (0, 3)], [(0, 3), (0, 3)], [(0, 3), (30, 33), (33, 36)]]
)
def test_segments_out_of_order_or_outside_are_refused(spans: list[tuple[float, float]]) -> None:
    with pytest.raises(SettingsError, match="within the 10 s"):
        cell_edges(segments_at(*spans), 10)


def test_what_travels_is_what_was_given(mount: Any) -> None:
    why = np.array([[1.0, -0.5, 0.0], [0.25, -2.0, 2.0]], np.float32)
    header, picture, reasons = mount(why=why)[1].read()
    assert (picture == SONG["picture"]).all()
    assert np.allclose(reasons / 127 * 2, why, atol=0.01)
    assert header["edges"] == [0, 2, 4, 6]
    assert header["genres"] == [["dub", "#222222"], ["pop", module.GREY], ["ska", "#111111"]]
    # Start, end, the likeliest genre and its probability, the next.
    assert header["segments"][1] == [2, 4, 0, 0.6, 2, 0.3]
    assert header["summary"] == "Spectrogram of 6 s; 2 of 3 segments say ska."


def test_a_map_without_any_reason_stays_blank(mount: Any) -> None:
    reasons = mount(why=np.zeros((2, 3), np.float32))[1].read()[2]
    assert reasons.shape == (2, 3)
    assert not reasons.any()


def test_unsure_and_long_is_summed_up_by_the_most_frequent_genre(mount: Any) -> None:
    header = mount(verdict=None, seconds=65.0)[1].read()[0]
    assert header["summary"] == "Spectrogram of 1 min 5 s; 2 of 3 segments say ska."


def test_nothing_judged_is_still_played(mount: Any) -> None:
    header = mount(segments=[])[1].read()[0]
    assert header["segments"] == []
    assert header["summary"] == "Spectrogram of 6 s."


def test_one_genre_alone_has_no_second(mount: Any) -> None:
    header = mount(segments=segments_at((0, 6)))[1].read()[0]
    assert header["segments"] == [[0, 6, 0, 1, None, None]]


def test_a_long_song_travels_light(mount: Any) -> None:
    columns = 38_760  # 15 minutes in hops of 512 samples
    picture = np.repeat(np.linspace(0, 250, columns)[None], 128, axis=0).astype(np.uint8)
    picture[:, ::2] = 0
    segments = [
        SegmentVerdict(3.0 * i, 3.0 * i + 3, dict.fromkeys("abcdefghij", 0.1)) for i in range(300)
    ]
    sent = mount(
        audio=bytes(40_000_000),
        picture=picture,
        seconds=900.0,
        band_hz=np.linspace(20, 11000, 128),
        segments=segments,
        why=np.ones((128, columns), np.float32),
    )[1]
    assert len(sent.sent) < 2 * 128 * MAX_COLUMNS + 20_000
    drawn = sent.read()[1]
    assert drawn.shape == (128, MAX_COLUMNS)
    # Averaged, not thinned: every other column was blank. And still a ramp, end to end.
    assert np.abs(drawn[5] - np.linspace(0, 125, MAX_COLUMNS)).max() <= 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"picture": np.zeros((40, 9))}, "give uint8"),
        ({"picture": np.zeros(40, np.uint8)}, r"shape \(40,\)"),
        ({"picture": np.zeros((40, 0), np.uint8)}, r"shape \(40, 0\)"),
        ({"picture": np.zeros((39, 9), np.uint8)}, "39 bands and 40 frequencies"),
        ({"band_hz": np.linspace(8000, 50, 40)}, "lowest band first"),
        ({"band_hz": np.full(40, np.nan)}, "lowest band first"),
        ({"seconds": 0.0}, "above 0"),
        ({"seconds": float("nan")}, "above 0"),
        ({"seconds": 3.0}, "within the 3 s"),
        ({"why": np.zeros(5, np.float32)}, "map of reasons"),
        ({"why": np.full((2, 2), np.inf, np.float32)}, "finite"),
        ({"segments": [SegmentVerdict(0.0, 6.0, {})]}, "no probabilities"),
        ({"segments": [SegmentVerdict(0.0, 6.0, {"ska": float("nan")})]}, "no probabilities"),
    ],
)
def test_what_does_not_fit_is_refused_plainly(
    mount: Any, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        mount(**changes)


@pytest.mark.parametrize(
    ("choice", "answer"),
    [(None, None), (2, 2), (0, 0), (3, None), (-1, None), ("1", None), (True, None), (1.5, None)],
)
def test_only_a_segment_that_exists_can_be_chosen(mount: Any, choice: Any, answer: Any) -> None:
    chosen = mount(choice)[0]
    assert chosen == answer
    assert type(chosen) is type(answer)


def test_without_a_server_there_is_no_sound_and_no_crash(mount: Any) -> None:
    assert mount()[1].read()[0]["url"] is None
