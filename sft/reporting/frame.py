"""The leaderboard as a pandas table."""

from collections.abc import Sequence
from pathlib import Path

import pandas

from sft.reporting.building import build_leaderboard
from sft.reporting.flat import flat_rows
from sft.reporting.formats.json import leaderboard_record
from sft.runs.files import ResultsFolder


def results_frame(folders: Sequence[Path]) -> pandas.DataFrame:
    """One row per experiment, best first on each board: its metrics, settings by dotted key, seconds and resources.

    Raises:
        UserError: a folder is not there.
    """
    rows = list(flat_rows(leaderboard_record(build_leaderboard([ResultsFolder(folder) for folder in folders]))))
    return pandas.DataFrame(rows, columns=None if rows else ["name", "id", "state", "board", "rank"])
