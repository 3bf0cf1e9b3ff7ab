"""Attacks by whoever claims to be many visitors."""

import asyncio
import secrets
from collections.abc import Callable

from benchmarks.load.tab import Lost, open_tab
from benchmarks.siege.attack import Attack, Broke, Target
from genrekit.app.settings import Settings

COOKIE = "genrekit_visitor"
CLAIMED = 30
PUBLIC = Settings.from_environment({"GENREKIT_MODE": "public"})
# An address may fill half of the queue.
OF_ADDRESS = PUBLIC.jobs_at_once + PUBLIC.jobs_waiting // 2


async def _start_jobs(target: Target, cookie: Callable[[], dict[str, str]]) -> int:
    """Have many visitors of one address each start a job; return how many were taken at once."""
    address = target.address()
    all_there = asyncio.Barrier(CLAIMED)
    taken = 0

    async def start() -> None:
        nonlocal taken
        async with open_tab(target.url, address, cookie()) as tab:
            await tab.go("dataset")
            await all_there.wait()
            await tab.press("Prepare the dataset")
            if not tab.refusals:
                taken += 1
                await tab.press("Cancel")

    results = await asyncio.gather(*(start() for _ in range(CLAIMED)), return_exceptions=True)
    others = [one for one in results if isinstance(one, Exception) and not isinstance(one, Lost)]
    if others:
        raise others[0]
    return taken


async def _invented(target: Target) -> None:
    def invent() -> dict[str, str]:
        return {COOKIE: f"1.{secrets.token_urlsafe(16)}.{secrets.token_hex(11)}"}

    taken = await _start_jobs(target, invent)
    if taken > PUBLIC.jobs_per_visitor:
        raise Broke(f"{taken} jobs with invented cookies, and {PUBLIC.jobs_per_visitor} for one")


async def _thrown_away(target: Target) -> None:
    taken = await _start_jobs(target, dict)
    if taken > OF_ADDRESS:
        raise Broke(f"{taken} jobs of one address, and {OF_ADDRESS} are its share")


ATTACKS = (
    Attack("jobs with invented cookies", f"{CLAIMED} tabs of one address", _invented, 20.0),
    Attack("jobs with a new cookie each", f"{CLAIMED} tabs of one address", _thrown_away, 20.0),
)
