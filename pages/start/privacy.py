"""What the server keeps of a visit: what, where, for how long, and who can see it."""

import streamlit as st

from genrekit.app.classify.listener import HEARD_SECONDS
from genrekit.app.classify.places import GONE_SECONDS
from genrekit.app.kit.widgets import page_header, plain_errors
from genrekit.app.settings import settings
from genrekit.system.records import read_toml
from genrekit.verdict.cache import MAX_IDLE_SECONDS
from genrekit.wording import duration

WORDS = read_toml(__file__)


def main() -> None:
    host = settings()
    offered = {"live": host.live_places > 0, "folders": bool(host.folders)}
    known = {
        "gone": duration(float(st.get_option("server.disconnectedSessionTTL"))),
        "decoded": duration(MAX_IDLE_SECONDS),
        "kept": duration(3600 * host.job_keep_hours),
        "heard": duration(HEARD_SECONDS),
        "silent": duration(GONE_SECONDS),
        "who": WORDS["who"][host.mode],
        "cache": WORDS["cache"][host.cache],
    }
    page_header(WORDS["title"], WORDS["see"])
    for topic in WORDS["topics"]:
        if offered.get(topic.get("only"), True):
            st.header(topic["title"], anchor=False)
            st.markdown(topic["says"].strip().format_map(known))


with plain_errors():
    main()
