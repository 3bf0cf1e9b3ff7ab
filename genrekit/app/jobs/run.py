"""The process of a job: `python -m genrekit.app.jobs.run FOLDER WALLS`, started by `process.py`.

It puts up its walls (`walls.py`) and runs the job's commands one after another in its folder.
Standard output gets their events and, after the last command, an "exit" event with the highest
status.
"""

import _thread
import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

from genrekit.app.jobs.job import STARTED, STOP_EARLY, STOPPED, read_job
from genrekit.app.jobs.walls import Walls
from genrekit.app.logs import places
from genrekit.cli.main import main as genrekit
from genrekit.system.files import write_whole
from genrekit.system.portable import POSIX, kill_group

DEFECT: Final = 3
_LOOK_SECONDS: Final = 0.2


def main(folder: str, limits: str) -> int:
    job = read_job(Path(folder))
    assert job is not None  # the server has just read it
    os.chdir(folder)
    if not Path(STARTED).exists():  # the server was killed before it wrote this
        write_whole(Path(STARTED), str(os.getpid()))
    walls = Walls.from_text(limits)
    walls.put_up(Path.cwd())
    threading.Thread(target=_obey, args=(Path.cwd(),), name="obey", daemon=True).start()
    finished = Path("finished")  # the number of commands that a resumed job skips
    first = int(finished.read_text()) if finished.exists() else 0
    worst = 0
    for number, command in enumerate(job.commands[first:], start=first):
        _emit({"type": "step", "step": number, "of": len(job.commands), "name": command[0]})
        try:
            status = genrekit(walls.fitted(command))
        except SystemExit as end:  # argparse refuses the options
            status = end.code if isinstance(end.code, int) else 2
        except Exception as error:
            status = _fail(error)
        worst = max(worst, status)
        if status > 1:
            break
        write_whole(finished, str(number + 1))
    _emit({"type": "exit", "status": worst})
    return worst


def _obey(folder: Path) -> None:
    """Stop when a file asks for it, perhaps from another machine, or the folder is removed."""
    asked = False  # who asks twice wants no less: a second interrupt would end the command
    while folder.exists() and not (folder / STOPPED).exists():
        if not asked and (folder / STOP_EARLY).exists():
            asked = True
            _thread.interrupt_main()  # raise_signal() would need a forbidden system call
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(PermissionError):  # then it has started no others
        kill_group(os.getpgrp() if POSIX else os.getpid())
    os._exit(1)


def _fail(error: Exception) -> int:
    """Report a bug: in a sentence to the visitor, and by its place to the job's log."""
    message = "Something went wrong on our side, and your input was not the cause."
    _emit({"type": "error", "message": message})
    print(f"{type(error).__name__} at {', '.join(places(error))}", file=sys.stderr)
    return DEFECT


def _emit(event: dict[str, object]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
