"""A visitor's session: who it is for quotas, and the datasets and models made.

A dataset or a model is a job. Its id is in the page's address, where a reload or a second browser
with the link finds it. Streamlit drops such parameters when the page is switched; `sync` restores
them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from genrekit.app.jobs.job import Job
from genrekit.app.jobs.queue import Jobs
from genrekit.app.once import Once
from genrekit.app.settings import settings
from genrekit.app.visitors import Visitor, recognise

__all__ = [
    "browser",
    "current",
    "find",
    "fingerprint",
    "jobs",
    "known",
    "owned",
    "owner",
    "remember",
    "start",
    "sync",
    "visitor",
]

KINDS: Final = ("music", "dataset", "model", "leak")

_THIS_MACHINE: Final = "127.0.0.1"


@Once
def jobs() -> Jobs:
    """Return the jobs of this server."""
    return Jobs(settings())


def visitor() -> Visitor:
    """Return the visitor for quotas: a reload or a second tab does not get a fresh one."""
    if "visitor" not in st.session_state:  # a lost connection would have neither
        # Streamlit tells none for this machine, and AppTest something that is no text.
        address = str(st.context.ip_address or _THIS_MACHINE)
        st.session_state["visitor"] = recognise(st.context.cookies, address)
    found: Visitor = st.session_state["visitor"]
    return found


def owner() -> str:
    """Return the visitor's name, which says nothing about the person."""
    return visitor().name


def fingerprint(content: bytes) -> str:
    """Return the key under which results of a file are cached, in hexadecimal.

    It is the SHA-256 of the content, or one for each visitor where the host wants it: nobody can
    then tell by the speed of an answer that somebody else has sent the same file.
    """
    whose = owner().encode() if settings().cache == "own" else b""
    return hashlib.sha256(whose + content).hexdigest()


def browser(cookies: Mapping[str, str]) -> str | None:
    """Return a browser's hashed secret, from the forgery token ``2|mask|masked|time`` among its
    cookies; None without one."""
    try:
        version, mask, masked, _ = cookies.get("_streamlit_xsrf", "").split("|")
        key = bytes.fromhex(mask)
        secret = bytes(b ^ key[i % 4] for i, b in enumerate(bytes.fromhex(masked)))
    except (ValueError, IndexError):
        return None
    return hashlib.sha256(secret).hexdigest()[:16] if version == "2" and secret else None


def sync() -> None:
    """Take the current jobs from the address, or write them there again."""
    for kind in KINDS:
        in_address = st.query_params.get(kind)
        if in_address and find(kind, in_address):
            remember(kind, in_address)
        elif kind in st.session_state:
            st.query_params[kind] = st.session_state[kind]


def remember(kind: str, job_id: str) -> None:
    """Make a job the visitor's current one of its kind."""
    st.session_state[kind] = job_id
    st.session_state.setdefault(f"{kind}s", [])
    if job_id not in st.session_state[f"{kind}s"]:
        st.session_state[f"{kind}s"].append(job_id)
    if st.query_params.get(kind) != job_id:
        st.query_params[kind] = job_id


def start(
    kind: str, title: str, commands: Sequence[Sequence[str]], folder: Path | None = None
) -> None:
    """Queue a job and draw the page again; it gets a folder of its own unless one is given."""
    who = visitor()
    folder = folder or jobs().new_folder()
    job = jobs().add(folder, kind, title, commands, who.name, who.address)
    remember(kind, job.id)
    st.rerun()


def find(kind: str, job_id: str) -> Job | None:
    """Return the job of this kind and id. An address may hold any id, or one of another kind."""
    job = jobs().get(job_id)
    return job if job is not None and job.kind == kind else None


def current(kind: str) -> Job | None:
    """Return the visitor's current job of a kind, if it still exists."""
    return find(kind, st.session_state.get(kind, ""))


def known(kind: str) -> list[Job]:
    """Return the jobs of a kind in this session, newest first."""
    found = [find(kind, job_id) for job_id in st.session_state.get(f"{kind}s", [])]
    return [job for job in reversed(found) if job is not None]


def owned(kind: str) -> list[Job]:
    """Return those of the known jobs that are done."""
    return [job for job in known(kind) if job.status == "done"]
