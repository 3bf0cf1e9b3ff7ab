"""The process of a job: runs its commands one after another, in its folder.

`python -m genrekit.app.run_job FOLDER`, started by `genrekit.app.jobs`. Standard output gets
the commands' events, and after the last command an "exit" event with its status.
"""

import json
import os
import sys
from pathlib import Path

from genrekit.cli import main as genrekit


def main(folder: str) -> int:
    about = json.loads((Path(folder) / "job.json").read_text(encoding="utf-8"))
    os.chdir(folder)
    finished = Path("finished")  # how many commands are: a resumed job goes on after them
    first = int(finished.read_text()) if finished.exists() else 0
    worst = 0
    for number, command in enumerate(about["commands"][first:], start=first):
        _emit({"type": "step", "step": number, "of": len(about["commands"]), "name": command[0]})
        try:
            status = genrekit(command)
        except SystemExit as end:  # argparse refuses options so
            status = end.code if isinstance(end.code, int) else 2
        worst = max(worst, status)
        if status > 1:
            break
        finished.write_text(str(number + 1))
    _emit({"type": "exit", "status": worst})
    return worst


def _emit(event: dict[str, object]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
