"""`python -m benchmarks.scale [PART ...]`: runs the parts and prints a table."""

import sys

from benchmarks.report import print_report

PARTS = ("simulated", "chains", "next_job")


if __name__ == "__main__":
    print_report("benchmarks.scale", PARTS, sys.argv[1:])
