"""Checks before the server starts: its settings, Streamlit's, and the jobs folder."""

import math
from typing import Final

import uvicorn
from streamlit import config, net_util

from genrekit.app.host.messages import MOST_BYTES
from genrekit.app.jobs import storage
from genrekit.app.settings import Settings
from genrekit.errors import SettingsError

__all__ = ["check"]

_BY_STREAMLIT: Final = "<default>"


def check(settings: Settings) -> None:
    """Adapt Streamlit's limits to the settings, and test the folder; or raise SettingsError."""
    _limit_uploads(settings.upload_megabytes)
    _limit_websockets()
    _choose_defaults(settings)
    # Streamlit would ask a server on the internet for this machine's address, to allow connections
    # from pages of that address; pages of the right host name may connect anyway.
    net_util.get_external_ip = lambda: None
    folder = settings.jobs_folder
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        storage.check_writable(folder)
    except OSError as error:
        raise SettingsError(
            f'GENREKIT_JOBS_FOLDER is "{folder}", where nothing can be written '
            f"({error.strerror}): name a folder that this user may write to."
        ) from None


def _limit_websockets() -> None:
    """Have the server refuse large messages of browsers as they arrive.

    Streamlit gives it the limit for what the server itself sends, and parts of messages that never
    end would fill the memory.
    """
    uvicorn.Config.ws_max_size = property(  # type: ignore[assignment]
        lambda _: MOST_BYTES, lambda *_: None
    )


def _choose_defaults(settings: Settings) -> None:
    """Replace defaults of Streamlit's that suit its own hosting, or people one knows."""
    # Pages of streamlit.app could send commands to the app in a frame.
    chosen: dict[str, object] = {"client.allowedOrigins": []}
    if settings.mode == "public":
        # A lost connection is found again in seconds, and until then uploads stay in memory.
        chosen["server.disconnectedSessionTTL"] = 30
    if settings.framed_by:
        # Else browsers would send no cookie from a frame, without which no upload is taken.
        chosen["server.xsrfCookieSameSite"] = "none"
    for option, value in chosen.items():
        if config.get_where_defined(option) == _BY_STREAMLIT:
            config.set_option(option, value)


def _limit_uploads(megabytes: float) -> None:
    """Have Streamlit refuse a large upload while it arrives; pages refuse it only afterwards."""
    option = "server.maxUploadSize"
    wanted = max(1, math.ceil(megabytes))
    explicit = "environment" in config.get_where_defined(option)  # or on the command line
    given = config.get_option(option)
    if explicit and given < wanted:
        raise SettingsError(
            f"GENREKIT_UPLOAD_MEGABYTES is {megabytes:g} MB, and Streamlit was told to take "
            f"{given} MB only (STREAMLIT_SERVER_MAX_UPLOAD_SIZE or --server.maxUploadSize): give "
            "both the same number."
        )
    config.set_option(option, wanted)
