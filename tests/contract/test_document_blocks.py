"""What a document shows as code works: grids, Python, and the ranking that the README begins with."""

import re
from pathlib import Path
from typing import Any

import pytest

from sft.calibration.calibrator import RowSetScores
from sft.config.reading import read_experiment
from sft.experiments.grids.expand import expand
from sft.experiments.grids.jsonnet import JsonnetOptions, evaluate_jsonnet
from sft.tracking.tracker import TrackedExperiment, TrackedGrid
from tests.contract.documents import DOCUMENTS, README, blocks, section

EXPERIMENTS = {
    ("README.md", 0): 3,
    ("docs/calibration.md", 0): 1,
    ("docs/first-grid.md", 0): 3,
    ("docs/grids.md", 0): 8,
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


def test_the_shown_ranking_is_drawn_as_the_program_draws_it() -> None:
    """From its own numbers."""
    from sft.terminal.board.ranking import experiments_table
    from sft.terminal.screen import Screen, drawn

    shown = README.split("```\n")[1].split("\nIntervals: ")[0].splitlines()[2:]
    header, _, *lines = (re.split(" {2,}", line) for line in shown)
    metrics, groups, ranked = [header[2], *header[4:-2]], [], []
    for rank, name, value, interval, *cells in lines:
        mark = cells.pop(0) if "best" in cells[0] else ""
        *numbers, train, infer = (None if cell == "n/a" else float(cell) for cell in (value, *cells))
        row = {"name": name, "id": name, "results": dict(zip(metrics, numbers, strict=True))}
        ranked.append((int(rank), row | {"timing": {"train": train, "infer": infer}}))
        low, high = map(float, interval.strip("[]").split(", "))
        against = {"tie": mark == "≈ best"}
        groups.append(
            {"rank": int(rank), "rows": [row], "interval": {"low": low, "high": high}, "against_best": against}
        )
    board = {"metric": header[2], "statistics": {"metric": header[2]}, "groups": groups}
    assert len(ranked) == 6
    assert drawn(experiments_table(board, ranked, Screen()), Screen()).splitlines() == shown
