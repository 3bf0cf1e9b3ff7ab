"""The probes `/healthz` and `/readyz`: is the process alive, and can it take visitors?"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from streamlit import config

from genrekit.app.jobs import storage
from genrekit.app.settings import Settings

__all__ = ["base_path", "disk_checks", "routes"]


def base_path() -> str:
    """Return the start of all addresses of the app, such as "/music"; empty at the root."""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def routes(readiness: Callable[[], dict[str, bool]]) -> list[Route]:
    """Return the routes of both probes, below the base path and at the root.

    At the root they answer those who ask the process itself and need not know the base path, below
    which Streamlit would answer unknown addresses with its page and status 200.
    """

    async def alive(_: Request) -> JSONResponse:
        return _answer({"alive": True}, True)

    async def ready(_: Request) -> JSONResponse:
        checks = await to_thread.run_sync(readiness)
        well = all(checks.values())
        return _answer({"ready": well, "checks": checks}, well)

    return [
        Route(f"{folder}/{name}{end}", answer)
        for folder in dict.fromkeys(("", base_path()))
        for name, answer in {"healthz": alive, "readyz": ready}.items()
        for end in ("", "/")
    ]


def _answer(content: dict[str, Any], well: bool) -> JSONResponse:
    return JSONResponse(content, 200 if well else 503, {"Cache-Control": "no-store"})


def disk_checks(settings: Settings) -> dict[str, bool]:
    """Return whether the jobs folder is writable, and whether the disk has space left."""
    folder = settings.jobs_folder
    writable = enough = False
    with suppress(OSError):
        enough = storage.free_bytes(folder) >= 1e6 * settings.free_megabytes
        storage.check_writable(folder)
        writable = True
    return {"jobs_folder": writable, "disk_space": enough}
