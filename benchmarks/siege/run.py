"""The siege: attack after attack on a fresh public server, and a victim beside each."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from benchmarks.load.crowd import PAGES, verdict
from benchmarks.load.server import Server, running
from benchmarks.load.tab import open_tab
from benchmarks.siege.attack import Attack, Broke, Target
from benchmarks.siege.attacks import ATTACKS
from benchmarks.siege.processes import make_files
from benchmarks.siege.victim import ADDRESS, PAGE_GOAL, VERDICT_GOAL, Felt, Victim
from benchmarks.speed.compare import ROOT
from genrekit.isolation.confine import die_with
from genrekit.music.compiled import kept
from genrekit.system.portable import nice

# Strangers have machines of their own: here they take what the server leaves.
ATTACKERS_NICE = 10
# Some floods keep a server busy when their senders are gone.
AFTER_SECONDS = 2.0
# Until an attack has to have ended.
LATE_SECONDS = 30.0
STEADY_SECONDS = 5
MEMORY_SECONDS = 60.0
MEMORY_GOAL = 1.1


@dataclass(frozen=True)
class Held:
    """What became of an attack: how it broke the server, if it did, and what the victim felt."""

    attack: Attack
    broke: str
    felt: Felt
    seconds: float

    @property
    def well(self) -> bool:
        return not self.broke and self.felt.well

    def __str__(self) -> str:
        felt = self.felt
        lines = [
            f"  {'held' if self.well else 'BROKE':<6}{self.attack.name:<44}"
            f"{felt.page_p95:>7.2f} s{felt.verdict:>7.2f} s{len(felt.lost):>6}"
        ]
        if self.broke:
            lines.append(f"        {self.broke}")
        lines += [f"        lost: {one}" for one in felt.lost]
        return "\n".join(lines)


@dataclass
class Siege:
    """The results of all attacks, and the memory in MB before and a minute after."""

    results: list[Held] = field(default_factory=list)
    memory: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return all(one.well for one in self.results) and self.memory_back

    @property
    def memory_back(self) -> bool:
        before, after = self.memory
        return after <= MEMORY_GOAL * before

    def __str__(self) -> str:
        before, after = self.memory
        held = sum(one.well for one in self.results)
        return "\n".join(
            (
                f"{held} of {len(self.results)} attacks held, in {self.seconds:.0f} s; goals: "
                f"pages {PAGE_GOAL:g} s, verdicts {VERDICT_GOAL:g} s, nothing lost",
                f"memory: {before:.0f} MB before, {after:.0f} MB {MEMORY_SECONDS:g} s after, "
                f"{after / before:.0%}; goal {MEMORY_GOAL:.0%}, {verdict(self.memory_back)}",
            )
        )


def siege(attacks: Sequence[Attack]) -> Siege:
    """Attack a fresh server, which only this machine can reach."""
    begun = perf_counter()
    if not kept().exists():  # else the server would, and its memory be more at first than later
        subprocess.run([sys.executable, "-m", "genrekit.music.compiled"], cwd=ROOT, check=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), GENREKIT_MODE="public", GENREKIT_TRUSTED_PROXIES="1") as server,
        ProcessPoolExecutor(1, get_context("spawn")) as attackers,
    ):
        attackers.submit(_get_ready, os.getpid()).result()
        server.wait_until_ready()
        result = asyncio.run(_siege(server, attacks, attackers))
    result.seconds = perf_counter() - begun
    return result


async def _siege(
    server: Server, attacks: Sequence[Attack], attackers: ProcessPoolExecutor
) -> Siege:
    result = Siege()
    await _first_visit(server.url)
    before = await _steady_memory(server)
    heading = f"  {'':<50}{'page p95':>9}{'verdict':>9}{'lost':>6}"
    print(heading, flush=True)
    async with open_tab(server.url, ADDRESS) as tab:
        await tab.go("")
        victim = Victim(server.url, tab)
        for attack in attacks:
            begun = perf_counter()
            loop = asyncio.get_running_loop()
            attacking = loop.run_in_executor(attackers, _attack, attack.name, server.url)
            felt = await victim.beside(attacking, AFTER_SECONDS)
            result.results.append(Held(attack, await attacking, felt, perf_counter() - begun))
            print(result.results[-1], flush=True)
    await asyncio.sleep(MEMORY_SECONDS)
    result.memory = before, server.memory()
    return result


async def _steady_memory(server: Server) -> float:
    """Return the server's memory once the last of its processes has been started."""
    memory = [server.memory()]
    while len(memory) <= STEADY_SECONDS or memory[-1] > 1.01 * memory[-1 - STEADY_SECONDS]:
        await asyncio.sleep(1)
        memory.append(server.memory())
    return memory[-1]


async def _first_visit(url: str) -> None:
    """Have the server load what it loads once."""
    async with open_tab(url, ADDRESS) as tab:
        for page in PAGES * 2:
            await tab.go(page)
        await tab.go("classify", "source=An+example&example=Freshly+composed&take=999")
        await tab.shows("How far to trust it", seconds=30)


def _get_ready(parent: int) -> None:
    """Make the attackers' files, then have their process give way, and end with this one."""
    make_files()
    os.setsid()  # niceness counts among sessions, where Linux divides time among them first
    nice(ATTACKERS_NICE)
    die_with(parent)


def _attack(name: str, url: str) -> str:
    """Attack, in a process of its own; return how that broke the server, if it did."""
    attack = next(one for one in ATTACKS if one.name == name)
    try:
        asyncio.run(_bounded(attack, Target(url, attack.seconds)))
    except Broke as broke:
        return str(broke)
    return ""


async def _bounded(attack: Attack, target: Target) -> None:
    try:
        async with asyncio.timeout(attack.seconds + LATE_SECONDS):
            await attack.run(target)
    except TimeoutError:
        raise Broke("the attack did not end") from None
