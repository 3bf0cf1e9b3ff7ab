"""Attacks by whoever claims to be many visitors."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from benchmarks.load.tab import Lost, open_tab
from benchmarks.siege.attack import Attack, Broke, Target
from genrekit.app.settings import Settings

COOKIE = "genrekit_visitor"
CLAIMED = 20
PUBLIC = Settings.from_environment({"GENREKIT_MODE": "public"})
# While the others ask, so many may have ended, for which as many more are taken.
ENDED = 2
# An address may fill half of the queue.
OF_ADDRESS = PUBLIC.jobs_at_once + PUBLIC.jobs_waiting // 2


async def _start_jobs(target: Target, cookie: Callable[[], dict[str, str]]) -> int:
    """Have many visitors of one address start a job each at once; return how many were taken."""
    address = target.address()
    async with AsyncExitStack() as browsers:
        tabs = [
            await browsers.enter_async_context(open_tab(target.url, address, cookie()))
            for _ in range(CLAIMED)
        ]
        await asyncio.gather(*(tab.go("dataset") for tab in tabs))
        await asyncio.gather(*(tab.press("Make the demo dataset") for tab in tabs))
        taken = [tab for tab in tabs if not tab.refusals]
        for tab in taken:
            with suppress(Lost):  # it has ended
                await tab.press("Cancel")
    return len(taken)


async def _invented(target: Target) -> None:
    def invent() -> dict[str, str]:
        return {COOKIE: f"1.{secrets.token_urlsafe(16)}.{secrets.token_hex(11)}"}

    taken = await _start_jobs(target, invent)
    if taken > PUBLIC.jobs_per_visitor + ENDED:
        raise Broke(f"{taken} jobs with invented cookies, and {PUBLIC.jobs_per_visitor} for one")


async def _thrown_away(target: Target) -> None:
    taken = await _start_jobs(target, dict)
    if taken > OF_ADDRESS + ENDED:
        raise Broke(f"{taken} jobs of one address, and {OF_ADDRESS} are its share")


ATTACKS = (
    Attack("jobs with invented cookies", f"{CLAIMED} tabs of one address", _invented, 20.0),
    Attack("jobs with a new cookie each", f"{CLAIMED} tabs of one address", _thrown_away, 20.0),
)
