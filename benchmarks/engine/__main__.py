"""`python -m benchmarks.engine [PART ...]`: runs the parts and prints a table."""

import sys

from benchmarks.report import print_report

PARTS = ("planning", "tiny_grid", "idle", "large_grid", "threads", "demo_grid")


if __name__ == "__main__":
    print_report("benchmarks.engine", PARTS, sys.argv[1:])
