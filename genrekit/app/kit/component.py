"""Components: parts of a page that are programs in the browser.

Their scripts are sent once, not with each message: most messages are smaller than their script.
"""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

__all__ = ["component", "into_address"]

_APP: Final = Path(__file__).resolve().parents[1]
_FOLDER: Final = "browser"
_LONGEST: Final = 12


def component(name: str) -> Callable[..., Any]:
    """Return the function that mounts a component.

    Parameters
    ----------
    name : str
        Of its files in the folder `browser`: NAME.js, which exports a function, NAME.css, and
        NAME.html, which the script finds when it begins. The script may come a second later than
        the HTML: what the visitor can operate is `inert` there until the script ends that.
    """

    def mount(**options: Any) -> Any:
        _show_folder(name)
        return _declared(name)(**options)

    return mount


def into_address(key: str, prefix: str, names: Iterable[str]) -> Callable[[], None]:
    """Return a callback that writes settings into the address, once the visitor has let go.

    Parameters
    ----------
    key : of the component, which sends its settings by name as the trigger value `settings`
    prefix : of these names in the address
    names : that are meant; whoever reads the address checks their values
    """

    def write() -> None:
        sent = st.session_state[key].settings
        known = set(names) & set(sent)
        st.query_params.update({prefix + name: str(sent[name])[:_LONGEST] for name in known})

    return write


def _show_folder(name: str) -> None:
    """Tell the running server where the component's files are.

    Streamlit does so for installed packages whose pyproject.toml asks for it; this one need not be
    installed.
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(f"genrekit.{name}") is None:
        manifest = ComponentManifest("genrekit", "", [ComponentConfig(name, _FOLDER)])
        manager.register_from_manifest(manifest, _APP)


@cache
def _declared(name: str) -> Any:
    # Style sheet and HTML stay in the message, or the part would first stand there unstyled.
    css, html = (
        (_APP / _FOLDER / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("css", "html")
    )
    return st.components.v2.component(f"genrekit.{name}", html=html, css=css, js=f"{name}.js")
