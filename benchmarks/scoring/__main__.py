"""`python -m benchmarks.scoring [PART ...]`: runs the parts on one core and prints a table."""

import os
import sys

from benchmarks.commands import OFFLINE
from benchmarks.report import print_report

PARTS = ("one_token", "many_tokens", "thousand_labels", "generation", "preparation")


def use_one_core() -> None:
    """Keep this process, and all that it starts, on the last core it may use; before torch is imported."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ.update(OFFLINE, OMP_NUM_THREADS="1")


if __name__ == "__main__":
    use_one_core()
    print_report("benchmarks.scoring", PARTS, sys.argv[1:])
