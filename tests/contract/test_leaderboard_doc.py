"""docs/leaderboard-json.md names every key of `leaderboard.json`, and none that is not there."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.collect import ExperimentError
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.records import Baseline, Baselines, LeftOut, ShotSetBaseline
from sft.reporting.formats.json import leaderboard_record
from tests.support import grids

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "leaderboard-json.md").read_text("utf-8")
FREE = frozenset({"settings", "results", "directions", "timing", "resources"})
"""Maps whose keys are a user's or a metric's."""
SHOWN_RESOURCES = {"peak_rss_bytes", "peak_gpu_bytes", "trainable_parameters", "total_parameters", "queue_seconds"}
NEEDED = {"rows", "seeds"}
"""Of `needed`, which is null on this board."""
SUMMARY = {"n", "mean", "sd", "median"}
GAIN = {"group", "calibrator", "uncalibrated", "calibrated"}


def keys(value: Any) -> set[str]:
    """All keys but those of free maps."""
    if isinstance(value, list):
        return set().union(*map(keys, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    inner = (keys(item) for key, item in value.items() if key not in FREE)
    return set(value).union(*inner)


def test_it_names_the_keys_of_the_file(tmp_path: Path) -> None:
    grid = grids.MadeGrid(tmp_path, n_rows=40, channels=("mail", "phone"))
    leaderboard = with_statistics(build_leaderboard([grid.results]))
    found = leaderboard_record(leaderboard)
    board = found["boards"][0]
    assert all(board[part] for part in ("groups", "effects", "learning_curves", "pareto", "slices"))
    set_of_shots = ShotSetBaseline("aa", (13,), 12, {})
    record = dataclasses.replace(leaderboard.boards[0].records[0], error=ExperimentError("data", "x"))
    others = dataclasses.replace(
        leaderboard,
        others=(record,),
        baselines=Baselines(
            (Baseline("b", "n", 4, ("text",), {}, (set_of_shots,)),), (LeftOut("b", "n", 4, "reason"),)
        ),
    )
    written = keys(json.loads(json.dumps(leaderboard_record(others)))) | SHOWN_RESOURCES | SUMMARY | GAIN
    documented = set(re.findall(r'"(\w+)"(?=[:,} ])', DOCUMENT))
    values = {"all", "bootstrap", "mcnemar", "t", "setting", "name", "s", "GiB", "parameters", "answering", "various"}
    values |= {"best", "better", "worse", "equivalent", "dev", "test", *NEEDED}
    assert written - documented == set()
    assert documented - written - values == set()
