"""Baselines stand on the shots and rows of the experiments, are measured once, and never stop a board."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.config.experiment import ExperimentConfig
from sft.data.loading import data_fingerprint
from sft.evaluation.metrics.formulas import classification_numbers
from sft.leaderboard.baselines import measuring
from sft.leaderboard.baselines.classifiers import LabelledTexts, majority, tfidf_regression
from sft.reporting.files import write_leaderboard
from sft.runs.atomic import write_json
from sft.tasks.inputs import load_inputs, rows_sha256
from sft.terminal.board import board_text
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

NAMES = ["majority class", "TF-IDF + logistic regression"]
RESULTS = {"macro_f1": 0.9, "accuracy": 0.9, "log_loss": 0.1, "ece": 0.1, "label_mass": 1.0}
Written = dict[str, Any]


class Grid:
    """Experiments on real rows: `good ...` is pos, `bad ...` is neg, and pos is more frequent."""

    def __init__(self, path: Path) -> None:
        self.data = path / "data"
        self.folder = ResultsBuilder(path / "results")
        for split, pos, neg in (("train", 9, 4), ("dev", 3, 2), ("test", 4, 2)):
            self.write(split, [("pos", number) for number in range(pos)] + [("neg", number) for number in range(neg)])

    def write(self, split: str, rows: list[tuple[str, int]]) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        words = {"pos": "good", "neg": "bad"}
        lines = [{"text": f"{words[label]} {split} {number}", "label": label} for label, number in rows]
        (self.data / f"{split}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def done(self, name: str, results: dict[str, Any] = RESULTS, **changes: Any) -> None:
        dataset = {"path": str(self.data), "shots": 2} | changes.pop("dataset", {})
        own = config(dataset=dataset, **changes)
        checked = ExperimentConfig.model_validate(own)
        inputs = load_inputs(checked, self.data, {})
        selection = inputs.selection
        data = {
            "train_indices": [row.source_index for row in selection.shots],
            "test_rows_sha256": rows_sha256(selection.test),
            "dev_rows_sha256": None if selection.dev is None else rows_sha256(selection.dev),
        }
        key = f"{len(self.folder.configs):016x}"
        record = metrics(results, data=data, details={"labels": ["neg", "pos"], "higher_is_better": {}})
        job = self.folder.done(name, key, own, record)
        fingerprints = {"data": data_fingerprint(checked.dataset, self.data, None), "revisions": {}}
        known = {"schema": 1, "id": key, "names": [name], "config": own, "config_folder": str(self.data)}
        write_json(job.config, known | {"fingerprints": fingerprints})

    def board(self, *, measures: bool = True) -> Written:
        write_leaderboard([self.folder.results], self.folder.results.path, measures_baselines=measures)
        written: Written = json.loads(self.folder.results.leaderboard("json").read_text())
        return written


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    return Grid(tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the experiments for which data were read."""
    read: list[str] = []
    original = measuring.read_rows
    monkeypatch.setattr(measuring, "read_rows", lambda item: (read.append(item.record.name), original(item))[1])
    return read


def test_data_are_found_as_the_last_run_named_them_though_the_grid_names_them_otherwise(grid: Grid) -> None:
    grid.done("a")
    in_grid = grid.folder.configs["a"]["config"]
    in_grid["dataset"] = in_grid["dataset"] | {"path": "of/the/grid"}
    grid.folder.write_grid()
    written = grid.board()
    assert (len(written["baselines"]), written["baselines_left_out"]) == (2, [])


def test_baselines_see_the_same_shots_and_rows_and_are_measured_by_the_board_s_metrics(grid: Grid) -> None:
    grid.done("a")
    first, second = grid.board()["baselines"]
    assert [first["name"], second["name"]] == NAMES
    assert (first["shots"], first["n_train"], first["seeds"], first["input_columns"]) == (2, 4, [13], ["text"])
    assert set(first["results"]) == {"macro_f1", "accuracy", "log_loss", "ece"}
    assert first["results"]["accuracy"] == pytest.approx(4 / 6)
    assert first["results"]["macro_f1"] == pytest.approx(0.4)
    assert second["results"]["accuracy"] == 1.0
    assert len(second["sets"]) == 1
    assert first["board"] == grid.board()["boards"][0]["board"]


def test_sets_of_shots_are_averaged_and_kept(grid: Grid) -> None:
    for seed in (1, 2):
        grid.done(f"a{seed}", seed=seed)
        grid.done(f"b{seed}", seed=seed, lora={"r": 4})
    baseline = grid.board()["baselines"][1]
    own = [item["results"]["log_loss"] for item in baseline["sets"]]
    assert baseline["seeds"] == [1, 2]
    assert own[0] != own[1]
    assert baseline["results"]["log_loss"] == pytest.approx(sum(own) / 2)


def test_dev_rows_have_their_numbers(grid: Grid) -> None:
    grid.done("a", {"macro_f1": 0.9, "dev_macro_f1": 0.8, "dev_accuracy": 0.8}, dataset={"splits": {"dev": "dev"}})
    first = grid.board()["baselines"][0]
    assert first["results"]["dev_accuracy"] == pytest.approx(3 / 5)
    assert list(first["results"]) == ["macro_f1", "dev_macro_f1", "dev_accuracy"]


def test_a_board_of_zero_shot_rows_has_the_majority_class_of_the_train_split_only(grid: Grid) -> None:
    grid.done("zero", lora=None, training=None, dataset={"shots": 0})
    (only,) = grid.board()["baselines"]
    assert (only["name"], only["shots"], only["n_train"]) == (NAMES[0], 0, 0)
    assert only["results"]["accuracy"] == pytest.approx(4 / 6)
    grid.done("some")
    assert [item["shots"] for item in grid.board()["baselines"]] == [2, 2]


def test_what_is_known_costs_no_reading(grid: Grid, reads: list[str]) -> None:
    grid.done("a", seed=1)
    assert grid.board(measures=False)["baselines"] == []
    assert reads == []
    first = grid.board()["baselines"]
    assert reads == ["a"]
    grid.done("b", seed=1, lora={"r": 4})
    assert grid.board()["baselines"] == first
    assert grid.board(measures=False)["baselines"] == first
    assert reads == ["a"]
    grid.folder.results.baselines.write_text("{ half")
    assert grid.board()["baselines"] == first
    assert reads == ["a", "a"]


def test_equal_data_are_read_once_for_all_sets_of_shots(grid: Grid, reads: list[str]) -> None:
    for seed in (1, 2, 3):
        grid.done(f"a{seed}", seed=seed)
    grid.board()
    assert reads == ["a1"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda grid: grid.write("train", [("pos", 50), ("neg", 51)] * 9), "train.jsonl changed since the plan"),
        (lambda grid: grid.write("test", [("pos", 50)]), "test.jsonl changed since the plan"),
        (lambda grid: (grid.data / "test.jsonl").unlink(), "test"),
        (lambda grid: grid.folder.experiment("a", "0" * 16).config.unlink(), "config.json cannot be read"),
    ],
)
def test_data_that_changed_or_are_gone_leave_the_baseline_out_with_a_reason(
    grid: Grid, change: Callable[[Grid], Any], reason: str
) -> None:
    grid.done("a")
    change(grid)
    board = grid.board()
    assert board["baselines"] == []
    (left,) = board["baselines_left_out"]
    assert reason in left["reason"]
    assert reason in grid.folder.results.leaderboard("md").read_text()
    assert f"note: baselines of shots 2 left out: {left['reason']}" in board_text(board)


def test_shots_of_one_label_leave_the_regression_out(grid: Grid) -> None:
    grid.write("train", [("pos", 1), ("pos", 2)])
    grid.done("a", dataset={"if_fewer": "use_all", "labels": ["neg", "pos"]})
    board = grid.board()
    assert [item["name"] for item in board["baselines"]] == NAMES[:1]
    assert board["baselines_left_out"][0]["reason"] == "the shots have a single label"


def test_reports_for_people_mark_baselines_as_not_ranked(grid: Grid) -> None:
    grid.done("a")
    board = grid.board()
    shown = board_text(board).splitlines()
    assert "baseline, not ranked: TF-IDF + logistic regression (shots 2): macro_f1 1.0000" in shown
    text = grid.folder.results.leaderboard("md").read_text()
    assert "not ranked:" in text
    assert "| majority class (shots 2)" in text
    assert [row["name"] for row in board["boards"][0]["ranking"]] == ["a"]


def test_baselines_need_neither_torch_nor_evaluate(grid: Grid) -> None:
    grid.done("a")
    folder = grid.folder.results.path
    program = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "evaluate", "transformers", "datasets", "trl", "peft"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())  # not None in sys.modules: scipy takes what stands there for torch
from pathlib import Path
from sft import api
api.leaderboard([Path({str(folder)!r})])
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    board = json.loads((folder / "leaderboard.json").read_text())
    assert ([item["name"] for item in board["baselines"]], board["baselines_left_out"]) == (NAMES, [])


def test_the_majority_of_shots_counts_and_ties_are_decided_by_the_train_split() -> None:
    train = np.array([2, 2, 1])
    assert majority(np.array([0, 1, 1]), train, 3, 2).argmax(axis=1).tolist() == [1, 1]
    assert majority(np.array([0, 1]), train, 3, 1).tolist() == [[1 / 6, 2 / 6, 3 / 6]]
    assert majority(np.array([], dtype=np.int64), np.array([], dtype=np.int64), 3, 1).tolist() == [[1 / 3] * 3]


def test_the_regression_is_scikit_learn_s_and_a_label_without_shots_has_no_probability() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts, labels = ["Good a", "bad b", "good good c", "bad"], np.array([2, 0, 2, 0])
    found = tfidf_regression(LabelledTexts(texts, labels), ["good", "bad b", "unseen"], 3)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit(texts)
    model = LogisticRegression(random_state=0, max_iter=1000).fit(words.transform(texts), labels)
    wanted = model.predict_proba(words.transform(["good", "bad b", "unseen"]))
    assert found[:, [0, 2]] == pytest.approx(wanted)
    assert found[:, 1].tolist() == [0.0] * 3
    assert classification_numbers(np.array([2, 0, 0]), found, 10, "l1")["accuracy"] >= 2 / 3


@pytest.mark.parametrize("results", [{"accuracy": "high"}, {"accuracy": None}, [1]])
def test_a_stored_baseline_that_is_damaged_is_measured_again(grid: Grid, results: Any) -> None:
    grid.done("a")
    first = grid.board()["baselines"]
    path = grid.folder.results.baselines
    stored = json.loads(path.read_text())
    for known in stored["known"].values():
        known[NAMES[1]]["results"] = results
    write_json(path, stored)
    assert grid.board(measures=False)["baselines"] == []
    assert grid.board()["baselines"] == first
