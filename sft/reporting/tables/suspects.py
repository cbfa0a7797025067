"""Rows whose gold may be wrong: what is said of them, and a table for the page."""

from collections.abc import Iterator

from sft.leaderboard.details.suspects import SuspectList
from sft.wording import counted, some


def suspect_lines(found: SuspectList) -> Iterator[str]:
    """Sentences: how many rows which set-ups contradict, and what that tells."""
    runs = counted(found.n_runs, "run")
    leading = f"the leading set-up{'s' if len(found.groups) > 1 else ''} ({some(found.groups)})"
    yield (
        f"{len(found.rows)} of {counted(found.n_rows, f'{found.split} row')} are contradicted by every one of {runs} "
        f"of {leading}: their gold may be wrong. The least probable gold label is first."
    )
    if found.n_runs == 1:
        yield "Of one run these are just its errors: more set-ups or seeds that agree would tell more."
