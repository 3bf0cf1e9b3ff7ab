"""The listeners: models that hear visitors' microphones, under names that nobody can guess.

What they have heard is in this process's memory alone: no more than ten seconds of it, and no
longer than a few seconds after the last has come. Nobody can ask for it.
"""

import secrets
import threading
from functools import cache
from time import monotonic
from typing import Final
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from genrekit.app.classify.places import Places
from genrekit.app.settings import settings
from genrekit.verdict.analysis import ModelFile

__all__ = ["HEARD_SECONDS", "Listener", "Samples", "find", "places"]

HEARD_SECONDS: Final = 10

Samples = NDArray[np.int16]


class Listener:
    """The model that listens to a visitor's microphone, and the last seconds that it has heard.

    It can be found for as long as somebody holds it, as the visitor's session does.

    Attributes
    ----------
    token : str, the name under which the browser sends sound
    browser : str or None, `session.browser` of the one that may
    address : str, the code of the visitor's address
    model : ModelFile, which the visitor may change at any time
    busy : Lock, held while sound is received and judged
    asked : float, s on the clock of `monotonic`, when the browser last asked
    """

    def __init__(self, browser: str | None, model: ModelFile, address: str = "") -> None:
        self.token = secrets.token_urlsafe(24)
        self.browser = browser
        self.address = address
        self.model = model
        self.busy = threading.Lock()
        self.asked = 0.0
        self._heard: Samples = np.empty(0, np.int16)
        self._rate = 0
        _listeners[self.token] = self

    def hear(self, samples: Samples, rate: int) -> Samples:
        """Take new samples, at `rate` Hz; return the last `HEARD_SECONDS`."""
        if rate != self._rate:
            self._heard, self._rate = np.empty(0, np.int16), rate
        self._heard = np.concatenate([self._heard, samples])[-HEARD_SECONDS * rate :]
        return self._heard

    def forget(self, after: float = 0.0) -> None:
        """Forget the sound, unless the browser has asked within the last `after` seconds."""
        if monotonic() - self.asked >= after:
            self._heard = np.empty(0, np.int16)


_listeners: Final[WeakValueDictionary[str, Listener]] = WeakValueDictionary()


@cache
def places() -> Places:
    """Return the places for listeners on this server."""
    return Places(settings().live_places)


def find(token: str, browser: str | None) -> Listener | None:
    """Return the listener of this name, which belongs to this browser."""
    listener = _listeners.get(token)
    return listener if listener is not None and listener.browser == browser else None
