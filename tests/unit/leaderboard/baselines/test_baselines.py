"""Boards show the baselines that jobs measured on the shots and rows of their experiments, and measure none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.baselines import embeddings
from sft.evaluation.rows import read_rows
from sft.leaderboard.baselines.earlier import key_of_set
from sft.leaderboard.baselines.reading import DAMAGED, MISSING, OTHER_ROWS, baselines_of
from sft.leaderboard.baselines.shot_sets import shot_sets
from sft.leaderboard.building import build_leaderboard
from sft.runs.atomic import write_json
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from sft.terminal.board import board_text
from tests.support.baselines import NAMES, BaselineGrid


@pytest.fixture
def grid(tmp_path: Path) -> BaselineGrid:
    return BaselineGrid(tmp_path)


def test_a_board_shows_the_board_s_metrics_of_the_same_shots_and_rows(grid: BaselineGrid) -> None:
    grid.done("a")
    grid.measure()
    board = grid.board()
    first, second = board["baselines"]
    assert [first["name"], second["name"]] == NAMES
    assert (first["shots"], first["n_train"], first["seeds"], first["input_columns"]) == (2, 4, [13], ["text"])
    assert set(first["results"]) == {"macro_f1", "accuracy", "log_loss", "ece"}
    assert first["results"]["accuracy"] == pytest.approx(4 / 6)
    assert second["results"]["accuracy"] == 1.0
    assert set(second["sets"][0]) == {"train_indices_sha256", "seeds", "n_train", "results"}
    assert first["board"] == board["boards"][0]["board"]


def test_the_rows_of_each_set_of_shots_can_be_read(grid: BaselineGrid) -> None:
    grid.done("a")
    grid.measure()
    boards = build_leaderboard([grid.folder.results]).boards
    for baseline in baselines_of(boards, []).found:
        (own,) = baseline.sets
        assert own.rows is not None
        rows = read_rows(own.rows)
        assert rows is not None
        assert rows.correct.mean() == pytest.approx(own.results["accuracy"])


def test_sets_of_shots_are_averaged_and_kept(grid: BaselineGrid) -> None:
    for seed in (1, 2):
        grid.done(f"a{seed}", seed=seed)
        grid.done(f"b{seed}", seed=seed, lora={"r": 4})
    grid.measure()
    baseline = grid.board()["baselines"][1]
    own = [item["results"]["log_loss"] for item in baseline["sets"]]
    assert baseline["seeds"] == [1, 2]
    assert own[0] != own[1]
    assert baseline["results"]["log_loss"] == pytest.approx(sum(own) / 2)


def test_two_jobs_that_differ_in_the_encoder_give_the_other_baselines_once(
    grid: BaselineGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        embeddings, "encode_texts", lambda source, texts: np.array([[len(text), 1.0] for text in texts])
    )
    for rank, (name, encoder) in enumerate((("a", None), ("b", "models/one"), ("c", "models/two")), 2):
        named = {} if encoder is None else {"baseline_encoder": grid.encoder(encoder)}
        grid.done(name, evaluation=named, lora={"r": rank})
    assert grid.measure() == 3
    baselines = {item["name"]: item for item in grid.board()["baselines"]}
    embedded = [f"embeddings + logistic regression ({name})" for name in ("one", "two")]
    assert list(baselines) == [*NAMES, *embedded]
    assert [len(item["sets"]) for item in baselines.values()] == [1] * 4


def test_dev_rows_have_their_numbers(grid: BaselineGrid) -> None:
    grid.done("a", {"macro_f1": 0.9, "dev_macro_f1": 0.8, "dev_accuracy": 0.8}, dataset={"splits": {"dev": "dev"}})
    grid.measure()
    first = grid.board()["baselines"][0]
    assert first["results"]["dev_accuracy"] == pytest.approx(3 / 5)
    assert list(first["results"]) == ["macro_f1", "dev_macro_f1", "dev_accuracy"]


def test_what_knows_no_shots_stands_only_where_nothing_on_the_board_has_shots(grid: BaselineGrid) -> None:
    grid.done("zero", lora=None, training=None, dataset={"shots": 0})
    grid.measure()
    (only,) = grid.board()["baselines"]
    assert (only["name"], only["shots"], only["n_train"]) == (NAMES[0], 0, 0)
    grid.done("some")
    grid.measure()
    assert [item["shots"] for item in grid.board()["baselines"]] == [2, 2]


def test_what_is_not_measured_yet_is_said_with_the_way_to_it(grid: BaselineGrid) -> None:
    grid.done("a")
    board = grid.board()
    assert board["baselines"] == []
    (left,) = board["baselines_left_out"]
    assert (left["name"], left["shots"], left["reason"]) == ("baselines", 2, MISSING)
    assert MISSING in grid.folder.results.leaderboard("md").read_text()
    assert f"note: baselines of shots 2 left out: {MISSING}" in board_text(board)


def test_a_job_that_failed_leaves_its_baselines_out_with_its_reason(grid: BaselineGrid) -> None:
    grid.done("a")
    (job,) = grid.jobs()
    error = ErrorRecord("data", "train.jsonl changed since the plan")
    write_record(job.folder.status, StatusRecord("failed", "baseline", attempt=1, error=error))
    (left,) = grid.board()["baselines_left_out"]
    assert left["reason"] == f"{error.message}; sft run-experiments --retry-failed tries again"


def test_a_baseline_that_cannot_be_had_leaves_the_others(grid: BaselineGrid) -> None:
    grid.write("train", [("pos", 1), ("pos", 2)])
    grid.done("a", dataset={"if_fewer": "use_all", "labels": ["neg", "pos"]})
    grid.measure()
    board = grid.board()
    assert [item["name"] for item in board["baselines"]] == NAMES[:1]
    (left,) = board["baselines_left_out"]
    assert (left["name"], left["reason"]) == (NAMES[1], "the shots have a single label")


def _other_rows(path: Path) -> None:
    record = json.loads(path.read_text())
    record["data"]["test_rows_sha256"] = "b" * 64
    write_json(path, record)


def _odd(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """A record of another form, as another version might write it."""

    def write(path: Path) -> None:
        record = json.loads(path.read_text())
        change(record)
        write_json(path, record)

    return write


@pytest.mark.parametrize(
    ("change", "is_listed", "reason"),
    [
        (_other_rows, True, OTHER_ROWS),
        (lambda path: path.write_text(path.read_text().replace("0", "1")), False, DAMAGED),
        (_odd(lambda record: record.pop("data")), True, DAMAGED),
        (_odd(lambda record: record.pop("baselines")), True, DAMAGED),
        (_odd(lambda record: record.update(baselines={"majority class": None})), True, DAMAGED),
        (lambda path: path.write_text("{ half"), False, MISSING),
        (lambda path: path.unlink(), False, MISSING),
    ],
    ids=["other rows", "edited", "no data", "no baselines", "null", "cut", "gone"],
)
def test_only_what_was_written_on_these_rows_is_shown(
    grid: BaselineGrid, change: Callable[[Path], Any], is_listed: bool, reason: str
) -> None:
    grid.done("a")
    grid.measure()
    (job,) = grid.jobs()
    change(job.folder.baselines)
    if is_listed:
        write_manifest(job.folder, [job.folder.result])
    board = grid.board()
    assert (board["baselines"], [item["reason"] for item in board["baselines_left_out"]]) == ([], [reason])


def test_reports_for_people_mark_baselines_as_not_ranked(grid: BaselineGrid) -> None:
    grid.done("a")
    grid.measure()
    board = grid.board()
    shown = board_text(board).splitlines()
    assert "baseline, not ranked: TF-IDF + logistic regression (shots 2): macro_f1 1.0000" in shown
    text = grid.folder.results.leaderboard("md").read_text()
    assert "not ranked:" in text
    assert "| majority class (shots 2)" in text
    assert [row["name"] for row in board["boards"][0]["ranking"]] == ["a"]


def _keep(grid: BaselineGrid, entries: Any) -> None:
    """As a version kept numbers that measured them itself."""
    (board,) = build_leaderboard([grid.folder.results]).boards
    known = {key_of_set(shot_set): entries for shot_set in shot_sets(board)}
    write_json(grid.folder.results.baselines, {"schema": 1, "known": known})


def test_numbers_that_an_earlier_version_kept_are_shown_until_they_are_measured(grid: BaselineGrid) -> None:
    grid.done("a", by_earlier_version=True)
    assert [item["reason"] for item in grid.board()["baselines_left_out"]] == [MISSING]
    _keep(grid, {NAMES[0]: {"results": {"macro_f1": 0.25}, "reason": None}})
    assert [item["results"] for item in grid.board()["baselines"]] == [{"macro_f1": 0.25}]
    grid.done("b", lora={"r": 4})
    grid.measure()
    assert [item["results"]["macro_f1"] for item in grid.board()["baselines"]] == [pytest.approx(0.4), 1.0]
    assert [len(item["sets"]) for item in grid.board()["baselines"]] == [1, 1]


@pytest.mark.parametrize("results", [{"accuracy": "high"}, {"accuracy": None}, [1]])
def test_a_kept_baseline_that_is_damaged_is_not_known(grid: BaselineGrid, results: Any) -> None:
    grid.done("a", by_earlier_version=True)
    _keep(grid, {NAMES[0]: {"results": results, "reason": None}})
    assert grid.board()["baselines"] == []
