"""Commands that are forked, as most of the tests here run them, beside the same as new interpreters."""

import json
from dataclasses import replace
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BROKEN = """import os
import signal


def metric(predictions, references):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_command_says_the_same_and_ends_with_the_same_code(place: Any) -> None:
    (place.folder / "metric.py").write_text(BROKEN)
    config = place.classification(evaluation={"metrics": ["accuracy"]}, dataset={"max_n_test": 3})
    killed = {**config, "evaluation": {"metrics": ["metric.py:metric"]}}
    grid = {"configs": {"good": config, "killed": killed}}
    (place.folder / "grid.json").write_text(json.dumps(grid), "utf-8")
    told = []
    for forks, results in ((True, "forked"), (False, "new")):
        commands = replace(place, forks=forks)
        ran = commands.sft("run-experiments", "grid.json", "--results-path", results, "--retries", "0")
        refused = commands.sft("plan", "grid.json", "--set", "model.nam=1")
        states = {row["name"]: row["state"] for row in place.json(results, "leaderboard.json")["rows"]}
        lines = place.lines(results, "good-")
        events = sorted((event["stage"], event["state"]) for event in place.events(results))
        told.append((ran.returncode, states, lines, events, refused.returncode, refused.stdout, refused.stderr))
    assert told[0] == told[1]
    assert told[0][:2] == (1, {"good": "done", "killed": "failed"})
    assert told[0][4] == 2
