"""`python -m benchmarks.scoring [PART ...]`: runs the parts on one core and prints a table."""

import sys

from benchmarks.commands import use_one_core
from benchmarks.report import print_report

PARTS = ("one_token", "many_tokens", "thousand_labels", "generation", "preparation")

if __name__ == "__main__":
    use_one_core()
    print_report("benchmarks.scoring", PARTS, sys.argv[1:])
