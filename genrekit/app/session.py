"""A visitor's session: an anonymous name for quotas, and the datasets and models made.

A dataset or a model is a job. Its id is in the page's address, where a reload or a second browser
with the link finds it. Streamlit drops such parameters when the page is switched; `sync` restores
them.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from genrekit.app.jobs.job import Job
from genrekit.app.jobs.queue import Jobs
from genrekit.app.once import Once
from genrekit.app.settings import settings

__all__ = [
    "browser",
    "current",
    "find",
    "jobs",
    "known",
    "owned",
    "owner",
    "remember",
    "start",
    "sync",
]

KINDS: Final = ("music", "dataset", "model", "leak")


@Once
def jobs() -> Jobs:
    """Return the jobs of this server."""
    return Jobs(settings())


def owner() -> str:
    """Return the visitor's name for quotas, which says nothing about the person.

    It is derived from the cookie that Streamlit sets in each browser against forged requests, so
    that a reload or a second tab does not get a fresh quota.
    """
    name = browser(st.context.cookies)
    if name is None:
        name = st.session_state.setdefault("owner", secrets.token_urlsafe(9))
    return name


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
    job = jobs().add(folder or jobs().new_folder(), kind, title, commands, owner())
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
