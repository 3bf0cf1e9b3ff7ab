"""Log uploads that Streamlit refuses while they arrive."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genrekit.app.logs import event

__all__ = ["LogRefusedUploads"]


class LogRefusedUploads:
    """Middleware that logs the status and announced size of refused uploads."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upload = scope["type"] == "http" and scope["method"] == "PUT"
        if not upload or "/_stcore/upload_file/" not in scope["path"]:
            await self._app(scope, receive, send)
            return

        async def log_and_send(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                size = Headers(scope=scope).get("content-length", "")
                megabytes = int(size) / 1e6 if size.isdigit() else None
                event("upload refused", status=message["status"], megabytes=megabytes)
            await send(message)

        await self._app(scope, receive, log_and_send)
