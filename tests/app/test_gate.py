"""What reaches Streamlit over the websocket: what pages send, at a rate, and nothing else."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from genrekit.app.host import gate, memory, messages
from genrekit.app.host.gate import Gate
from genrekit.app.host.messages import MOST_BYTES, NotAllowed
from genrekit.app.host.slots import Slot, Slots
from genrekit.app.rates import Allowance, Allowances

COOKIE = "2|7f9314b7|c1db664bfd08703fc68136a6d7e0f070|1795351070"
OTHER = "2|68c59fba|d68ded46ea5efb32d1d7bdabc0b67b7e|1795351070"


def run(coroutine):
    """Run in a thread: where browser tests run too, this one has an event loop already."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(asyncio.run, asyncio.wait_for(coroutine, 20)).result()


def asked(**fields) -> bytes:
    return BackMsg(**fields).SerializeToString()


def rerun() -> BackMsg:
    message = BackMsg()
    message.rerun_script.page_name = "x"
    return message


def names(count: int) -> bytes:
    message = BackMsg()
    message.file_urls_request.file_names.extend(["a"] * count)
    return message.SerializeToString()


def ended(how=ForwardMsg.FINISHED_SUCCESSFULLY) -> dict:
    told = ForwardMsg(script_finished=how)
    return {"type": "websocket.send", "bytes": told.SerializeToString()}


# -- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"clear_cache": True},
        {"set_run_on_save": True},
        {"load_git_info": True},
        {"debug_disconnect_websocket": True},
        {"debug_shutdown_runtime": True},
        {"backend_operation_request": {"request_id": "x"}},
        {"backend_operation_request": {"install_skills": {}}},
        {"backend_operation_request": {"dataframe_chunk": {"limit": 10}}},
        {},
    ],
    ids=str,
)
def test_what_no_page_sends_is_refused(fields):
    with pytest.raises(NotAllowed) as refused:
        messages.read(asked(**fields))
    assert refused.value.close is None, "it is enough to ignore it"


def test_each_kind_of_message_that_streamlit_knows_was_decided_upon():
    kinds = {one.name for one in BackMsg.DESCRIPTOR.oneofs_by_name["type"].fields}
    refused = {  # of operations, all but downloads
        "clear_cache", "set_run_on_save", "load_git_info", "debug_disconnect_websocket",
        "debug_shutdown_runtime", "backend_operation_request",
    }  # fmt: skip
    allowed = {"rerun_script", "stop_script", "file_urls_request", "app_heartbeat"}
    operations = BackMsg.DESCRIPTOR.fields_by_name["backend_operation_request"].message_type
    payloads = {one.name for one in operations.oneofs_by_name["payload"].fields}
    assert payloads == {
        "deferred_file",
        "install_skills",
        "dismiss_skills_nudge",
        "dataframe_chunk",
    }
    assert kinds == refused | allowed, "decide in messages.py whether pages need the new ones"


def test_what_pages_send_is_allowed():
    assert messages.read(rerun().SerializeToString()).reruns
    assert not messages.read(asked(stop_script=True)).reruns
    assert not messages.read(asked(app_heartbeat=True)).reruns
    download = messages.read(asked(backend_operation_request={"deferred_file": {"file_id": "x"}}))
    assert download.cost > 10
    assert messages.read(names(1)).cost < 2
    assert messages.read(names(5000)).cost > 20, "the more files, the more it costs"


def many_widgets() -> bytes:
    message = rerun()
    for number in range(501):
        message.rerun_script.widget_states.widgets.add(id=str(number))
    return message.SerializeToString()


def many_kept() -> bytes:
    message = rerun()
    message.rerun_script.cached_message_hashes.extend(["x"] * 2001)
    return message.SerializeToString()


def many_uploaded() -> bytes:
    message = rerun()
    widget = message.rerun_script.widget_states.widgets.add(id="x")
    for _ in range(5001):
        widget.file_uploader_state_value.uploaded_file_info.add(file_id="x")
    return message.SerializeToString()


def long_address() -> bytes:
    message = rerun()
    message.rerun_script.query_string = "x" * 20_001
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("data", "close"),
    [
        (None, 1003),
        (b"x" * (MOST_BYTES + 1), 1009),
        (b"\xff\xff\xff", 1002),
        (names(5001), 1008),
        (many_widgets(), 1008),
        (many_kept(), 1008),
        (many_uploaded(), 1008),
        (long_address(), 1008),
    ],
    ids=["text", "size", "junk", "names", "widgets", "hashes", "uploads", "address"],
)
def test_what_would_stall_the_server_closes_the_websocket(data, close):
    with pytest.raises(NotAllowed) as refused:
        messages.read(data)
    assert refused.value.close == close


def test_a_folder_of_as_many_files_as_pages_take_can_be_named():
    message = rerun()
    widget = message.rerun_script.widget_states.widgets.add(id="x")
    for _ in range(5000):
        info = widget.file_uploader_state_value.uploaded_file_info.add(
            file_id="x" * 36, name="genre/a song with a name of usual length.mp3", size=5_000_000
        )
        info.file_urls.file_id = "x" * 36
        info.file_urls.upload_url = info.file_urls.delete_url = "/_stcore/upload_file/" + "x" * 73
    data = message.SerializeToString()
    assert 1_000_000 < len(data) < MOST_BYTES
    assert messages.read(data).reruns


# -- the gate -----------------------------------------------------------------------------------


class Client:
    """A client that sends messages at once and leaves when the last was read, and Streamlit behind
    the gate, which reads them all."""

    LAST = BackMsg(stop_script=True).SerializeToString()

    def __init__(self, *data, cookie=COOKIE, session="", peer="192.0.2.1") -> None:
        self.read: list[dict] = []
        self.sent: list[dict] = []
        self.scope = {}
        self._data = [
            {"type": "websocket.receive", **self._frame(one)} for one in (*data, self.LAST)
        ]
        self.leaves = asyncio.Event()
        offered = ", ".join(("streamlit", cookie, session) if session else ("streamlit", cookie))
        self._scope = {
            "type": "websocket",
            "path": "/_stcore/stream",
            "client": (peer, 1),
            "headers": [
                (b"cookie", f"_streamlit_xsrf={cookie}".encode()),
                (b"sec-websocket-protocol", offered.encode()),
            ],
        }

    @staticmethod
    def _frame(one) -> dict:
        return {"text": one} if isinstance(one, str) else {"bytes": one}

    async def streamlit(self, scope, receive, send) -> None:
        self.scope = scope
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message["bytes"] == self.LAST:
                self.leaves.set()
                continue
            self.read.append(message["bytes"])
            await send(ended())

    async def receive(self) -> dict:
        if self._data:
            return self._data.pop(0)
        await self.leaves.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(self, message) -> None:
        self.sent.append(message)

    async def through(self, the_gate) -> "Client":
        await the_gate(self._scope, self.receive, self.send)
        return self

    def closed(self) -> int | None:
        codes = [one["code"] for one in self.sent if one["type"] == "websocket.close"]
        return codes[0] if codes else None


def passed(client: Client) -> Client:
    """Let a client through a gate of its own."""

    async def pass_it() -> Client:
        return await client.through(Gate(client.streamlit))

    return run(pass_it())


def test_streamlit_is_not_told_to_clear_the_caches():
    page = rerun().SerializeToString()
    client = passed(Client(asked(clear_cache=True), page, asked(clear_cache=True)))
    assert client.read == [page]
    assert client.closed() is None


def test_streamlit_is_not_given_too_many_names():
    client = passed(Client(names(200_000), rerun().SerializeToString()))
    assert client.read == []
    assert client.closed() == 1008


def test_text_closes_the_websocket_and_nothing_is_sent_afterwards():
    client = passed(Client("text"))
    assert client.closed() == 1003
    assert client.sent == [{"type": "websocket.close", "code": 1003}]


def test_a_flood_is_slowed_down_and_then_cut_off(monkeypatch):
    monkeypatch.setattr(gate, "OF_CONNECTION", (200.0, 10.0))
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.3)
    begun = monotonic()
    client = passed(Client(*[asked(app_heartbeat=True)] * 1000))
    assert client.closed() == 1008
    assert 10 < len(client.read) <= 10 + 200 * (monotonic() - begun)


def test_a_folder_of_many_files_takes_a_while_and_is_not_taken_for_a_flood(monkeypatch):
    """What names its files costs more than can be saved up, and comes minutes after the last."""
    monkeypatch.setattr(gate, "OF_CONNECTION", (30.0, 10.0))
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.2)

    async def drop_folders() -> Client:
        client, inbox = Client(), asyncio.Queue()
        task = asyncio.create_task(Gate(client.streamlit)(client._scope, inbox.get, client.send))
        for pause in (0.3, 1.5):
            await asyncio.sleep(pause)
            inbox.put_nowait({"type": "websocket.receive", "bytes": names(5000)})
        inbox.put_nowait({"type": "websocket.receive", "bytes": asked(app_heartbeat=True)})
        while len(client.read) < 3 and client.closed() is None:
            await asyncio.sleep(0.01)
        inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await task
        return client

    client = run(drop_folders())
    assert client.closed() is None
    assert len(client.read) == 3


def test_a_flood_that_the_server_cannot_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr(gate, "OF_CONNECTION", (1e6, 1e6))
    monkeypatch.setattr(gate, "OF_ADDRESS", (1e6, 1e6))
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.2)
    client = Client(*[asked(app_heartbeat=True)] * 10_000)

    async def slow(scope, receive, send):
        while (await receive())["type"] != "websocket.disconnect":
            client.read.append({})
            await asyncio.sleep(0.01)

    run(client.through(Gate(slow)))
    assert client.closed() == 1008
    assert len(client.read) < 1000


@pytest.mark.parametrize("waiting_for", ["rate", "slot", "entry"])
def test_what_was_sent_by_somebody_who_has_gone_is_not_answered(monkeypatch, waiting_for):
    if waiting_for == "rate":
        monkeypatch.setattr(gate, "OF_CONNECTION", (0.01, 5.0))
    client = Client(*[rerun().SerializeToString()] * 100)

    async def app(scope, receive, send):
        while (message := await receive())["type"] != "websocket.disconnect":
            client.read.append(message)
            if waiting_for == "rate":
                await send(ended())

    async def leave() -> int:
        the_gate = Gate(app)
        slots = the_gate._slots
        monkeypatch.setattr(slots, "_look", lambda: None)
        free = slots._free
        others = [Slot(lambda: 1.0) for _ in range(free)]
        if waiting_for == "entry":
            for other in others:
                await slots.take(other)
        inside = asyncio.create_task(client.through(the_gate))
        await asyncio.sleep(0.5)
        client.leaves.set()  # it leaves, although most was not read
        await asyncio.wait_for(inside, 1)
        await asyncio.sleep(0)
        for other in others:
            slots.release(other)
        assert not slots._waiting
        assert slots._free == free
        return len(client.read)

    assert run(leave()) <= {"rate": 5, "slot": 10, "entry": 0}[waiting_for]


def test_a_visitor_who_holds_down_a_key_is_neither_slowed_down_nor_cut_off():
    allowance, waited = Allowance(*gate.OF_CONNECTION), []
    for _ in range(300):  # a minute of a slider that sends 5 messages a second
        allowance.at -= 0.2
        waited.append(allowance.take(1.0))
    assert max(waited) == 0


def test_an_address_has_a_number_of_connections(monkeypatch):
    monkeypatch.setattr(gate, "MOST_OF_ADDRESS", 2)

    async def try_all() -> tuple[list[int | None], list[int | None]]:
        inside = asyncio.Event()

        async def app(scope, receive, send):
            await inside.wait()

        the_gate = Gate(app)
        first = [Client() for _ in range(2)]
        staying = [asyncio.create_task(one.through(the_gate)) for one in first]
        await asyncio.sleep(0.01)
        third, other = Client(), Client(peer="192.0.2.2")
        await third.through(the_gate)
        staying.append(asyncio.create_task(other.through(the_gate)))
        await asyncio.sleep(0.01)
        inside.set()
        await asyncio.gather(*staying)
        later = Client()
        await later.through(the_gate)
        return [one.closed() for one in (*first, other, later)], [third.closed()]

    let_in, refused = run(try_all())
    assert let_in == [None] * 4
    assert refused == [1013]


def test_a_session_is_given_back_to_its_own_browser_only(monkeypatch):
    from genrekit.app import session

    ours = session.browser({"_streamlit_xsrf": COOKIE})
    monkeypatch.setattr(memory, "_browsers", {"my-session": ours, "nobodys": None})

    def offered(**who) -> str:
        headers = dict(passed(Client(**who)).scope["headers"])
        return headers[b"sec-websocket-protocol"].decode()

    assert offered(session="my-session") == f"streamlit, {COOKIE}, my-session"
    assert offered(session="my-session", cookie=OTHER) == f"streamlit, {OTHER}"
    assert offered(session="my-session", cookie="") == "streamlit, "
    assert offered(session="nobodys") == f"streamlit, {COOKIE}"
    assert offered(session="unknown") == f"streamlit, {COOKIE}"


# -- slots --------------------------------------------------------------------------------------


def test_whoever_sees_no_page_yet_comes_before_whoever_has_one(monkeypatch):
    merits, take = [], Slots.take

    async def note(slots: Slots, slot: Slot) -> None:
        merits.append(slot.merit())
        await take(slots, slot)

    monkeypatch.setattr(Slots, "take", note)
    page = rerun().SerializeToString()
    passed(Client(page, page))
    connecting, first, second = merits
    assert connecting > 1 < first
    assert second < 1


def test_who_has_asked_for_least_is_next():
    async def order() -> list[str]:
        slots, came = Slots(1), []
        first = Slot(lambda: 0.0)
        await slots.take(first)

        async def wait(name: str, merit: float) -> None:
            slot = Slot(lambda: merit)
            await slots.take(slot)
            came.append(name)
            slots.release(slot)

        tasks = [
            asyncio.create_task(wait(name, merit))
            for name, merit in (("flood", -3.0), ("visitor", 1.0), ("hasty", 0.5))
        ]
        await asyncio.sleep(0)
        slots.release(first)
        await asyncio.gather(*tasks)
        return came

    assert run(order()) == ["visitor", "hasty", "flood"]


def test_nobody_waits_for_ever(monkeypatch):
    from genrekit.app.host import slots as module

    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(Slots, "_look_later", lambda self: None)

    async def turns() -> int:
        slots, holder, late = Slots(1), Slot(lambda: 1.0), Slot(lambda: 0.95)
        await slots.take(holder)
        waiting = asyncio.create_task(slots.take(late))
        await asyncio.sleep(0)
        for turn in range(100):  # as many come as leave, each with more merit
            now[0] += 0.1
            other = Slot(lambda: 1.0)
            coming = asyncio.create_task(slots.take(other))
            await asyncio.sleep(0)
            slots.release(holder)
            await asyncio.sleep(0)
            if waiting.done():
                coming.cancel()
                return turn
            await coming
            holder = other
        return 100

    assert 1 <= run(turns()) < 10


def test_runs_that_leave_the_processor_idle_keep_nobody_waiting():
    async def seconds() -> float:
        slots = Slots(1)
        await slots.take(Slot(lambda: 1.0))
        begun = asyncio.get_running_loop().time()
        await slots.take(Slot(lambda: 1.0))
        return asyncio.get_running_loop().time() - begun

    assert run(seconds()) < 1


def test_a_busy_processor_lets_no_more_runs_begin(monkeypatch):
    from genrekit.app.host import slots as module

    monkeypatch.setattr(module, "process_time", module.monotonic)

    async def begins() -> bool:
        slots, first = Slots(1), Slot(lambda: 1.0)
        await slots.take(first)
        second = asyncio.create_task(slots.take(Slot(lambda: 1.0)))
        await asyncio.sleep(0.2)
        early = second.done()
        slots.release(first)
        await second
        return early

    assert not run(begins())


def test_whoever_leaves_while_waiting_takes_no_slot():
    async def take_again() -> None:
        slots, first, second = Slots(1), Slot(lambda: 1.0), Slot(lambda: 1.0)
        await slots.take(first)
        waiting = asyncio.create_task(slots.take(second))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        slots.release(first)
        await asyncio.wait_for(slots.take(Slot(lambda: 1.0)), 1)

    run(take_again())


def test_a_run_ends_when_streamlit_says_so():
    async def held() -> list[bool]:
        found = []

        async def app(scope, receive, send):
            await receive()
            found.append(the_gate._slots._free)
            await send(ended(ForwardMsg.FINISHED_EARLY_FOR_RERUN))
            found.append(the_gate._slots._free)
            await send(ended())
            found.append(the_gate._slots._free)

        the_gate = Gate(app)
        await Client(rerun().SerializeToString()).through(the_gate)
        return found

    taken, interrupted, free = run(held())
    assert taken == interrupted == free - 1


def test_a_connection_has_a_slot_until_it_is_accepted():
    async def free() -> list[int]:
        found = []

        async def app(scope, receive, send):
            found.append(the_gate._slots._free)
            await send({"type": "websocket.accept"})
            found.append(the_gate._slots._free)

        the_gate = Gate(app)
        found.append(the_gate._slots._free)
        await Client().through(the_gate)
        return found

    before, connecting, accepted = run(free())
    assert connecting == before - 1
    assert accepted == before


# -- rates --------------------------------------------------------------------------------------


def test_an_allowance_runs_into_debt_and_fills_up_again():
    allowance = Allowance(10.0, 5.0)
    assert allowance.take(5.0) == 0
    assert allowance.take(1.0) == pytest.approx(0.1, abs=0.01)
    allowance.at -= 100.0
    assert allowance.share() == 1.0
    assert allowance.take(5.0) == 0


def test_addresses_that_are_gone_are_forgotten(monkeypatch):
    allowances = Allowances(10.0, 5.0)
    for number in range(100):
        allowances.take(str(number), 0.0)
    allowances.take("busy", 1000.0)
    allowances._tidied -= 60.0
    allowances.take("another", 1.0)
    assert set(allowances._of) == {"busy", "another"}
