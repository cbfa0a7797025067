"""What a document shows as code works: grids, Python, and the ranking that the README begins with."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from sft.calibration.calibrator import RowSetScores
from sft.config.reading import read_experiment
from sft.experiments.grids.expand import expand
from sft.experiments.grids.jsonnet import JsonnetOptions, evaluate_jsonnet
from sft.leaderboard.costs import Costs
from sft.reporting.tables.marks import MARKS
from sft.tracking.tracker import TrackedExperiment, TrackedGrid
from tests.contract.documents import DOCUMENTS, README, blocks, section

EXPERIMENTS = {
    ("README.md", 0): 3,
    ("docs/calibration.md", 0): 1,
    ("docs/config.md", 0): 1,
    ("docs/conversations.md", 0): 1,
    ("docs/first-grid.md", 0): 3,
    ("docs/grids.md", 0): 8,
    ("docs/methods.md", 0): 3,
    ("docs/methods.md", 1): 6,
    ("docs/older-configs.md", 0): 1,
    ("docs/scale.md", 0): 2,
    ("docs/tasks.md", 0): 1,
    ("docs/tasks.md", 1): 1,
    ("docs/tasks.md", 2): 1,
    ("docs/tasks.md", 3): 1,
    ("docs/tasks.md", 4): 1,
    ("docs/tasks.md", 5): 1,
    ("docs/tasks.md", 6): 1,
    ("docs/tasks.md", 7): 1,
}
"""Document and position of every Jsonnet block, and how many experiments it makes."""
KINDS = {"", "indented", "bash", "jsonnet", "python"}
ANY = {
    "dataset": {"path": "rows.csv", "task_type": "classification", "shots": 0},
    "model": {"name": "model"},
    "prompting": {"input_columns": ["text"], "output_column": "label"},
}
"""What a part of a config is put into."""


def run(document: str, title: str) -> dict[str, Any]:
    """The names that the first Python block of a section defines."""
    names: dict[str, Any] = {}
    exec(blocks(section(document, title), "python")[0].text, names)
    return names


def test_every_kind_of_block_is_one_that_is_tested() -> None:
    assert {block.kind for text in DOCUMENTS.values() for block in blocks(text)} <= KINDS


def test_every_shown_grid_is_in_the_list() -> None:
    found = {(name, n) for name, text in DOCUMENTS.items() for n, _ in enumerate(blocks(text, "jsonnet"))}
    assert found == set(EXPERIMENTS)


@pytest.mark.parametrize(("document", "number"), EXPERIMENTS)
def test_shown_grids_evaluate_to_sound_configs(document: str, number: int, tmp_path: Path) -> None:
    file = tmp_path / "grid.jsonnet"
    file.write_text(blocks(DOCUMENTS[document], "jsonnet")[number].text, "utf-8")
    value = evaluate_jsonnet(file, JsonnetOptions())
    assert isinstance(value, dict)
    configs = expand(value if "configs" in value else ANY | value, "grid")
    found = [finding for name, raw in configs.items() for finding in read_experiment(raw, name)[1]]
    assert len(configs) == EXPERIMENTS[document, number]
    assert not found, found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shown_python_is_python(document: str) -> None:
    for block in blocks(DOCUMENTS[document], "python"):
        compile(block.text, document, "exec")


def test_shown_initialiser_and_metric_work() -> None:
    import torch

    initialiser = run("docs/extending.md", "Adding an initialiser")
    metric = run("docs/extending.md", "Adding a metric")
    factors = initialiser["largest_rows"](torch.nn.Linear(6, 4), 2, torch.float32)
    assert {name: tuple(factor.shape) for name, factor in factors.items()} == {"lora_A": (2, 6), "lora_B": (4, 2)}
    assert torch.allclose(factors["lora_A"].norm(dim=1), torch.ones(2))
    assert metric["first_word"](["a b", "c", ""], ["a", "d", "e"]) == pytest.approx(1 / 3)


def test_shown_calibrator_works() -> None:
    import numpy as np

    own = run("docs/extending.md", "Adding a calibrator")
    found = {name: RowSetScores(np.array([[-4.0, -2.0]])) for name in own["row_sets"]}
    assert own["half"](np.array([[-1.0, -1.0]]), found, {}).tolist() == [[1.0, 0.0]]


def test_shown_tracker_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = run("docs/extending.md", "Adding a tracker")["Mine"]()
    tracker.require()
    experiment = TrackedExperiment("0a", "zero", "done", {"seed": 13}, {"accuracy": 0.5})
    assert tracker.log(TrackedGrid("tickets", (experiment,)), tmp_path) == "tickets: 1 experiments shown"
    assert capsys.readouterr().out == "0a zero done {'accuracy': 0.5} {'seed': 13}\n"


def test_python_example_uses_what_there_is() -> None:
    import sft

    (block,) = blocks(DOCUMENTS["docs/python.md"], "python")
    assert set(re.findall(r"\bsft\.(\w+)\(", block.text)) == set(sft.__all__)


NO_COSTS: dict[str, Any] = {field.name: None for field in dataclasses.fields(Costs)} | {"devices": ()}


def test_the_shown_ranking_is_drawn_as_the_program_draws_it() -> None:
    """From its own numbers, where there is no terminal."""
    from sft.terminal.board.ranking import ranking_parts
    from sft.terminal.screen import Screen, drawn

    shown = README.split("```\n")[1].split("\nOnly in ")[0].split("\n\n")[1].splitlines()
    header, _, *lines = (re.split(" {2,}", line.strip()) for line in shown)
    assert header[-2:] == ["train s", "s per 1,000"]
    marks = {text: mark for mark, text in MARKS.items()}
    groups = []
    for rank, name, n, value, interval, mark, *costs in lines:
        mean, _, sd = value.partition(" ± ")
        low, high = map(float, interval.strip("[]").split(", "))
        train, answering = (None if cell == "n/a" else float(cell) for cell in costs)
        summary = {"n": int(n), "mean": float(mean), "sd": float(sd) if sd else None}
        groups.append({
            "rank": int(rank), "provisional": False, "name": name, "n": int(n), "complete": True, "value": None,
            "results": {"macro_f1": summary}, "interval": {"low": low, "high": high}, "against_best": None,
            "mark": marks[mark.removesuffix(" †")], "not_above": ["a baseline"] if "†" in mark else [],
            "costs": NO_COSTS | {"train_seconds": train, "seconds_per_1000": answering},
        })  # fmt: skip
    board = {"metric": "macro_f1", "statistics": {}, "groups": groups}
    assert len(groups) >= 6
    assert drawn(ranking_parts(board, Screen(), None)[:1], Screen()).splitlines() == shown
