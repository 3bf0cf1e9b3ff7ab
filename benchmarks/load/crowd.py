"""A server under load: its response times, its errors, and its memory.

Visitors speak the protocol that browsers speak. Most look at all pages and change what can be
changed; one in five has songs classified, and one in 25 brings a dataset and trains on it. Between
two actions each thinks for a while. Others, if asked for, have a model listen to their microphone.
"""

import asyncio
import io
import random
import tempfile
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import urlencode

import numpy as np

from benchmarks.load.server import Server, running
from benchmarks.load.tab import CHANGEABLE, Lost, Tab, another_value, open_tab

PAGES = (
    "", "glossary", "mel-scale", "neuron", "backprop", "dataset", "train", "classify",
)  # fmt: skip
THINK_SECONDS = (3.0, 10.0)
ARRIVE_SECONDS = 15.0
SIMPLE_GOAL = 0.3
LIVE_GOAL = 2.0
MEMORY_GOAL = 1.1
# How long a session is kept for a visitor who may come back: shorter here than usual.
KEEP_SECONDS = 10
# Until they are forgotten, and the processes that listen have let go of their songs.
FORGET_SECONDS = 80.0
JOB_SECONDS = 120.0
SONG_SECONDS = 20
LIVE = "live: sound to bars"
# As live.js asks.
LIVE_SECONDS = 0.5
LIVE_RATE_HZ = 48_000


@dataclass
class Load:
    """The figures of a load test.

    Attributes
    ----------
    seconds : the times of each action
    lost : what happened to each action that came to nothing, and the errors in the server's log
    memory : MB of the server and its processes, before, with everybody in, and after
    processor : of one processor, what the server's own process took while everybody was in
    """

    visitors: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost: list[str] = field(default_factory=list)
    refused: int = 0
    memory: tuple[float, float, float] = (0.0, 0.0, 0.0)
    processor: float = 0.0

    def simple(self) -> list[float]:
        """Return the times of page switches and changed widgets."""
        return [
            time
            for action, times in self.seconds.items()
            if action.startswith(("go", "change"))
            for time in times
        ]

    def _live(self) -> list[str]:
        if not self.seconds[LIVE]:
            return []
        p95 = float(np.percentile(self.seconds[LIVE], 95))
        said = f"goal {LIVE_GOAL:g} s, {verdict(p95 <= LIVE_GOAL)}"
        return [f"  from sound to bars, p95: {p95:.2f} s; {said}"]

    def __str__(self) -> str:
        actions = {**dict(sorted(self.seconds.items())), "all simple actions": self.simple()}
        p95 = float(np.percentile(self.simple(), 95))
        before, within, after = self.memory
        return "\n".join(
            [
                f"{self.visitors} visitors, who think for {THINK_SECONDS[0]:g} to "
                f"{THINK_SECONDS[1]:g} s; times in ms",
                f"  {'':<26}{'count':>7}{'median':>9}{'p95':>9}{'longest':>9}",
                *(_row(action, times) for action, times in actions.items() if times),
                f"  simple actions, p95: {1000 * p95:.0f} ms; goal {1000 * SIMPLE_GOAL:g} ms, "
                + verdict(p95 <= SIMPLE_GOAL),
                *self._live(),
                f"  lost: {len(self.lost)}; goal 0, {verdict(not self.lost)}",
                f"  refused with a sentence: {self.refused}",
                f"  memory: {before:.0f} MB before, {within:.0f} MB with all in, "
                f"{(within - before) / self.visitors:.1f} MB each",
                f"  memory after they left: {after:.0f} MB, {after / before:.0%} of before; goal "
                f"{MEMORY_GOAL:.0%}, {verdict(after <= MEMORY_GOAL * before)}",
                f"  the server's own process took {self.processor:.0%} of one processor",
                *(f"  LOST {one}" for one in self.lost),
            ]
        )


def _row(action: str, times: list[float]) -> str:
    middle, high, longest = (1000 * np.percentile(times, at) for at in (50, 95, 100))
    return f"  {action:<26}{len(times):>7}{middle:>9.0f}{high:>9.0f}{longest:>9.0f}"


def verdict(reached: bool) -> str:
    """Return the words for a goal reached or missed."""
    return "reached" if reached else "missed"


def load(visitors: int = 50, stay: float = 60.0, seed: int = 0, live: int = 0) -> Load:
    """Send visitors to a fresh server; each stays until `stay` seconds after the last arrived.

    Of them, `live` listen with their microphones all the time.
    """
    measured = Load(visitors)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(
            Path(folder), STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL=str(KEEP_SECONDS)
        ) as server,
    ):
        server.wait_until_ready()
        asyncio.run(_crowd(measured, server, stay, seed, live))
        measured.lost += [f"the server's log: {line}" for line in server.errors()]
    return measured


async def _crowd(measured: Load, server: Server, stay: float, seed: int, live: int) -> None:
    await _first_visit(server)
    before = server.memory()
    visitors, arrive = measured.visitors, min(ARRIVE_SECONDS, stay / 2)
    begun, processor = perf_counter(), server.processor_seconds()
    leave = begun + arrive + stay
    crowd = [
        asyncio.create_task(
            _visit(
                measured,
                server.url,
                number,
                number * arrive / visitors,
                leave,
                seed,
                listens=number >= visitors - live,
            )
        )
        for number in range(visitors)
    ]
    await asyncio.sleep(leave - perf_counter())
    within = server.memory()
    measured.processor = (server.processor_seconds() - processor) / (perf_counter() - begun)
    await asyncio.gather(*crowd)
    measured.memory = before, within, await _memory_after(server, before)


async def _first_visit(server: Server) -> None:
    """Warm up the server: what it does once, not for each visitor."""
    async with open_tab(server.url) as tab:
        for page in PAGES * 2:
            await tab.go(page)
        await tab.upload("song.wav", _song(0))
        visitor = Visitor(tab, Load(1), perf_counter(), random.Random(0))
        await visitor.train()
    await asyncio.sleep(2)


async def _memory_after(server: Server, before: float) -> float:
    """Return the server's memory once it has had time to forget its visitors."""
    until = perf_counter() + KEEP_SECONDS + FORGET_SECONDS
    while (left := server.memory()) > MEMORY_GOAL * before and perf_counter() < until:
        await asyncio.sleep(1)
    return left


async def _visit(
    measured: Load, url: str, number: int, wait: float, leave: float, seed: int, listens: bool
) -> None:
    await asyncio.sleep(wait)
    rng = random.Random(f"{seed} {number}")
    try:
        async with open_tab(url) as tab:
            visitor = Visitor(tab, measured, leave, rng)
            if listens:
                await visitor.listen()
            elif number < max(1, measured.visitors // 25):
                await visitor.train()
            elif number % 10 == 2:
                await visitor.upload_songs()
            elif number % 10 == 7:
                await visitor.ask_for_pieces()
            await visitor.look_around()
    except Lost as error:
        measured.lost.append(f"visitor {number}: {error}")
        return
    measured.seconds["repeat by itself"] += tab.repeats
    measured.refused += len(tab.refusals)


class Visitor:
    """A visitor at a tab until `leave`; a lost action ends the visit."""

    def __init__(self, tab: Tab, measured: Load, leave: float, rng: random.Random) -> None:
        self._tab = tab
        self._seconds = measured.seconds
        self._leave = leave
        self._rng = rng

    async def look_around(self) -> None:
        """Go through all pages in some order, and change what can be changed there."""
        while not self._late():
            for page in self._rng.sample(PAGES, len(PAGES)):
                if self._late():
                    return
                await self._go(page)
                for _ in range(self._rng.randint(1, 3)):
                    # A change on the classify page may ask for another verdict.
                    widgets = [w for w in self._tab.all(*CHANGEABLE) if not w.proto.disabled]
                    if not widgets or page == "classify" or self._late():
                        break
                    widget = self._rng.choice(widgets)
                    value = another_value(widget, self._rng)
                    await self._act(f"change {page}", self._tab.change(widget, value))

    async def upload_songs(self) -> None:
        """Upload songs that nobody has sent before."""
        while not self._late():
            await self._go("classify")
            song = _song(self._rng.randrange(10**9))
            await self._act("hear an upload", self._heard(self._tab.upload("song.wav", song)))

    async def ask_for_pieces(self) -> None:
        """Ask for pieces that nobody has asked for before: each is composed and classified."""
        piece = {"source": "An example", "example": "Freshly composed", "take": self._piece()}
        link = self._tab.go("classify", urlencode(piece))
        await self._act("hear an example", self._heard(link))
        while not self._late():
            take = self._tab.one("number_input", "Take")
            another = self._tab.change(take, self._piece())
            await self._act("hear an example", self._heard(another))

    def _piece(self) -> int:
        return self._rng.randint(1, 999)

    async def listen(self) -> None:
        """Have a model listen; a time is that from the first new sound to the bars it moves."""
        await self._act("go classify", self._tab.go("classify", "source=Live"))
        music = np.frombuffer(_song(self._rng.randrange(10**9), LIVE_RATE_HZ)[44:], "<i2")
        at = 0
        begun = perf_counter()
        while not self._late():
            await asyncio.sleep(max(0.0, begun + LIVE_SECONDS - perf_counter()))
            since, begun = begun, perf_counter()
            count = round((begun - since) * LIVE_RATE_HZ)
            new = np.take(music, range(at, at + count), mode="wrap")
            at += count
            await self._tab.let_hear(new.tobytes(), LIVE_RATE_HZ)
            self._seconds[LIVE].append(perf_counter() - since)

    async def train(self) -> None:
        """Bring a dataset and train a classifier on it."""
        await self._go("train")
        await self._act("send a dataset", self._tab.upload("data.npz", _dataset()))
        await self._act("job: import", self._worked("Use this file", "2 genres"))
        epochs = self._tab.one("slider", "Epochs")
        await self._act("change train", self._tab.change(epochs, 3))
        await self._act("job: train", self._worked("Train", "Which genres get mixed up"))

    async def _go(self, page: str) -> None:
        await self._act(f"go {page or 'home'}", self._tab.go(page))

    async def _heard(self, asked: Awaitable[None]) -> None:
        await asked
        await self._tab.shows("How far to trust it", seconds=1)

    async def _worked(self, button: str, result: str) -> None:
        await self._tab.press(button)
        await self._tab.shows(result, seconds=JOB_SECONDS)

    async def _act(self, name: str, action: Awaitable[None]) -> None:
        begun = perf_counter()
        await action
        self._seconds[name].append(perf_counter() - begun)
        await asyncio.sleep(self._rng.uniform(*THINK_SECONDS))

    def _late(self) -> bool:
        return perf_counter() > self._leave


def _song(seed: int, rate: int = 22050) -> bytes:
    """Return a few chords as 16-bit WAV, different for each seed."""
    import soundfile

    rng = np.random.default_rng(seed)
    time = np.arange(SONG_SECONDS * rate) / rate
    tones = 0.1 * sum(np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(100, 2000, 5))
    file = io.BytesIO()
    soundfile.write(file, tones + rng.normal(0, 0.02, len(time)), rate, format="WAV")
    return file.getvalue()


def _dataset() -> bytes:
    """Return a small dataset as an NPZ file that the app accepts."""
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.formats import export_dataset
    from genrekit.features.extraction import FeatureParams

    params = FeatureParams()
    labels = np.arange(200) % 2
    features = np.random.default_rng(0).normal(labels[:, None, None], 1, (200, *params.shape))
    dataset = Dataset(features.astype(np.float32), labels, ("high", "low"), params)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        export_dataset(dataset, file)
        return file.read_bytes()
