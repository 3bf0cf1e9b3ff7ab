"""A panel for any job: its progress, its messages and its controls."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import streamlit as st

from genrekit.app.jobs.job import Job
from genrekit.app.jobs.length import Progress, progress, remaining_seconds
from genrekit.app.kit.widgets import escape, list_skipped, plain_errors, show_error
from genrekit.app.session import jobs
from genrekit.dataset.dataset import Skipped
from genrekit.wording import counted, duration

__all__ = ["Events", "job_panel", "show_origin", "show_state", "watch"]

Events = list[dict[str, Any]]
_REFRESH_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 2.0
_SAYS: Final = {
    "waiting": "Waiting for its turn",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "timed out": "Stopped: it took longer than the host allows",
    "interrupted": "Interrupted: its process died, of too little memory perhaps, or the "
    "server was restarted",
}


def job_panel(job: Job) -> None:
    """Draw the panel of a job."""
    watch(job, _panel)


def watch(job: Job, draw: Callable[[Job, Events], None], seconds: float = _REFRESH_SECONDS) -> None:
    """Draw a job and its events, every so many seconds while it is active.

    The page is drawn again when the job begins, and when it ends.
    """
    status = job.status
    every = {"waiting": _WAIT_SECONDS, "running": seconds}.get(status)
    st.fragment(run_every=every)(_again)(job, status, draw)


def _again(job: Job, was: str, draw: Callable[[Job, Events], None]) -> None:
    if was in ("waiting", "running") and job.status != was:
        st.rerun()
    with plain_errors():
        draw(job, job.events())


def _panel(job: Job, events: Events) -> None:
    with st.container(border=True):
        show_state(job, events, f"**{escape(job.title)}**: ")
        show_origin(job)


def show_state(job: Job, events: Events, title: str = "") -> None:
    """Show the state of a job, its progress, its messages and its controls."""
    status = job.status
    at = progress(events)
    if title or status != "running":
        st.markdown(f"{title}{_SAYS[status]}{_queue(job, status)}")
    if status == "running":
        st.progress(at.done / at.total if at.total else 0.0, _so_far(job, at))
    errors = [event["message"] for event in events if event["type"] == "error"]
    if status == "failed" and not errors:
        errors = ["It stopped without saying why. Try again, or see its log below."]
    for message in errors:
        show_error(message)
    if status != "done":  # then the page shows them with what was made
        skipped = [Skipped(**skip) for event in events for skip in event.get("skipped", ())]
        if skipped:
            list_skipped(skipped)
    _buttons(job, status, at)


def show_origin(job: Job) -> None:
    """Show the commands of a job, to be run elsewhere, and its log."""
    with st.expander("Run it yourself, and its log"):
        st.caption("The same work on your own computer:")
        st.code(_commands(job), language="shell")
        log = job.log()
        if log:
            st.caption("What it wrote:")
            st.code(log, language=None, height=200)


def _queue(job: Job, status: str) -> str:
    if status != "waiting":
        return ""
    before, seconds = jobs().place_in_queue(job)
    place = f"{counted(before, 'job')} before it" if before else "it is next"
    return f" (about {duration(max(1, round(seconds)))}; {place})"


def _so_far(job: Job, at: Progress) -> str:
    if not at.done:
        return "Getting ready …"
    many = len(job.commands) > 1
    said = [f"Step {at.step + 1} of {len(job.commands)}"] if many else []
    said.append(f"{at.done} of {at.total} {at.unit}")
    if at.speed:
        left = duration(round(remaining_seconds(job, at)))
        said += [f"{at.speed:.1f} a second", f"about {left} left"]
    return " · ".join(said)


def _buttons(job: Job, status: str, at: Progress) -> None:
    if status in ("waiting", "running"):
        row = st.container(horizontal=True)
        learned = job.kind == "model" and at.unit == "epochs" and at.done < at.total
        kept = "best" if "best" in job.commands[-1] else "last"
        if learned and row.button(
            f"Stop and keep the {kept} epoch",
            icon=":material/stop_circle:",
            type="primary",
            key=f"stop-{job.id}",
        ):
            jobs().stop_early(job)
        if row.button("Cancel", icon=":material/cancel:", key=f"cancel-{job.id}"):
            jobs().cancel(job)
            st.rerun()
    elif status != "done" and st.button(
        "Try again" if status == "failed" else "Resume",
        icon=":material/replay:",
        key=f"resume-{job.id}",
    ):
        jobs().resume(job)
        st.rerun()


def _commands(job: Job) -> str:
    lines = []
    for command in job.commands:
        shown = [_plain(word) for word in command]
        at = shown.index("--progress") if "--progress" in shown else len(shown)
        lines.append(shlex.join(["python", "-m", "genrekit", *shown[:at], *shown[at + 2 :]]))
    return "\n".join(lines)


def _plain(text: str) -> str:
    """`text` without the ids of job folders."""
    words = text.split(" ")
    return " ".join(Path(word).name if word.startswith("../") else word for word in words)
