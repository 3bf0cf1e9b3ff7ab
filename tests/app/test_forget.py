"""The server frees what visitors leave behind, by its own metrics."""

import asyncio
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load.server import running
from benchmarks.load.tab import open_tab

PATIENCE = 120.0


def aside(function, *arguments, **named):
    """Call a function in another thread: Playwright keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments, **named).result()


def test_what_a_visitor_brought_goes_some_time_after_him(tmp_path):
    def kept(url: str, what: str) -> float:
        with urllib.request.urlopen(f"{url}/_stcore/metrics") as answer:
            found = re.findall(
                rf"^cache_memory_bytes.*{what}\S* (\d+)$", answer.read().decode(), re.M
            )
        return sum(map(float, found))

    async def visit(url: str) -> tuple[float, float]:
        async with open_tab(url) as tab:
            await tab.go("")
            await tab.go("train")
            await tab.upload("data.npz", bytes(100_000))
            until = time.monotonic() + PATIENCE
            while not kept(url, "questions._value"):  # the home page's verdict, on its way
                assert time.monotonic() < until, "the home page has no verdict"
                await asyncio.sleep(0.1)
            return kept(url, "UploadedFile"), kept(url, "st_cache_data")

    with running(tmp_path, STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL="1") as server:
        uploaded, shared = aside(lambda: asyncio.run(visit(server.url)))
        assert uploaded >= 100_000
        assert shared > 0
        until = time.monotonic() + PATIENCE
        while kept(server.url, "UploadedFile") or kept(server.url, "st_cache_data"):
            assert time.monotonic() < until, "nobody else left, and it is still there"
            time.sleep(0.2)
