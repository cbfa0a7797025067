"""Tables that first grids are drafted from, and the knobs of such a grid."""

import re
from pathlib import Path

SWITCHED_OFF = re.compile(r"^( *)// (?=[a-z'{])", re.MULTILINE)
"""What begins a line that a user may switch on."""
TICKETS = {"billing": 40, "bug": 30, "other": 20}


def write_tickets(path: Path, labels: dict[str, int], separator: str = ",", encoding: str = "utf-8") -> None:
    """Write a file of so many rows of each label."""
    names = [label for label, count in labels.items() for _ in range(count)]
    rows = [[str(n), f"Café {n}", f"this is the text number {n} of all", label] for n, label in enumerate(names)]
    lines = [separator.join(row) for row in [["id", "subject", "text", "category"], *rows]]
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
