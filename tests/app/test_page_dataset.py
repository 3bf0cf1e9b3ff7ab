"""The dataset page with music of the visitor's own, run without a browser."""

import io
import json
import time
import zipfile
from itertools import pairwise

import pytest
import soundfile
from page_tools import button, texts
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from genrekit.app import session
from genrekit.app.settings import settings
from genrekit.audio.synth.rendering import render
from genrekit.dataset.inspection import Inspection


@pytest.fixture(scope="module")
def music():
    """Names and contents of six short tracks in two genres, one of them twice, one broken."""
    files = {}
    for genre in ("jazz", "metal"):
        for seed in range(2):
            buffer = io.BytesIO()
            sound = render(genre, seed=seed, seconds=7)
            soundfile.write(buffer, sound, 22050, format="FLAC")
            files[f"mine/{genre}/{genre} {seed}.flac"] = buffer.getvalue()
    files["mine/metal/again.flac"] = files["mine/jazz/jazz 0.flac"]
    files["mine/metal/broken.mp3"] = b"ID3 and then nothing"
    return files


def zipped(files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def settle(at):
    """Run the page until the visitor's jobs have ended."""
    deadline = time.monotonic() + 90
    while any(job.active for job in session.jobs().all()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    at.run()
    assert not at.exception
    return at


def folder_box(at):
    (box,) = (box for box in at.selectbox if box.label == "Folder")
    return box


def offered(at) -> bool:
    """Whether music that was looked into is shown, and may be made a dataset."""
    shown = "Files" in metrics(at)
    assert shown == any(b.label == "Make the dataset" for b in at.button)
    return shown


def metrics(at) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def test_duplicates_are_left_out_on_request(app, music):
    at = app("build/dataset.py", music_source="A zip file")
    folder = {f"Data/{name}": content for name, content in music.items()}
    folder["Data/mine/Metal/metal 0 again.flac"] = music["mine/metal/metal 0.flac"]
    upload = ("my music.zip", zipped(folder), "application/zip")
    at.file_uploader[0].set_value(upload).run()
    settle(at)
    assert any("2 folder names of" in expander.label for expander in at.expander)
    button(at, "Leave duplicates out (3)").click().run()
    assert "3 files will be left out." in texts(at)
    button(at, "Use all files again").click().run()
    button(at, "Leave duplicates out (3)").click().run()
    button(at, "Make the dataset").click().run()
    settle(at)
    # One of two equal files stays; of those in two genres, none does.
    assert metrics(at)["Tracks"] == "3"


def test_a_zip_is_inspected_and_made_a_dataset(app, music):
    at = app("build/dataset.py", music_source="A zip file")
    at.file_uploader[0].set_value(("my music.zip", zipped(music), "application/zip")).run()
    settle(at)
    assert metrics(at)["Files"] == "6"
    assert "alike" not in texts(at)
    (which,) = (box for box in at.selectbox if box.label == "Which")
    assert which.options == ["jazz/jazz 0 = metal/again: the same file, under different genres"]
    assert any("broken" in str(frame.value) for frame in at.dataframe)

    button(at, "Make the dataset").click().run()
    settle(at)
    # 7 s give two segments of 3 s; five files can be read.
    assert metrics(at)["Segments"] == "10"
    assert metrics(at)["Left out"] == "6"  # the broken file, and each track's last second
    job = session.jobs().all()[-1]
    assert (job.kind, job.status) == ("dataset", "done")
    hides = "<style>.st-key-inputs { display: none; }</style>"
    assert hides in [one.proto.body for one in at.get("html")], "the result is alone on the page"
    button(at, "Change").click().run()
    assert hides not in [one.proto.body for one in at.get("html")]


def test_a_folder_that_was_taken_in_is_let_go(app, music, monkeypatch):
    """Each message from the browser would name its files, and the server would keep them twice."""
    freed = []
    monkeypatch.setattr(
        MemoryUploadedFileManager, "remove_file", lambda self, who, file_id: freed.append(file_id)
    )
    at = app("build/dataset.py", music_source="A folder")
    files = [(f"mine/{name}", content, "audio/flac") for name, content in music.items()]
    at.file_uploader[0].set_value(files).run()
    settle(at)
    assert metrics(at)["Files"] == str(len(music))
    assert not at.file_uploader[0].value
    assert len(set(freed)) == len(music)
    assert len(session.jobs().all()) == 1, "it was taken in once"


def test_single_files_are_collected_genre_by_genre(app, music):
    at = app("build/dataset.py", music_source="Single files")
    for genre in ("jazz", "metal"):
        at.text_input[0].input(genre)
        files = [
            ("../../" + name.rsplit("/", 1)[1], content, "audio/flac")
            for name, content in music.items()
            if f"/{genre} " in name
        ]
        at.file_uploader[0].set_value(files)
        at.run()
        button(at, "Add them").click().run()
        assert not at.file_uploader[0].value, "the next genre's files come into an empty box"
    button(at, "Look inside").click().run()
    settle(at)
    assert metrics(at)["Files"] == "4"
    stored = list(session.jobs().root.rglob("*.flac"))
    assert len(stored) == 4
    assert {p.parent.name for p in stored} == {"jazz", "metal"}


def test_a_hostile_zip_is_refused_and_leaves_nothing(app):
    at = app("build/dataset.py", music_source="A zip file")
    content = zipped({"rock/a.wav": b"x", "../../evil.wav": b"x"})
    at.file_uploader[0].set_value(("bad.zip", content, "application/zip")).run()
    assert not at.exception
    assert len(at.error) == 1
    at.run()
    assert len(at.error) == 1, "it is not tried again, but why is still said"
    assert session.jobs().all() == []
    assert [p.name for p in session.jobs().root.iterdir()] == ["queue.lock"]


def test_an_upload_over_the_limit_is_refused(app, music, monkeypatch):
    monkeypatch.setenv("GENREKIT_UPLOAD_MEGABYTES", "0.1")
    settings.cache_clear()
    at = app("build/dataset.py", music_source="A zip file")
    at.file_uploader[0].set_value(("my.zip", zipped(music), "application/zip")).run()
    assert "0.1 MB are the most that can be taken" in texts(at)


def test_server_folders_are_offered_only_where_configured(app, music, tmp_path, monkeypatch):
    assert "On this server" not in str(app("build/dataset.py").get("button_group")[0])
    for name, content in music.items():
        path = tmp_path / "roots" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "roots" / "secret").symlink_to("/etc")
    (tmp_path / "roots" / "others").mkdir()
    monkeypatch.setenv("GENREKIT_FOLDERS", str(tmp_path / "roots"))
    settings.cache_clear()
    at = app("build/dataset.py", music_source="On this server")
    assert folder_box(at).options == ["roots / mine", "roots / others"]
    folder_box(at).select("roots / mine").run()
    settle(at)
    assert metrics(at)["Files"] == "6"
    assert str(tmp_path / "roots") not in texts(at), "no path of the server is shown"

    folder_box(at).select("roots / others").run()
    settle(at)
    assert not offered(at), "there is nothing in the others"
    folder_box(at).select("roots / mine").run()
    assert offered(at)


UPLOADS = ("A zip file", "A folder", "Single files")


def looked_into(source):
    """A job that looked into music of this source."""
    folder = session.jobs().new_folder()
    (folder / "source.json").write_text(json.dumps([source, "an upload of another visit"]))
    Inspection((), (), ()).write(folder / "inspection.json")
    (folder / "started").write_text("0")
    (folder / "events.jsonl").write_text('{"type": "exit", "status": 0}\n')
    return session.jobs().add(folder, "music", source, [], "they").id


@pytest.mark.parametrize(("source", "other"), list(pairwise((*UPLOADS, UPLOADS[0]))))
def test_music_of_one_source_is_not_offered_under_another(app, source, other):
    assert not offered(app("build/dataset.py", music_source=other, music=looked_into(source)))


def test_each_source_finds_its_inspected_music(app):
    jobs = {source: looked_into(source) for source in UPLOADS}
    at = app("build/dataset.py", music_source=UPLOADS[0], music=jobs[UPLOADS[0]])
    for source in UPLOADS[1:]:
        at.query_params["music"] = jobs[source]
        at.query_params["music_source"] = source
        at.run()
    at.button_group[0].set_value(UPLOADS[0]).run()
    assert f"**{UPLOADS[0]}**" in texts(at)
    assert jobs[UPLOADS[0]] in at.query_params["music"]
    assert offered(at)


def test_a_new_upload_is_not_confused_with_the_last(app, music):
    at = app("build/dataset.py", music_source="A zip file", music=looked_into("A zip file"))
    assert offered(at)
    at.file_uploader[0].set_value(("another.zip", zipped(music), "application/zip")).run()
    assert not offered(at)


def test_files_collected_later_are_not_confused_with_the_inspected_ones(app):
    at = app("build/dataset.py", music_source="Single files", music=looked_into("Single files"))
    assert offered(at)
    at.session_state["genre_files"] = {"jazz": [("a.wav", b"x")]}
    at.run()
    assert not offered(at)
