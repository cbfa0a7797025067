"""`python -m benchmarks.training [PART ...]`: runs the parts on one core and prints a table."""

import sys

from benchmarks.commands import use_one_core
from benchmarks.report import print_report

PARTS = ("batch_4", "batch_8", "small_case")

if __name__ == "__main__":
    use_one_core()
    print_report("benchmarks.training", PARTS, sys.argv[1:])
