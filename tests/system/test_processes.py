"""Many files in a pool of processes: when one dies, the work continues and ends."""

import pytest

CODE = """
import os, signal, sys, threading
from genrekit.system import processes

def job(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number

if __name__ == "__main__":
    {prepare}
    print(*processes.compute_in_order(job, range(6), 2, lambda: "died"))
"""
COPIES = ""
FRESH = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
AT_THEIR_START = "processes._begin = lambda: os._exit(1)"


@pytest.mark.parametrize("prepare", [COPIES, FRESH], ids=["copies", "fresh"])
def test_a_process_that_dies_costs_only_its_file(run_python, prepare):
    done = run_python("-c", CODE.format(prepare=prepare))
    assert done.stdout == "0 1 2 died 4 5\n", done.stderr


def test_processes_that_die_at_their_start_end_the_run_and_blame_no_file(run_python):
    done = run_python("-c", CODE.format(prepare=AT_THEIR_START))
    assert done.stdout == ""
    assert "GenreKitError: A worker process ended while it started" in done.stderr
    assert "died" not in done.stderr
