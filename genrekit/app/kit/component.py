"""Parts of a page that are programs in the browser: their scripts travel once, not with each
message. A network that learns sends ten messages a second, and its script is larger than its news.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

__all__ = ["component"]

_APP: Final = Path(__file__).resolve().parents[1]
_FOLDER: Final = "browser"


def component(name: str, html: str | None = None) -> Callable[..., Any]:
    """Declare the part of this name, and get the function that mounts it.

    Parameters
    ----------
    name : str
        Of its files in the folder `browser`: NAME.js, which exports a function, and NAME.css
    html : str
        What the script finds when it begins; the file NAME.html where it is not given. The script
        may come a second later: a part that takes the visitor's touch is `inert` here, and the
        script ends that.
    """

    def mount(**options: Any) -> Any:
        _show_folder(name)
        return _declared(name, html)(**options)

    return mount


def _show_folder(name: str) -> None:
    """Tell the running server where the part's files are.

    Streamlit does so for installed packages whose pyproject.toml asks for it; this one need not be
    installed.
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(f"genrekit.{name}") is None:
        manifest = ComponentManifest("genrekit", "", [ComponentConfig(name, _FOLDER)])
        manager.register_from_manifest(manifest, _APP)


@cache
def _declared(name: str, html: str | None) -> Any:
    # The style sheet stays in the message, or the part would first stand there unstyled.
    css = _text(f"{name}.css")
    html = _text(f"{name}.html") if html is None else html
    return st.components.v2.component(f"genrekit.{name}", html=html, css=css, js=f"{name}.js")


def _text(name: str) -> str:
    return (_APP / _FOLDER / name).read_text(encoding="utf-8")
