"""GenreKit in the browser: `streamlit run streamlit_app.py`.

This is the server; pages/frame.py is the script that every visit runs. If the script were beside
the folder named pages, Streamlit would take it, for the first visitor after a start, for a
multipage app of its old kind, which finds no page behind a deep link.
"""

from pathlib import Path

import streamlit as st

from genrekit.app import song_workers
from genrekit.app.host import server

host = server.start(song_workers.warm_up, (song_workers.close,))
app = st.App(
    Path(__file__).parent / "pages" / "frame.py",
    lifespan=host.lifespan,
    routes=host.routes(),
    middleware=host.middleware(),
    on_script_error=host.on_script_error,
)
