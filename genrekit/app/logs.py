"""The server's log: JSON lines on standard error, about work, never about people.

A line has the time (UTC), the level, the event and its data. File names, file contents, addresses
and whole job ids are left out. Therefore an error is logged by its type and its place in the code,
and a message of a library by its template, without the values.
"""

import json
import logging
import math
import re
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from genrekit.system.shipped import shipped_folder

__all__ = ["DATA", "JsonLines", "event", "install", "places", "short"]

_LOGGER: Final = logging.getLogger("genrekit.server")
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_OURS: Final = (_PACKAGE, shipped_folder() / "pages")
# The attribute of a record that has the data of an event.
DATA: Final = "genrekit_data"
_PLACES: Final = 6
_LENGTH: Final = 200
_ID_LENGTH: Final = 6
# The app's own hook logs the same error.
_LOGGED_TWICE: Final = ("streamlit.error_util", "Uncaught app execution")
_WARNING: Final = re.compile(r"(.*?):(\d+): (\w+):", re.DOTALL)
_SERVER_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi")
_SILENT: Final = "uvicorn.access"  # it would name addresses and whole paths


def event(name: str, *, level: int = logging.INFO, error: Any = None, **data: Any) -> None:
    """Log an event, named by a few constant words.

    Of `error`, an exception, type and place are logged, the message is not. `data` are numbers,
    booleans and short texts, none about a visitor.
    """
    _LOGGER.log(level, name, extra={DATA: data}, exc_info=error)


def short(job_id: str) -> str:
    """Return the start of a job's id: enough to follow it in the log, too little to open it."""
    return job_id[:_ID_LENGTH]


def places(error: BaseException) -> list[str]:
    """Return where an error came from: the last places in this code, and the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_ours(Path(frame.filename))] or frames[-2:]
    chosen = ours[-_PLACES:] + ([frames[-1]] if frames and frames[-1] not in ours else [])
    return [f"{_file(frame.filename)}:{frame.lineno} {frame.name}" for frame in chosen]


def _is_ours(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _OURS)


def _file(name: str) -> str:
    """Return a source file's name without the folders of this machine."""
    path = Path(name)
    if _is_ours(path):
        return path.relative_to(_PACKAGE.parent).as_posix()
    return "/".join(path.parts[-2:])


class JsonLines(logging.Formatter):
    """Formatter of any record, of this code or of a library, as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **_what(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _failure(record.exc_info[1])
        return json.dumps(_jsonable(line), ensure_ascii=False)


def _what(record: logging.LogRecord) -> dict[str, Any]:
    if record.name == _LOGGER.name:
        return {"event": record.msg, **getattr(record, DATA, {})}
    if record.name == "py.warnings":
        found = _WARNING.match(record.getMessage())
        about = {"at": f"{_file(found[1])}:{found[2]}", "kind": found[3]} if found else {}
        return {"event": "warning", **about}
    template = str(record.msg).strip().partition("\n")[0]
    return {"event": template[:_LENGTH], "logger": record.name}


def _failure(error: BaseException) -> dict[str, Any]:
    about: dict[str, Any] = {"error": type(error).__name__, "at": places(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        about["because_of"] = type(cause).__name__
    return about


def _jsonable(value: Any) -> Any:
    """Return `value` as JSON can express it."""
    if isinstance(value, dict):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def install() -> None:
    """Format all logging of this process as `JsonLines`, and print no traceback."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(lambda record: (record.name, record.msg) != _LOGGED_TWICE)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    _LOGGER.setLevel(logging.INFO)
    for name in _SERVER_LOGGERS:
        _to_root(logging.getLogger(name))
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(_SILENT).disabled = True
    logging.raiseExceptions = False  # no traceback for a line that cannot be written
    _take_over_streamlit()
    logging.captureWarnings(True)
    sys.excepthook = _on_uncaught
    threading.excepthook = _on_uncaught_in_thread


def _to_root(logger: logging.Logger) -> None:
    logger.handlers[:] = []
    logger.propagate = True


def _take_over_streamlit() -> None:
    """Remove the handlers of Streamlit's loggers, present and future."""
    from streamlit import logger as theirs

    theirs.setup_formatter = _to_root
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and hasattr(logger, "streamlit_console_handler"):
            _to_root(logger)


def _on_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        event("uncaught", level=logging.CRITICAL, error=error)


def _on_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        thread = args.thread.name.partition("-")[0] if args.thread else ""
        event("uncaught", level=logging.ERROR, error=args.exc_value, thread=thread)
