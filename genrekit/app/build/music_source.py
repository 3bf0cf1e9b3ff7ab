"""Where music for a dataset comes from, and what is shown of it before it is used."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import streamlit as st

from genrekit.app import session
from genrekit.app.jobs.job import Job
from genrekit.app.kit.job_panel import job_panel
from genrekit.app.kit.sounds import track_sound
from genrekit.app.kit.widgets import escape, show_error
from genrekit.app.settings import settings
from genrekit.dataset.inspection import Duplicate, Inspection
from genrekit.dataset.upload import UploadLimits, store_files, store_folder, unpack_zip
from genrekit.errors import DatasetError, GenreKitError
from genrekit.wording import agree, counted

__all__ = ["choose_source", "show_preview"]

DEMO: Final = "Demo music"
_ZIP: Final = "A zip file"
_FOLDER: Final = "A folder"
_FILES: Final = "Single files"
_SERVER: Final = "On this server"
# Beside a job's music: the source that it came from, and what was chosen there.
_SOURCE: Final = "source.json"


def choose_source() -> tuple[str, Job | None]:
    """Let the visitor choose, and take what is uploaded into a job of kind "music".

    Returns
    -------
    source : str
    job : Job or None
        What was found in that source, and in what is chosen there now. None before anybody has
        looked inside.
    """
    sources = [DEMO, _ZIP, _FOLDER, _FILES] + [_SERVER] * bool(settings().folders)
    source = st.segmented_control(
        "Where does the music come from?",
        sources,
        default=DEMO,
        required=True,
        key="music_source",
        bind="query-params",
    )
    takers = {_ZIP: _take_zip, _FOLDER: _take_folder, _FILES: _take_files, _SERVER: _take_server}
    if source not in takers:
        return DEMO, None
    job = _looked_into(source, takers[source]())
    if job is not None:
        session.remember("music", job.id)
    return source, job


def _looked_into(source: str, chosen: str) -> Job | None:
    """The job that looked into what is chosen; where nothing is, the last one of this source."""
    for job in (session.current("music"), *session.known("music")):
        if job is None:
            continue
        with suppress(OSError, ValueError):
            of_source, of_chosen = json.loads((job.folder / _SOURCE).read_text(encoding="utf-8"))
            if source == of_source and chosen in ("", of_chosen):
                return job
    return None


# Each of these gives back a name for what is chosen now, "" for nothing.


def _take_zip() -> str:
    upload = st.file_uploader(
        f"A zip with one folder for each genre, up to {settings().upload_megabytes:g} MB",
        type="zip",
    )
    if upload is not None and st.button("Look inside", icon=":material/folder_zip:"):
        _check_size(upload.size)
        folder = session.jobs().new_folder()
        with st.spinner("Unpacking …"):
            _or_remove(folder, lambda: unpack_zip(upload, folder / "audio", _room()))
        _inspect(folder, "Your zip", _ZIP, upload.file_id)
    return upload.file_id if upload is not None else ""


def _take_folder() -> str:
    uploads = st.file_uploader(
        "A folder that holds one folder for each genre",
        accept_multiple_files="directory",
    )
    chosen = " ".join(upload.file_id for upload in uploads)
    if uploads and st.button("Look inside", icon=":material/folder_open:"):
        _check_size(sum(upload.size for upload in uploads))
        folder = session.jobs().new_folder()
        files = ((upload.name, upload.getvalue()) for upload in uploads)
        with st.spinner("Taking in your folder …"):
            _or_remove(folder, lambda: store_folder(files, folder / "audio"))
        _inspect(folder, "Your folder", _FOLDER, chosen)
    return chosen


def _take_files() -> str:
    """Genre by genre: files are collected until they are used."""
    kept: dict[str, list[tuple[str, bytes]]] = st.session_state.setdefault("genre_files", {})
    genre = st.text_input("Genre of the next files", max_chars=50, placeholder="jazz")
    uploads = st.file_uploader("Its files", accept_multiple_files=True)
    add, use, clear = st.columns(3)
    if add.button("Add them", icon=":material/add:", disabled=not (genre.strip() and uploads)):
        held = sum(len(content) for files in kept.values() for _, content in files)
        _check_size(held + sum(upload.size for upload in uploads))
        kept.setdefault(genre.strip(), []).extend((u.name, u.getvalue()) for u in uploads)
    if kept:
        st.dataframe(
            [{"genre": name, "files": len(files)} for name, files in kept.items()],
            hide_index=True,
        )
    if clear.button("Start over", icon=":material/delete:", disabled=not kept):
        st.session_state.pop("genre_files")
        st.rerun()
    if use.button("Look inside", icon=":material/search:", disabled=not kept):
        folder = session.jobs().new_folder()
        files = ((name, file, content) for name, some in kept.items() for file, content in some)
        with st.spinner("Taking in your files …"):
            _or_remove(folder, lambda: store_files(files, folder / "audio"))
        st.session_state.pop("genre_files")
        _inspect(folder, "Your files", _FILES, "")
    return "files that nobody has looked into" if kept else ""


def _take_server() -> str:
    """Folders below the host's roots, chosen from a list: never a path that somebody typed."""
    offered = {
        f"{root.name} / {path.name}": path
        for root in settings().folders
        for path in sorted(root.iterdir())
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    }
    name = st.selectbox("Folder", list(offered), index=None, placeholder="Choose a folder")
    if name and st.button("Look inside", icon=":material/folder_open:"):
        folder = session.jobs().new_folder()
        (folder / "audio").symlink_to(offered[name], target_is_directory=True)
        _inspect(folder, name, _SERVER, name)
    return name or ""


def _check_size(size: int) -> None:
    limit = settings().upload_megabytes
    if size > 1e6 * limit:
        raise DatasetError(
            f"That is {size / 1e6:.0f} MB, and {limit:g} MB are the most that can be taken: "
            "send fewer files, or compress them (FLAC, MP3)."
        )


def _room() -> UploadLimits:
    """No more is unpacked than this visitor may keep."""
    usual = UploadLimits()
    most = min(usual.total_bytes, session.jobs().room(session.owner()))
    return replace(usual, total_bytes=most)


def _or_remove(folder: Path, work: Any) -> None:
    """Do the work, and leave no empty job folder behind when it is refused."""
    try:
        work()
    except BaseException:
        folder.rmdir()
        raise


def _inspect(folder: Path, title: str, source: str, chosen: str) -> None:
    (folder / _SOURCE).write_text(json.dumps([source, chosen]), encoding="utf-8")
    command = ["inspect", "audio", "-o", "inspection.json", "--progress", "json"]
    job = session.jobs().add(folder, "music", title, [command], session.owner())
    session.remember("music", job.id)
    st.rerun()


# -- the preview ------------------------------------------------------------------------------


def show_preview(job: Job) -> bool:
    """What is in the music of a finished "music" job; whether it can be made a dataset."""
    job_panel(job)
    if job.status != "done":
        return False
    inspection = Inspection.read(job.folder / "inspection.json")
    tiles = st.columns(4)
    tiles[0].metric("Files", len(inspection.files))
    tiles[1].metric("Genres", len(inspection.genres))
    tiles[2].metric("Minutes", f"{inspection.seconds / 60:.1f}")
    tiles[3].metric("To look at", len(_problems(inspection)))
    st.caption("Formats: " + ", ".join(f"{n} {name}" for name, n in inspection.containers.items()))
    if len(inspection.genres) < 2:
        st.warning("There is one genre only: a classifier needs at least two to tell apart.")
    _show_genres(inspection)
    _show_problems(inspection)
    _show_duplicates(inspection, job.folder / "audio")
    return True


def _show_genres(inspection: Inspection) -> None:
    rows = []
    for genre, count in inspection.genres.items():
        lengths = [f.seconds for f in inspection.files if f.genre == genre and f.seconds]
        rows.append(
            {
                "genre": genre,
                "files": count,
                "minutes": round(sum(lengths) / 60, 1),
                "shortest (s)": round(min(lengths), 1) if lengths else None,
                "longest (s)": round(max(lengths), 1) if lengths else None,
            }
        )
    st.dataframe(rows, hide_index=True)


def _problems(inspection: Inspection) -> list[dict[str, str]]:
    rows = [{"file": f.path, "what": f.problem} for f in inspection.files if f.problem]
    return rows + [{"file": other.track, "what": other.reason} for other in inspection.others]


def _show_problems(inspection: Inspection) -> None:
    rows = _problems(inspection)
    if rows:
        with st.expander(f"{counted(len(rows), 'file')} to look at", icon=":material/warning:"):
            st.dataframe(rows, hide_index=True)


def _show_duplicates(inspection: Inspection, audio: Path) -> None:
    if not inspection.duplicates:
        st.success("No recording is in it twice.", icon=":material/check:")
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
