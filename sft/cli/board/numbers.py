"""How numbers stand in tables on the terminal."""

from collections.abc import Mapping, Sequence

from sft.cli.screen import BEST

MISSING = "n/a"


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many digits."""
    return MISSING if value is None else f"{value:.{digits}f}"


def best_cells(values: Sequence[float | None], name: str) -> Mapping[int, str]:
    """Row -> style of the best values of a result, in the direction that its name tells; none where all are equal."""
    from sft.evaluation.rows import DEV
    from sft.evaluation.selection import higher_is_better, stands_beside

    plain = name.removeprefix(DEV)
    known = [value for value in values if value is not None]
    if len(set(known)) < 2 or stands_beside(plain) or ":" in plain:
        return {}
    best = min(known) if higher_is_better(plain) is False else max(known)
    return {row: BEST for row, value in enumerate(values) if value == best}
