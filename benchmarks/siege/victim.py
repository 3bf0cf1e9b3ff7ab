"""The visitor beside an attack: opens pages, asks for verdicts, and notes what came to nothing."""

import asyncio
import itertools
from dataclasses import dataclass, field
from time import perf_counter
from urllib.parse import urlencode

import numpy as np

from benchmarks.load.crowd import PAGES
from benchmarks.load.tab import Lost, Tab, open_tab

PAGE_GOAL = 1.0
VERDICT_GOAL = 10.0
ADDRESS = "192.0.2.1"
_THINK_SECONDS = 0.3
_CLASSIFY = "classify"
_takes = itertools.count(1)


@dataclass
class Felt:
    """What the victim felt: seconds of each page and of each verdict, and what was lost."""

    pages: list[float] = field(default_factory=list)
    verdicts: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def page_p95(self) -> float:
        return float(np.percentile(self.pages, 95)) if self.pages else np.inf

    @property
    def verdict(self) -> float:
        """The longest one."""
        return max(self.verdicts, default=np.inf)

    @property
    def well(self) -> bool:
        return not self.lost and self.page_p95 <= PAGE_GOAL and self.verdict <= VERDICT_GOAL


class Victim:
    """A visitor with a tab that stays open during all attacks, and new ones."""

    def __init__(self, url: str, tab: Tab) -> None:
        self._url = url
        self._tab = tab

    async def beside(self, attack: "asyncio.Future[str]", after: float) -> Felt:
        """Visit until an attack has been over for `after` seconds."""
        felt = Felt()
        over = asyncio.create_task(_over(attack, after))
        visits = (self._pages(felt, over), self._verdicts(felt, over), self._keep(felt, over))
        await asyncio.gather(*visits)
        return felt

    async def _pages(self, felt: Felt, over: "asyncio.Task[None]") -> None:
        names = itertools.cycle(page for page in PAGES if page != _CLASSIFY)
        while not over.done():
            begun = perf_counter()
            try:
                async with open_tab(self._url, ADDRESS) as tab:
                    await tab.go(next(names))
                    felt.pages.append(perf_counter() - begun)
            except Lost as error:
                felt.lost.append(f"a page: {error}")
            await asyncio.sleep(_THINK_SECONDS)

    async def _verdicts(self, felt: Felt, over: "asyncio.Task[None]") -> None:
        while not felt.verdicts or not over.done():
            piece = {"source": "An example", "example": "Freshly composed", "take": next(_takes)}
            begun = perf_counter()
            try:
                async with open_tab(self._url, ADDRESS) as tab:
                    await tab.go(_CLASSIFY, urlencode(piece))
                    await tab.shows("How far to trust it", seconds=1)
                    felt.verdicts.append(perf_counter() - begun)
            except Lost as error:
                felt.lost.append(f"a verdict: {error}")
            if felt.lost and over.done():
                return
            await asyncio.sleep(_THINK_SECONDS)

    async def _keep(self, felt: Felt, over: "asyncio.Task[None]") -> None:
        """Stay at a tab, and see at the end that nothing was taken from it."""
        await over
        try:
            await self._tab.go("train")
            if not any(widget.kind == "file_uploader" for widget in self._tab.all("file_uploader")):
                felt.lost.append("the tab that stays open has lost its page")
        except Lost as error:
            felt.lost.append(f"the tab that stays open: {error}")


async def _over(attack: "asyncio.Future[str]", after: float) -> None:
    await asyncio.wait([attack])
    await asyncio.sleep(after)
