"""A browser's tab without a browser: Streamlit's protocol, spoken over its websocket.

A tab keeps what a browser would: the elements of the page, the values of the widgets that were
touched, the address, and large messages, which the server then need not send again. It also asks
for what a page wants repeated, as often as the page says. Its visitor does one thing at a time.
"""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import requests
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin, Subprotocol

PATIENCE_SECONDS = 60.0
CHANGEABLE = ("slider", "number_input", "checkbox", "radio", "selectbox", "button_group")
TOKEN = "_streamlit_xsrf"
OUR_FAULT = "on our side"  # in the sentence for what nobody foresaw
_ENDED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Lost(Exception):
    """An action that did not end as it should have; the message says why."""


@dataclass(frozen=True)
class Element:
    """An element of the page; a change reruns its `fragment`, or the page where that is ""."""

    kind: str
    proto: Any
    fragment: str

    @property
    def label(self) -> str:
        return str(getattr(self.proto, "label", ""))


class Tab:
    """One open tab, made by `open_tab`.

    Attributes
    ----------
    address : the query string
    repeats : seconds that each repetition asked for by the page has taken
    refusals : the sentences with which pages refused what was chosen
    """

    def __init__(
        self,
        url: str,
        socket: ClientConnection,
        cookies: Mapping[str, str],
        forwarded: Mapping[str, str],
    ) -> None:
        self.url = url
        self.address = ""
        self.repeats: list[float] = []
        self.refusals: list[str] = []
        self._socket = socket
        self._cookies = cookies
        self._forwarded = forwarded
        self._session = self._page = ""
        self._pages: dict[str, str] = {}
        self._elements: dict[tuple[int, ...], Element] = {}
        self._values: dict[str, WidgetState] = {}
        self._cached: dict[str, ForwardMsg] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, float] = {}
        self._awaited = ""  # the fragment whose end the visitor waits for
        self._answer: asyncio.Future[None] | None = None
        self._urls: asyncio.Future[Any] | None = None
        self._trouble = ""
        self._cut_short = False  # the run of the page that has just ended, for another one

    # -- what is on the page ------------------------------------------------------------------

    def all(self, *kinds: str) -> list[Element]:
        """Return the elements of these kinds, named as in Streamlit's Element message."""
        return [one for one in self._elements.values() if one.kind in kinds]

    def one(self, kind: str, label: str) -> Element:
        """Return the element whose label begins with a text.

        Raises
        ------
        Lost
        """
        for element in self.all(kind):
            if element.label.startswith(label):
                return element
        raise Lost(f'no {kind} "{label}" on the page')

    def text(self) -> str:
        """Return the text of headings, paragraphs and alerts."""
        return "\n".join(one.proto.body for one in self.all("heading", "markdown", "alert"))

    async def shows(self, *texts: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until one of these texts is on the page.

        Raises
        ------
        Lost
        """
        until = perf_counter() + seconds
        while not any(text in self.text() for text in texts):
            self._complain()
            if perf_counter() > until:
                raise Lost(f'"{texts[0]}" did not appear within {seconds:g} s')
            await asyncio.sleep(0.1)

    # -- what a visitor does ------------------------------------------------------------------

    async def go(self, path: str, query: str = "") -> None:
        """Open a page: by a link the first time, later from the navigation."""
        self.address = query
        if path in self._pages:
            self._page = self._pages[path]
            await self._rerun()
        else:
            await self._rerun(page_name=path)

    async def press(self, label: str) -> None:
        """Press a button."""
        button = self.one("button", label)
        if button.proto.disabled:
            raise Lost(f'the button "{label}" cannot be pressed')
        await self._rerun(WidgetState(id=button.proto.id, trigger_value=True), button.fragment)

    async def change(self, element: Element, value: Any) -> None:
        """Set a widget: a number, a bool, or the text of an option."""
        state = WidgetState(id=element.proto.id)
        if element.kind == "checkbox":
            state.bool_value = value
        elif element.kind == "number_input":
            state.double_value = value
        elif element.kind in ("radio", "selectbox"):
            state.string_value = value
        elif element.kind == "slider" and not element.proto.options:
            state.double_array_value.data.append(value)
        else:
            state.string_array_value.data.append(value)
        self._values[state.id] = state
        await self._rerun(fragment=element.fragment)

    async def upload(self, name: str, content: bytes, label: str = "") -> None:
        """Upload a file, in place of those before, to the first uploader with this label."""
        uploader = self.one("file_uploader", label)
        request = BackMsg()
        request.file_urls_request.request_id = uuid.uuid4().hex
        request.file_urls_request.session_id = self._session
        request.file_urls_request.file_names.append(name)
        self._urls = asyncio.get_running_loop().create_future()
        await self._send(request)
        urls = (await _patiently(self._urls)).file_urls[0]
        answer = await asyncio.to_thread(
            requests.put,
            self.url + urls.upload_url,
            files={"file": (name, content)},
            headers={"X-Xsrftoken": self._cookies[TOKEN], **self._forwarded},
            cookies=self._cookies,
            timeout=PATIENCE_SECONDS,
        )
        if answer.status_code != 204:
            raise Lost(f"the upload was answered with status {answer.status_code}")
        state = WidgetState(id=uploader.proto.id)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.file_id, info.name, info.size = urls.file_id, name, len(content)
        info.file_urls.CopyFrom(urls)
        self._values[state.id] = state
        await self._rerun(fragment=uploader.fragment)

    async def let_hear(self, samples: bytes, rate: int) -> None:
        """Send what a microphone has heard, 16 bits at `rate` Hz, to the page that listens live.

        Raises
        ------
        Lost
            No verdict came.
        """
        (page,) = (
            json.loads(one.proto.json)
            for one in self.all("bidi_component")
            if one.proto.id.endswith("live_stage")
        )
        answer = await asyncio.to_thread(
            requests.post,
            self.url + "/live",
            samples,
            headers={"X-Listener": page["token"], "X-Rate": str(rate), **self._forwarded},
            cookies=self._cookies,
            timeout=PATIENCE_SECONDS,
        )
        if answer.status_code != 200 or "title" not in answer.json():
            raise Lost(f"live: {answer.status_code} {answer.text[:200]}")

    # -- asking -------------------------------------------------------------------------------

    async def _rerun(
        self, trigger: WidgetState | None = None, fragment: str = "", page_name: str = ""
    ) -> None:
        """Run the page or a fragment of it, and wait for the end."""
        self._awaited, self._answer = fragment, asyncio.get_running_loop().create_future()
        await self._send(self._request(trigger, fragment, page_name))
        await _patiently(self._answer)
        present = {one.proto.id for one in self._elements.values() if hasattr(one.proto, "id")}
        self._values = {key: value for key, value in self._values.items() if key in present}
        self._complain()

    def _request(
        self,
        trigger: WidgetState | None = None,
        fragment: str = "",
        page_name: str = "",
        *,
        auto: bool = False,
    ) -> BackMsg:
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string, asked.page_script_hash = self.address, self._page
        asked.page_name, asked.fragment_id, asked.is_auto_rerun = page_name, fragment, auto
        asked.widget_states.widgets.extend(self._values.values())
        if trigger is not None:
            asked.widget_states.widgets.append(trigger)
        asked.cached_message_hashes.extend(self._cached)
        return message

    async def _send(self, message: BackMsg) -> None:
        try:
            await self._socket.send(message.SerializeToString())
        except WebSocketException as error:
            raise Lost(f"disconnected: {error}") from None

    async def _repeat(self, fragment: str, seconds: float) -> None:
        with suppress(Lost):  # whoever listens finds out
            while True:
                await asyncio.sleep(seconds)
                self._asked.setdefault(fragment, perf_counter())
                await self._send(self._request(fragment=fragment, auto=True))

    def _stop_timers(self, *fragments: str) -> None:
        for fragment in fragments or list(self._timers):
            if fragment in self._timers:
                self._timers.pop(fragment).cancel()
            self._asked.pop(fragment, None)

    # -- being told ---------------------------------------------------------------------------

    async def listen(self) -> None:
        """Receive the server's messages as long as the tab is open."""
        try:
            async for data in self._socket:
                self._take(ForwardMsg.FromString(data))
        except WebSocketException as error:
            self._trouble = f"disconnected: {error}"
        finally:
            self._stop_timers()
            for waiting in (self._answer, self._urls):
                if waiting and not waiting.done():
                    waiting.set_exception(Lost(self._trouble or "disconnected"))

    def _take(self, message: ForwardMsg) -> None:
        if message.metadata.cacheable and message.WhichOneof("type") != "ref_hash":
            self._cached[message.hash] = message
        match message.WhichOneof("type"):
            case "ref_hash":
                known = ForwardMsg()
                known.CopyFrom(self._cached[message.ref_hash])
                known.metadata.CopyFrom(message.metadata)
                self._take(known)
            case "new_session":
                self._begin(message)
            case "navigation":
                found = message.navigation.app_pages
                self._pages = {page.url_pathname: page.page_script_hash for page in found}
                self._page = message.navigation.page_script_hash
            case "page_info_changed":
                self.address = message.page_info_changed.query_string
            case "auto_rerun":
                fragment = message.auto_rerun.fragment_id
                self._stop_timers(fragment)
                repeat = self._repeat(fragment, message.auto_rerun.interval)
                self._timers[fragment] = asyncio.create_task(repeat)
            case "stop_auto_rerun":
                self._stop_timers(*message.stop_auto_rerun.fragment_ids)
            case "page_not_found":
                self._trouble = "page not found"
            case "file_urls_response":
                if self._urls and not self._urls.done():  # who was too slow no longer waits
                    self._urls.set_result(message.file_urls_response)
            case "delta":
                self._place(tuple(message.metadata.delta_path), message.delta)
            case "script_finished":
                self._end(message)

    def _begin(self, message: ForwardMsg) -> None:
        self._session = message.new_session.initialize.session_id
        if not message.metadata.run.fragment_ids:
            self._elements.clear()
            self._stop_timers()
        elif self._cut_short:  # it had come to its end, and only this was waiting
            self._answered()
        self._cut_short = False

    def _place(self, path: tuple[int, ...], delta: Delta) -> None:
        if delta.WhichOneof("type") == "new_transient":
            return
        # What takes a place takes away all that was in it.
        for old in [old for old in self._elements if old[: len(path)] == path]:
            del self._elements[old]
        if delta.WhichOneof("type") == "new_element":
            kind = delta.new_element.WhichOneof("type") or ""
            proto = getattr(delta.new_element, kind)
            self._elements[path] = Element(kind, proto, delta.fragment_id)

    def _end(self, message: ForwardMsg) -> None:
        if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self._trouble = "the script could not be run"
        fragments = message.metadata.run.fragment_ids
        for fragment in fragments:
            if fragment in self._asked:
                self.repeats.append(perf_counter() - self._asked.pop(fragment))
        if message.script_finished not in _ENDED:  # another run follows
            self._cut_short = not fragments
            return
        self._read_alerts()
        if not fragments or self._awaited in fragments:
            self._answered()

    def _answered(self) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(None)

    def _read_alerts(self) -> None:
        """Check that the page did not fail; it may refuse a choice, in a sentence."""
        for element in self.all("exception"):
            self._trouble = f"{element.proto.type}: {element.proto.message}"
        for element in self.all("alert"):
            if element.proto.format != Alert.ERROR:
                continue
            if OUR_FAULT in element.proto.body:
                self._trouble = f"the page says: {element.proto.body}"
            else:
                self.refusals.append(element.proto.body)

    def _complain(self) -> None:
        if self._trouble:
            trouble, self._trouble = self._trouble, ""
            raise Lost(trouble)


@asynccontextmanager
async def open_tab(
    url: str, address: str = "", cookies: Mapping[str, str] | None = None
) -> AsyncIterator[Tab]:
    """Open a tab with the server's cookies; it shows no page yet.

    Parameters
    ----------
    address : str
        Where it is, as a proxy would tell the server; empty without a proxy.
    cookies : Mapping or None
        Others than the server's, for those of these names.

    Raises
    ------
    Lost
        The server did not accept it.
    """
    forwarded = {"X-Forwarded-For": address} if address else {}
    try:
        given = await asyncio.to_thread(_cookies, url, forwarded)
        given |= cookies or {}
        socket = await connect(
            url.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=[Subprotocol("streamlit"), Subprotocol(given[TOKEN])],
            origin=Origin(url),
            additional_headers={
                "Cookie": "; ".join(f"{name}={value}" for name, value in given.items()),
                **forwarded,
            },
            max_size=None,
            open_timeout=PATIENCE_SECONDS,
        )
    except (requests.RequestException, KeyError, WebSocketException, OSError) as error:
        raise Lost(f"no connection: {error}") from None
    tab = Tab(url, socket, given, forwarded)
    listener = asyncio.create_task(tab.listen())
    try:
        yield tab
    finally:
        await socket.close()
        await listener


def _cookies(url: str, forwarded: Mapping[str, str]) -> dict[str, str]:
    """Return the cookies that a new browser gets: with the page, and when it asks for health."""
    with requests.Session() as browser:
        for path in ("/", "/_stcore/health"):
            browser.get(url + path, headers=forwarded, timeout=PATIENCE_SECONDS)
        return browser.cookies.get_dict()


def another_value(element: Element, rng: random.Random) -> Any:
    """Return a value that a visitor could set: any option, or a nearby number."""
    proto = element.proto
    if element.kind == "checkbox":
        return rng.random() < 0.5
    options = getattr(proto, "options", ())
    if options:
        chosen = rng.choice(options)
        return chosen if isinstance(chosen, str) else chosen.content
    usual = proto.default[0] if element.kind == "slider" else proto.default
    return min(proto.max, max(proto.min, usual + rng.randint(-9, 9) * proto.step))


async def _patiently(waiting: "asyncio.Future[Any]") -> Any:
    try:
        return await asyncio.wait_for(waiting, PATIENCE_SECONDS)
    except TimeoutError:
        raise Lost(f"no answer within {PATIENCE_SECONDS:g} s") from None
