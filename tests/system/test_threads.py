"""The number of threads that a command computes in."""

import json
import os

import pytest

from genrekit.errors import SettingsError
from genrekit.system.threads import MAX_THREADS, computing_in, variables

# Stands in for a command: what its libraries would compute in, and those loaded in it.
LOOK = """
import json, os, sys
from genrekit.cli import commands
from genrekit.cli.main import main

def look(options):
    from threadpoolctl import threadpool_info
    import torch
    found = {"policy": os.environ.get("OMP_WAIT_POLICY"), "torch": torch.get_num_threads()}
    found["numpy"] = max(pool["num_threads"] for pool in threadpool_info())
    print(json.dumps(found))
    return 0

commands.classify = commands.train = commands.evaluate = commands.leak_meter = look
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("arguments", "said", "threads"),
    [
        ("classify a.wav", None, 1),
        ("classify a.wav --threads 2", None, 2),
        ("classify a.wav", "2", 2),
        ("classify a.wav --threads 1", "2", 1),
        ("train a.parquet -o b --threads 2", "1", 2),
        ("train a.parquet -o b", "2", 2),
    ],
)
def test_a_command_computes_in_as_many_threads_as_are_asked_for(
    arguments, said, threads, run_python, monkeypatch
):
    for name in variables(1):
        monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    done = run_python("-c", LOOK, *arguments.split())
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Libraries take no more than there are processors.
    assert found["torch"] in {threads, min(threads, os.cpu_count() or 1)}
    assert found["policy"] == "PASSIVE"
    if "--threads" in arguments:  # NumPy was loaded before
        assert found["numpy"] <= threads


def test_a_number_out_of_range_is_refused(capsys):
    from genrekit.cli.main import main

    for number in (0, -1, MAX_THREADS + 1):
        with pytest.raises(SettingsError, match=f"threads is {number}: use a whole number"):
            computing_in(number).__enter__()
        assert main(["classify", "a.wav", "--threads", str(number)]) == 2
        assert "use a whole number from 1 to 1024" in capsys.readouterr().err


def test_the_environment_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    before = {name: os.environ.get(name) for name in variables(1)}
    for threads, usual in ((None, None), (None, 1), (2, None), (2, 1)):
        with computing_in(threads, usual):
            assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
            assert os.environ["OMP_NUM_THREADS"] == ("5" if threads is None else "2")
        assert {name: os.environ.get(name) for name in before} == before


def test_an_explicit_wait_policy_is_kept(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    with computing_in(None):
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
