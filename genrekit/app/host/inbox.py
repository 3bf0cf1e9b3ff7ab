"""What a client has sent over its websocket and nobody has read yet."""

import asyncio
from collections import deque
from typing import Final

from starlette.types import Message, Receive

from genrekit.app.host.messages import MOST_BYTES

__all__ = ["Inbox"]

# Then no more is read from the client.
MOST_MESSAGES: Final = 200


class Inbox:
    """Messages in the order in which they came, read ahead, until the client has gone.

    The web server reads no further while a message waits: behind the messages of a flood it would
    learn only when all have been answered that nobody is there any more.

    Attributes
    ----------
    end : asyncio.Task
        Done when the client has gone; its result is the message that says so.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self.end = asyncio.create_task(self._fill())

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """True while no more is read."""
        return len(self._messages) >= MOST_MESSAGES or self._bytes >= MOST_BYTES

    async def next(self) -> Message:
        """Wait for a message and take it out."""
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        self._bytes -= _size(message)
        self._has_room.set()
        return message

    async def _fill(self) -> Message:
        while (message := await self._receive())["type"] != "websocket.disconnect":
            self._messages.append(message)
            self._bytes += _size(message)
            self._arrived.set()
            while self.full:
                self._has_room.clear()
                await self._has_room.wait()
        return message


def _size(message: Message) -> int:
    return len(message.get("bytes") or message.get("text") or "")
