"""The source of the music for a dataset, and a preview of it."""

import json
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, cast

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from genrekit.app import session
from genrekit.app.jobs.job import Job
from genrekit.app.kit.job_panel import job_panel
from genrekit.app.kit.sounds import track_sound
from genrekit.app.kit.widgets import check_upload, choice, escape, show_error
from genrekit.app.settings import settings
from genrekit.dataset.dataset import Note
from genrekit.dataset.inspection import Duplicate, Inspection
from genrekit.dataset.upload import UploadLimits, store_files, store_folder, unpack_zip
from genrekit.errors import DatasetError, GenreKitError
from genrekit.wording import agree, counted

__all__ = ["choose_source", "left_out", "show_preview"]

DEMO: Final = "Demo music"
_ZIP: Final = "A zip file"
_FOLDER: Final = "A folder"
_FILES: Final = "Single files"
_SERVER: Final = "On this server"
_REMEDY: Final = "send fewer files, or compress them (FLAC, MP3)"
# In a job's folder: the source of its music, and what was chosen there.
_SOURCE: Final = "source.json"
# And the tracks that are not to be used, one a line.
_LEFT_OUT: Final = "leave_out.txt"


@dataclass(frozen=True)
class _Music:
    """What a visitor has chosen.

    Attributes
    ----------
    name : tells it from other choices
    title : of the job that inspects it
    bytes : its size; 0 of what is on this server already
    store : stores it as a folder; None while the visitor still collects
    let_go : empties the uploader once it is stored; None of one that keeps what it has
    """

    name: str
    title: str = ""
    bytes: int = 0
    store: Callable[[Path], object] | None = None
    let_go: Callable[[], None] | None = None


def choose_source() -> tuple[str, Job | None]:
    """Let the visitor choose, and inspect what is chosen: it goes to the folder of a "music" job.

    Returns
    -------
    source : str
    job : Job or None
        The job that inspected what is chosen now; None before that.
    """
    choosers = {_ZIP: _choose_zip, _FOLDER: _choose_folder, _FILES: _choose_files}
    if settings().folders:
        choosers[_SERVER] = _choose_server_folder
    source: str = choice("Where does the music come from?", [DEMO, *choosers], "music_source")
    if source not in choosers:
        return DEMO, None
    music = choosers[source]()
    # Where nothing is chosen, the last job of this source.
    for job in (session.current("music"), *session.known("music")):
        if job is None:
            continue
        with suppress(OSError, ValueError):
            of_source, name = json.loads((job.folder / _SOURCE).read_text(encoding="utf-8"))
            if source == of_source and (music is None or music.name == name):
                session.remember("music", job.id)
                if music is not None and music.let_go is not None:
                    music.let_go()
                return source, job
    if music is not None and music.store is not None:
        _inspect(source, music)
    return source, None


# Each of these returns what is chosen now, None for nothing.


def _choose_zip() -> _Music | None:
    limit = settings().upload_megabytes
    label = f"A zip with one folder for each genre, up to {limit:g} MB"
    upload = st.file_uploader(label, type="zip")
    if upload is None:
        return None

    def unpack(audio: Path) -> None:
        limits, who = UploadLimits(), session.visitor()  # and no more than this visitor may keep
        most = min(limits.total_bytes, session.jobs().room(who.name, who.address))
        unpack_zip(upload, audio, replace(limits, total_bytes=most))

    return _Music(upload.file_id, "Your zip", upload.size, unpack)


def _choose_folder() -> _Music | None:
    label = "A folder that holds one folder for each genre"
    uploads = st.file_uploader(
        label, accept_multiple_files="directory", key=_uploader_key("folder")
    )
    if not uploads:
        return None

    def store(audio: Path) -> None:
        store_folder(((upload.name, upload.getvalue()) for upload in uploads), audio)

    name = " ".join(upload.file_id for upload in uploads)
    size = sum(upload.size for upload in uploads)
    return _Music(name, "Your folder", size, store, partial(_let_go, "folder", uploads))


def _choose_files() -> _Music | None:
    """Collect files genre by genre until they are used."""
    kept: dict[str, list[tuple[str, bytes]]] = st.session_state.setdefault("genre_files", {})
    genre = st.text_input("Genre of the next files", max_chars=50, placeholder="jazz").strip()
    uploads = st.file_uploader("Its files", accept_multiple_files=True, key=_uploader_key("files"))
    add, use, clear = st.columns(3)
    held = sum(len(content) for files in kept.values() for _, content in files)
    if add.button("Add them", icon=":material/add:", disabled=not (genre and uploads)):
        check_upload(held + sum(upload.size for upload in uploads), _REMEDY)
        kept.setdefault(genre, []).extend((u.name, u.getvalue()) for u in uploads)
        _let_go("files", uploads)
    if kept:
        counts = {genre: len(files) for genre, files in kept.items()}
        st.dataframe({"genre": list(counts), "files": list(counts.values())}, hide_index=True)
    if clear.button("Start over", icon=":material/delete:", disabled=not kept):
        st.session_state.pop("genre_files")
        st.rerun()
    if use.button("Look inside", icon=":material/search:", disabled=not kept):
        return _Music(secrets.token_hex(8), "Your files", held, _store_kept)
    return _Music("files that nobody has looked into") if kept else None


def _uploader_key(name: str) -> str:
    return f"{name} {st.session_state.get(f'{name}_taken', 0)}"


def _let_go(name: str, uploads: Sequence[UploadedFile]) -> None:
    """Empty an uploader whose files have been taken, and draw the page again.

    The browser would name them in each of its messages, a thousand files of a folder once a second,
    and the server would keep them in memory.
    """
    context = get_script_run_ctx()
    assert context is not None  # a page has one
    kept = cast(MemoryUploadedFileManager, context.uploaded_file_mgr)
    for upload in uploads:
        kept.remove_file(context.session_id, upload.file_id)
    st.session_state[f"{name}_taken"] = st.session_state.get(f"{name}_taken", 0) + 1
    st.rerun()


def _store_kept(audio: Path) -> None:
    kept = st.session_state["genre_files"]
    store_files(((name, *file) for name, files in kept.items() for file in files), audio)
    st.session_state.pop("genre_files")


def _choose_server_folder() -> _Music | None:
    """Offer folders below the host's roots in a list; a path cannot be typed."""
    offered = {
        f"{root.name} / {path.name}": path
        for root in settings().folders
        for path in sorted(root.iterdir())
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    }
    name = st.selectbox("Folder", list(offered), index=None, placeholder="Choose a folder")
    if name is None:
        return None
    return _Music(name, name, store=lambda audio: audio.symlink_to(offered[name], True))


def _inspect(source: str, music: _Music) -> None:
    """Store the music in the folder of a new job that inspects it; no folder is left on failure.

    What failed is not tried again, but its message is shown for as long as it is chosen.
    """
    failures: dict[str, str] = st.session_state.setdefault("music_failures", {})
    if music.name in failures:
        raise DatasetError(failures[music.name])
    folder = session.jobs().new_folder()
    try:
        with st.spinner("Unpacking …" if source == _ZIP else "Taking in your music …"):
            check_upload(music.bytes, _REMEDY)
            assert music.store is not None
            music.store(folder / "audio")
    except BaseException as error:
        folder.rmdir()
        if isinstance(error, GenreKitError):
            failures[music.name] = str(error)
        raise
    (folder / _SOURCE).write_text(json.dumps([source, music.name]), encoding="utf-8")
    command = ["inspect", "audio", "-o", "inspection.json", "--progress", "json"]
    session.start("music", music.title, [command], folder)


# -- the preview ------------------------------------------------------------------------------


def show_preview(job: Job) -> bool:
    """Show the music of a "music" job; return whether it has been inspected."""
    job_panel(job)
    if job.status != "done":
        return False
    inspection = Inspection.read(job.folder / "inspection.json")
    problems = [{"file": f.path, "what": f.problem} for f in inspection.files if f.problem]
    problems += [{"file": other.track, "what": other.reason} for other in inspection.others]
    tiles = st.columns(4)
    tiles[0].metric("Files", len(inspection.files))
    tiles[1].metric("Genres", len(inspection.genres))
    tiles[2].metric("Minutes", f"{inspection.seconds / 60:.1f}")
    tiles[3].metric("Problems", len(problems))
    st.caption("Formats: " + ", ".join(f"{n} {name}" for name, n in inspection.containers.items()))
    if len(inspection.genres) < 2:
        st.warning("There is only one genre. A classifier needs at least two to tell apart.")
    for note in inspection.notes:
        _show_note(note)
    _show_genres(inspection)
    if problems:
        title = f"{counted(len(problems), 'file')} with problems"
        with st.expander(title, icon=":material/warning:"):
            st.dataframe(problems, hide_index=True)
    _show_duplicates(inspection, job.folder / "audio")
    _show_remedies(inspection, job)
    return True


def left_out(job: Job) -> Path | None:
    """The list of tracks that the visitor wants left out of this music; None without one."""
    path = job.folder / _LEFT_OUT
    return path if path.is_file() else None


def _show_note(note: Note) -> None:
    if not note.names:
        st.info(escape(note.sentence), icon=":material/info:")
        return
    with st.expander(escape(note.sentence), icon=":material/info:"):
        st.dataframe({"name": list(note.names)}, hide_index=True)


def _show_remedies(inspection: Inspection, job: Job) -> None:
    """Offer to leave files out of the dataset, and to take that back."""
    listed = left_out(job)
    if listed is not None:
        count = len(listed.read_text(encoding="utf-8").splitlines())
        st.success(f"{counted(count, 'file')} will be left out.", icon=":material/check:")
        if st.button("Use all files again", icon=":material/undo:"):
            listed.unlink()
            st.rerun()
        return
    offers = {
        "duplicates": ("Leave duplicates out", inspection.redundant),
        "incomplete": ("Leave incomplete files out", inspection.incomplete),
    }
    for key, (label, names) in offers.items():
        if names and st.button(f"{label} ({len(names)})", icon=":material/remove:", key=key):
            (job.folder / _LEFT_OUT).write_text("\n".join(names) + "\n", encoding="utf-8")
            st.rerun()


def _show_genres(inspection: Inspection) -> None:
    rows = []
    for genre, count in inspection.genres.items():
        lengths = [f.seconds for f in inspection.files if f.genre == genre and f.seconds]
        row = {"genre": genre, "files": count, "minutes": round(sum(lengths) / 60, 1)}
        row["shortest (s)"] = round(min(lengths), 1) if lengths else None
        row["longest (s)"] = round(max(lengths), 1) if lengths else None
        rows.append(row)
    st.dataframe(rows, hide_index=True)


def _show_duplicates(inspection: Inspection, audio: Path) -> None:
    if not inspection.duplicates:
        st.success("No duplicates found.", icon=":material/check:")
        return
    count = len(inspection.duplicates)
    said = f"{counted(count, 'recording')} {agree(count, 'is', 'are')}"
    with st.expander(f"{said} in it more than once", icon=":material/content_copy:"):
        st.caption(
            "A recording in both parts of a split flatters the score, and one under two genres "
            "is wrong in one of them. Listen, and remove what should not be there."
        )
        titles = [_title(group) for group in inspection.duplicates]
        which = st.selectbox("Which", range(count), format_func=titles.__getitem__)
        paths = {file.id: file.path for file in inspection.files}
        for track in inspection.duplicates[which or 0].tracks[:4]:
            st.caption(escape(track))
            try:
                st.audio(track_sound(audio / paths[track]))
            except GenreKitError as error:
                show_error(str(error))


def _title(group: Duplicate) -> str:
    kind = "the same file" if group.kind == "exact" else f"alike ({group.similarity:.0%})"
    warning = ", under different genres" if group.across_genres else ""
    return f"{' = '.join(group.tracks[:3])}: {kind}{warning}"
