"""`python -m sft.worker JOB_FOLDER [ATTEMPT]`: run one stage, report by files and exit code only.

Started by a runner, it is told which attempt it is; by hand, it is the next one.

`python -m sft.worker --serve SOCKET PRELOAD` is the server of warm starts, which the runner starts for itself;
`python -m sft.worker --chain FILE` runs a chain of jobs in the place that a cluster gave it, and
`python -m sft.worker --probe FILE` shows that such a place sees the results folder in which the file is.
"""

import os
import sys
import time
from pathlib import Path

from sft.experiments.executors.guard import GUARD_PID, end_with_parent
from sft.worker.job import run_job

SERVE, CHAIN, PROBE = "--serve", "--chain", "--probe"


def main(arguments: list[str] | None = None) -> int:
    """Run the job of the folder that is given, as the attempt that is; the exit code says how it went."""
    started = time.perf_counter()
    # What this process starts has another parent: the variable must not reach it.
    guard = os.environ.pop(GUARD_PID, None)
    if guard is not None:
        end_with_parent(int(guard))
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == [SERVE] and len(arguments) == 3:
        from sft.worker.server import serve

        return serve(int(arguments[1]), arguments[2])
    if arguments[:1] == [CHAIN] and len(arguments) == 2:
        from sft.worker.chain import run_chain

        return run_chain(Path(arguments[1]).absolute())
    if arguments[:1] == [PROBE] and len(arguments) == 2:
        from sft.worker.chain import show_sight

        return show_sight(Path(arguments[1]).absolute())
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: python -m sft.worker JOB_FOLDER\n")
        return 2
    return run_job(Path(arguments[0]).absolute(), started, arguments[1] if len(arguments) == 2 else "")


if __name__ == "__main__":
    sys.exit(main())
