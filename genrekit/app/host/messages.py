"""What a browser may send over its websocket: kinds, sizes, counts, and what each costs."""

from dataclasses import dataclass
from typing import Final

from streamlit.proto.BackMsg_pb2 import BackMsg

__all__ = ["MOST_BYTES", "NotAllowed", "Request", "read"]

# Pages send up to 2 kB. A folder of 5000 files makes it 1.7 MB, with the addresses of each.
MOST_BYTES: Final = 2_000_000
_MOST_FILES: Final = 5000
# Pages have up to 20 widgets that were touched, and a few messages that a browser keeps.
_MOST_WIDGETS: Final = 500
_MOST_KEPT: Final = 2000
_LONGEST_ADDRESS: Final = 20_000
# A message costs 1, as much as a run of a page, and 1 more for each so many bytes or files. That is
# more than they take: the addresses of 1000 files take a third of a run.
_BYTES_FOR_ONE: Final = 100_000
_FILES_FOR_ONE: Final = 200

# A download that is made when it is asked for.
_DOWNLOAD_COST: Final = 10.0

_USED: Final = ("rerun_script", "stop_script", "file_urls_request", "app_heartbeat", "download")


class NotAllowed(Exception):
    """A message that no page sends; `close` is the status with which the websocket is closed, or
    None where it is enough to ignore the message."""

    def __init__(self, reason: str, close: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.close = close


@dataclass(frozen=True)
class Request:
    """A message that is allowed.

    Attributes
    ----------
    cost : float, from 1
    reruns : bool
        Whether it has the page, or a part of it, run.
    """

    cost: float
    reruns: bool


def read(data: bytes | None) -> Request:
    """Read a message from a browser, before Streamlit does.

    Streamlit obeys more than its pages send: anybody may have the caches of all visitors cleared,
    and a list of many thousand names keeps the server's only event loop busy for seconds.

    Parameters
    ----------
    data : bytes
        A serialised BackMsg; None of a frame of text.

    Raises
    ------
    NotAllowed
    """
    if data is None:
        raise NotAllowed("text", 1003)
    if len(data) > MOST_BYTES:
        raise NotAllowed("size", 1009)
    try:
        message = BackMsg.FromString(data)
    except Exception:  # protobuf's own, which has no public name in Streamlit
        raise NotAllowed("no message", 1002) from None
    kind = _kind(message)
    if kind not in _USED:
        raise NotAllowed(kind or "nothing")
    files = _files(message)
    state = message.rerun_script
    if (
        files > _MOST_FILES
        or len(state.widget_states.widgets) > _MOST_WIDGETS
        or len(state.cached_message_hashes) > _MOST_KEPT
        or len(state.query_string) > _LONGEST_ADDRESS
    ):
        raise NotAllowed("counts", 1008)
    cost = 1.0 + len(data) / _BYTES_FOR_ONE + files / _FILES_FOR_ONE
    return Request(cost + _DOWNLOAD_COST * (kind == "download"), kind == "rerun_script")


def _kind(message: BackMsg) -> str | None:
    """Return the kind of a message; of operations, which can also install things, the download."""
    if message.backend_operation_request.WhichOneof("payload") == "deferred_file":
        return "download"
    return message.WhichOneof("type")


def _files(message: BackMsg) -> int:
    """Return how many files a message names."""
    return len(message.file_urls_request.file_names) + sum(
        len(widget.file_uploader_state_value.uploaded_file_info)
        for widget in message.rerun_script.widget_states.widgets
    )
