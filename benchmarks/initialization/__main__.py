"""`python -m benchmarks.initialization [PART ...]`: runs the parts on one core and prints a table."""

import sys

from benchmarks.commands import use_one_core
from benchmarks.report import print_report

PARTS = ("all_linears", "directions")

if __name__ == "__main__":
    use_one_core()
    print_report("benchmarks.initialization", PARTS, sys.argv[1:])
