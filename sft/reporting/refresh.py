"""`python -m sft.reporting.refresh RESULTS [--under-way]`: writes the leaderboard of one results folder.

A run starts it by this name and goes on meanwhile. It ends with 5, and one line, where the machine must change, and
with 1 and a traceback where the board has a bug.
"""

import contextlib
import os
import sys
from pathlib import Path

from sft.exceptions import MACHINE_ERRNOS, MachineError, SftError
from sft.reporting.files import write_leaderboard
from sft.runs.fence import holding_read
from sft.runs.files import ResultsFolder

UNDER_WAY = "--under-way"
NICENESS = 10
"""A board is worth less than the jobs beside it."""


def main(arguments: list[str]) -> int:
    """Write the files; the exit code says how that went."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    results, options = ResultsFolder(Path(arguments[0])), arguments[1:]
    try:
        with holding_read(results.lock):
            write_leaderboard([results], results.path, under_way=UNDER_WAY in options)
    except SftError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        if error.errno not in MACHINE_ERRNOS:
            raise
        sys.stderr.write(f"{error}\n")
        return MachineError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
