"""Checks before the server starts: its settings, Streamlit's, and the jobs folder."""

import math

from streamlit import config, net_util

from genrekit.app.jobs import storage
from genrekit.app.settings import Settings
from genrekit.errors import SettingsError

__all__ = ["check"]


def check(settings: Settings) -> None:
    """Adapt Streamlit's limits to the settings, and test the folder; or raise SettingsError."""
    _limit_uploads(settings.upload_megabytes)
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
