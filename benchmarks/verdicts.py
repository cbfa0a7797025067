"""Simulates boards whose truth is known and prints how often their verdicts are wrong: a table of docs/statistics.md.

    .venv/bin/python -m benchmarks.verdicts [COUNT]

COUNT boards of each kind (1,000).
"""

import sys

import numpy as np

from tests.support.simulated_boards import KINDS, boards


def main(count: int = 1000) -> None:
    print(
        "| boards | pair called different | its interval holds | a set-up's interval holds | any false mark | found |"
    )
    print("|---|---|---|---|---|---|")
    for name, kind in KINDS.items():
        found = boards(kind, count)
        shares = [
            np.mean([board.pair_p < 0.05 for board in found]) if kind.lead == 0 else None,
            np.mean([board.pair_covers for board in found]),
            np.mean([board.share_covered for board in found]),
            np.mean([board.false_marks > 0 for board in found]),
            np.mean([board.found for board in found]) if kind.lead else None,
        ]
        cells = ["" if share is None else f"{100 * share:.1f} %" for share in shares]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
