"""Folders as people have them: wrapped, parted, linked, spelled in several ways, with tables."""

import os
import unicodedata

import numpy as np
import pytest
import soundfile
from coded_sounds import encoded, music

from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.folder import find_tracks, genre_key, look_into
from genrekit.dataset.inspection import Inspection, inspect_folder
from genrekit.dataset.splits import make_split
from genrekit.errors import DatasetError
from genrekit.features.extraction import FeatureParams

RATE = 8000
SMALL = FeatureParams(
    sample_rate=RATE, segment_seconds=1.0, n_fft=512, hop_length=256, n_mels=24, n_mfcc=7
)


@pytest.fixture
def put(tmp_path):
    def make(*names):
        for i, name in enumerate(names):
            path = tmp_path / "music" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = np.random.default_rng(i).normal(0, 0.1, 2 * RATE)
            soundfile.write(path, samples, RATE, format="WAV", subtype="PCM_16")
        return tmp_path / "music"

    return make


def genres(folder):
    return sorted({track.genre for track in look_into(folder).tracks})


def kinds(folder):
    return [note.kind for note in look_into(folder).notes]


@pytest.mark.parametrize("wrapping", ["", "genres_original/", "Data/genres_original/", "a/b/c/"])
def test_folders_that_only_wrap_the_genres(put, wrapping):
    folder = put(*(f"{wrapping}{genre}/{i}.wav" for genre in ("blues", "jazz") for i in range(2)))
    pictures = folder / "images_original" / "blues"
    pictures.mkdir(parents=True)
    (pictures / "0.png").write_bytes(b"\x89PNG")
    found = look_into(folder)
    assert genres(folder) == ["blues", "jazz"]
    assert [other.reason for other in found.others] == ["It is a picture."]
    if wrapping:
        (note,) = found.notes
        assert note.sentence == f'The genre folders were found in "{wrapping[:-1]}".'


def test_a_folder_of_albums_in_one_genre_stays_one_genre(put):
    folder = put("jazz/1.wav", "jazz/2.wav", "jazz/albums/3.wav", "jazz/live/4.wav", "rock/1.wav")
    assert genres(folder) == ["jazz", "rock"]
    assert kinds(folder) == []


@pytest.mark.parametrize(
    ("train", "test"), [("train", "test"), ("Training", "Testing"), ("train set", "Test-Set")]
)
@pytest.mark.parametrize("genre_first", [False, True])
def test_train_and_test_are_kept_as_a_split(put, tmp_path, train, test, genre_first):
    names = [f"{part}/{genre}/{i}.wav" for part in (train, test) for genre in ("blues", "jazz")
             for i in range(2)]  # fmt: skip
    if genre_first:
        names = [
            "/".join([genre, part, name]) for part, genre, name in (n.split("/") for n in names)
        ]
    folder = put(*names)
    assert genres(folder) == ["blues", "jazz"]
    assert kinds(folder) == ["parts"]
    output = tmp_path / "data.parquet"
    steps = list(build_dataset(folder, output, SMALL, workers=1))
    assert [note.kind for note in steps[0].notes] == ["parts"]
    assert steps[1].notes == ()
    dataset = Dataset.read(output)
    assert dataset.genres == ("blues", "jazz")
    assert [note.kind for note in dataset.notes] == ["parts"]
    split = make_split(dataset, "folder")
    assert all(train in track for track in dataset.tracks[split.train])
    assert all(test in track for track in dataset.tracks[split.test])
    assert len(split.train) == len(split.test) == 8
    assert split.worth == "Fair: no track stands on both sides of the split."


def test_without_such_folders_there_is_no_split_by_folder(put, tmp_path):
    folder = put("blues/0.wav", "jazz/0.wav")
    list(build_dataset(folder, tmp_path / "data.parquet", SMALL, workers=1))
    with pytest.raises(DatasetError, match="not in folders named train and test"):
        make_split(Dataset.read(tmp_path / "data.parquet"), "folder")


def test_linked_folders_are_followed(put, tmp_path):
    folder = put("blues/0.wav", "jazz/0.wav")
    elsewhere = tmp_path / "elsewhere"
    (folder / "jazz").rename(elsewhere)
    (folder / "jazz").symlink_to(elsewhere, target_is_directory=True)
    (folder / "blues" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "blues" / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    assert genres(folder) == ["blues", "jazz"]
    assert {other.track: other.reason for other in look_into(folder).others} == {
        "blues/again": "It is a link to a folder that contains it: it was not followed.",
        "blues/gone.wav": "It is a link that leads nowhere.",
    }


@pytest.mark.parametrize(
    "names",
    [
        [unicodedata.normalize(form, "Música") for form in ("NFC", "NFD")],
        ["Hip Hop", "hip hop", "hip-hop", "Hip  Hop", "hip_hop"],
        ["Rock", "rock ", " ROCK"],
    ],
)
def test_one_genre_in_several_spellings(put, names):
    folder = put(*(f"{name}/{i}.wav" for i, name in enumerate(names)), "jazz/0.wav")
    assert len(genres(folder)) == 2
    (note,) = look_into(folder).notes
    assert note.kind == "merged"
    assert note.names == tuple(sorted(names))
    assert f"{len(names)} folder names of" in note.sentence
    for genre in genres(folder):
        assert genre == unicodedata.normalize("NFC", genre).strip()


def test_different_genres_are_not_merged():
    names = ["rock", "rock n roll", "post-rock", "R&B", "rb", "R B!", "日本", "---", "__"]
    assert len({genre_key(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["0.weba", "0.sound", "0", "0.mp3.part", "0.txt"])
@pytest.mark.parametrize("suffix", [".webm", ".flac", ".mp3", ".m4a"])
def test_a_suffix_never_makes_music_vanish(put, name, suffix):
    folder = put("blues/0.wav")
    (folder / "rock").mkdir()
    (folder / "rock" / name).write_bytes(encoded(music(48000, 2, 2), 48000, suffix))
    assert genres(folder) == ["blues", "rock"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.txt", b"Miles smiles", "It is not audio in a format GenreKit reads."),
        ("notes.csv", "ÿþ".encode("latin-1") + "a,b".encode("utf-16-le"), "It is not audio"),
        ("cover.jpg", b"\xff\xd8\xff\xe0" + bytes(100), "It is a picture."),
        ("list.m3u", b"#EXTM3U\n0.wav\n", "It is a playlist, which only names sounds."),
        ("empty.txt", b"", "It is not audio in a format GenreKit reads."),
        ("numbers.npy", np.random.default_rng(0).bytes(300_000), "It is not audio"),
    ],
)
def test_what_is_left_out_has_its_line(put, name, content, reason):
    folder = put("blues/0.wav")
    (folder / "blues" / name).write_bytes(content)
    (other,) = look_into(folder).others
    assert other.track == f"blues/{name}"
    assert other.reason.startswith(reason)


# -- tracks.csv -------------------------------------------------------------------------------

ROWS = {
    "id": "{genre}/{genre}.0000{i}",
    "stem": "{genre}.0000{i}",
    "name with suffix": "{genre}.0000{i}.wav",
    "another suffix": "{genre}.0000{i}.mp3",
    "path": "{genre}/{genre}.0000{i}.wav",
    "backslashes": "{genre}\\{genre}.0000{i}.wav",
    "from here": "./{genre}/{genre}.0000{i}.wav",
    "from the root": "/home/me/Data/{genre}/{genre}.0000{i}.wav",
    "a Windows path": "C:\\Data\\{genre}\\{genre}.0000{i}.wav",
    "capitals": "{genre}.0000{i}.WAV",
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_rows_find_their_files(put, row):
    pairs = [(genre, i) for genre in ("blues", "jazz") for i in range(2)]
    folder = put(*(f"{genre}/{genre}.0000{i}.wav" for genre, i in pairs))
    lines = [f"{row.format(genre=genre, i=i)},{genre} {i}" for genre, i in pairs]
    (folder / "tracks.csv").write_text("track,artist\r\n" + "\r\n".join(lines))
    assert [track.artist for track in find_tracks(folder)[0]] == [f"{g} {i}" for g, i in pairs]
    assert kinds(folder) == []


def test_rows_and_files_without_a_partner_are_counted_and_named(put):
    folder = put("blues/0.wav", "blues/1.wav", "jazz/0.wav")
    rows = "track,artist\nblues/0,A\nblues/9.wav,B\nrock\\0.wav,C\njazz/0.wav,D\n"
    (folder / "tracks.csv").write_text(rows)
    unused, missing = look_into(folder).notes
    assert unused.sentence == "2 rows of tracks.csv name no file in the genre folders."
    assert unused.names == ("blues/9.wav", "rock\\0.wav")
    assert missing.sentence == "1 file has no row in tracks.csv."
    assert missing.names == ("blues/1.wav",)


def test_a_table_inside_the_wrapping_folder(put):
    folder = put("Data/blues/0.wav", "Data/jazz/0.wav")
    (folder / "Data" / "tracks.csv").write_text("track,artist\nblues/0,A\njazz/0,B\n")
    assert [track.artist for track in find_tracks(folder)[0]] == ["A", "B"]


# -- what is missing --------------------------------------------------------------------------


@pytest.fixture
def with_a_cut_file(put):
    folder = put("blues/0.wav", "jazz/0.wav")
    path = folder / "blues" / "cut.wav"
    soundfile.write(path, np.random.default_rng(9).normal(0, 0.1, 6 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 4 * RATE])
    return folder


SAID = "Only the first 4 of 6 s are there; the rest is missing."


def test_of_an_incomplete_file_the_rest_is_used_with_a_warning(with_a_cut_file, tmp_path):
    output = tmp_path / "data.parquet"
    for _ in range(2):
        steps = list(build_dataset(with_a_cut_file, output, SMALL, workers=1))
        assert [(step.track, step.failed, step.missing) for step in steps] == [
            ("blues/0", False, ""),
            ("blues/cut", False, SAID),
            ("jazz/0", False, ""),
        ]
        records = {record.id: record for record in Dataset.read(output).records}
        assert (records["blues/cut"].segments, records["blues/cut"].missing) == (4, SAID)


def test_an_option_makes_it_an_error(with_a_cut_file, tmp_path):
    output = tmp_path / "data.parquet"
    steps = list(build_dataset(with_a_cut_file, output, SMALL, workers=1, only_whole=True))
    assert [step.failed for step in steps] == [False, True, False]
    (skipped,) = Dataset.read(output).skipped
    assert (skipped.track, skipped.segment, skipped.reason) == ("blues/cut", None, SAID)


def test_what_is_beyond_the_used_part_is_not_missed(with_a_cut_file, tmp_path):
    output = tmp_path / "data.parquet"
    steps = list(build_dataset(with_a_cut_file, output, SMALL, track_seconds=3, workers=1))
    assert [step.missing for step in steps] == ["", "", ""]


def test_inspecting_shows_all_of_it_before(with_a_cut_file, tmp_path):
    (with_a_cut_file / "Blues").mkdir()
    os.link(with_a_cut_file / "blues" / "0.wav", with_a_cut_file / "Blues" / "1.wav")
    *_, last = inspect_folder(with_a_cut_file, segment_seconds=1, workers=1)
    last.inspection.write(tmp_path / "inspection.json")
    read = Inspection.read(tmp_path / "inspection.json")
    assert read == last.inspection
    assert [note.kind for note in read.notes] == ["merged"]
    (cut,) = [file for file in read.files if file.missing]
    assert cut.missing == SAID
    assert cut.problem.startswith(SAID)


def test_tracks_are_left_out_on_request(put, tmp_path):
    folder = put("blues/0.wav", "blues/1.wav", "jazz/0.wav")
    output = tmp_path / "data.parquet"
    list(build_dataset(folder, output, SMALL, workers=1, leave_out=["blues/1.wav"]))
    dataset = Dataset.read(output)
    assert [record.id for record in dataset.records] == ["blues/0", "jazz/0"]
    (skipped,) = dataset.skipped
    assert (skipped.track, skipped.reason) == ("blues/1.wav", "It was to be left out.")
    with pytest.raises(DatasetError, match="Every track would be left out"):
        build_dataset(folder, output, SMALL, leave_out=["blues/0", "blues/1", "jazz/0"])


def test_what_is_redundant_or_incomplete_is_listed(put):
    folder = put("blues/0.wav", "blues/1.wav", "jazz/0.wav", "jazz/1.wav")
    for copy in ("blues/0 copy.wav", "jazz/0 copy.wav"):
        os.link(folder / copy.replace(" copy", ""), folder / copy)
    os.link(folder / "jazz/1.wav", folder / "blues/of jazz.wav")
    *_, last = inspect_folder(folder, segment_seconds=1, workers=1)
    assert set(last.inspection.redundant) == {
        "blues/0 copy.wav",
        "jazz/0 copy.wav",
        "blues/of jazz.wav",
        "jazz/1.wav",
    }
    assert last.inspection.incomplete == ()
