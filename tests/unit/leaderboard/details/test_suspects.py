"""Rows that every leading run contradicts: which they are, in which order, and what is said of them."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import sft
from sft.api import suspects as suspects_of_folder
from sft.evaluation.predictions import Prediction, prediction_record, write_predictions
from sft.evaluation.rows import labelled_rows, write_rows
from sft.exceptions import UserError
from sft.leaderboard.details.suspects import suspects
from sft.reporting.error_rows import suspect_csv, suspect_record
from sft.reporting.tables.suspects import suspect_lines
from sft.runs.manifest import write_manifest
from sft.terminal.error_rows import suspect_text
from sft.terminal.screen import Screen
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

LABELS = ("neg", "pos")
N_ROWS = 40
GOLD = np.arange(N_ROWS) % 2


def finish(
    made: ResultsBuilder,
    name: str,
    wrong: dict[int, float],
    *,
    with_rows: bool = True,
    labels: tuple[str, ...] = LABELS,
    **own: Any,
) -> None:
    """A run that is wrong in some rows, with that probability of what it says; sure by 0.9 of the others.

    Its label set is in the order of `labels`.
    """
    right = np.full(N_ROWS, 0.9)
    for row, probability in wrong.items():
        right[row] = 1 - probability
    probabilities: NDArray[np.float64] = np.stack([1 - right, right], axis=1)
    probabilities[GOLD == 0] = probabilities[GOLD == 0][:, ::-1]
    said = [LABELS[code] for code in probabilities.argmax(axis=1)]
    columns = [LABELS.index(label) for label in labels]
    rows = labelled_rows(labels, [LABELS[code] for code in GOLD], said, probabilities[:, columns], {})
    key = f"{len(made.configs) + 1:x}"
    results = {"accuracy": float(rows.correct.mean())}
    written = config(**{"evaluation": {"metrics": ["accuracy"]}} | own)
    job = made.done(name, key, written, metrics(results, data={"n_test": N_ROWS}, details={"labels": list(labels)}))
    if with_rows:
        write_rows(job.rows, {"test": rows})
    records = [
        prediction_record(
            {"text": f"text {row}", "label": LABELS[GOLD[row]]},
            Prediction(said[row], row, 100 + row, probabilities=dict(zip(LABELS, probabilities[row], strict=True))),
        )
        for row in range(N_ROWS)
    ]
    write_predictions(job.predictions("test", "jsonl"), job.predictions("test", "tsv"), records)
    write_manifest(job, [job.result])


@pytest.fixture
def made(tmp_path: Path) -> ResultsBuilder:
    """Two set-ups of two seeds that lead together, and one that is worse and right where they are wrong."""
    made = ResultsBuilder(tmp_path / "results")
    finish(made, "lora/seed1", {3: 0.7, 8: 0.99, 20: 0.6}, seed=1)
    finish(made, "lora/seed2", {3: 0.7, 8: 0.97, 21: 0.6}, seed=2)
    finish(made, "icl/seed1", {3: 0.8, 8: 0.98, 20: 0.6}, seed=1, dataset={"shots": 4})
    finish(made, "icl/seed2", {3: 0.8, 8: 0.98, 22: 0.6}, seed=2, dataset={"shots": 4}, with_rows=False)
    for seed in (1, 2):
        worse = dict.fromkeys(range(9, N_ROWS), 0.8)
        finish(made, f"zero/seed{seed}", worse, seed=seed, dataset={"shots": 2})
    return made


def test_rows_that_all_leading_runs_contradict_are_found_the_surest_first(made: ResultsBuilder) -> None:
    found = suspects(made.board().groups)
    assert found is not None
    assert (sorted(found.groups), found.n_runs, found.n_rows) == (["icl", "lora"], 4, N_ROWS)
    assert [(row.index, row.source_index, row.text, row.gold) for row in found.rows] == [
        (8, 108, "text 8", "neg"),
        (3, 103, "text 3", "pos"),
    ]
    first = found.rows[0]
    assert (first.said, first.probability, first.gold_probability) == (
        (("pos", 4),),
        pytest.approx(0.98),
        pytest.approx(0.02),
    )


def test_set_ups_may_write_their_labels_in_different_orders(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path / "results")
    finish(made, "one", {8: 0.99, 20: 0.6}, dataset={"labels": list(LABELS)})
    finish(made, "other", {8: 0.99, 21: 0.6}, labels=LABELS[::-1], dataset={"labels": list(LABELS[::-1])})
    found = suspects(made.board().groups)
    assert found is not None
    assert found.n_runs == 2
    assert [(row.index, row.gold, row.said) for row in found.rows] == [(8, "neg", (("pos", 2),))]


def test_they_are_told_written_and_listed(made: ResultsBuilder, tmp_path: Path) -> None:
    found = suspects_of_folder("best", made.path, csv=tmp_path / "fixes.csv")
    text = suspect_text(found, 1, Screen())
    assert "2 of 40 test rows are contradicted by every one of 4 runs of the leading set-ups" in text
    assert "1 are shown" in text
    assert "row 108: gold neg, said pos (0.980 sure, gold 0.020)" in text
    assert "row 103" not in text
    cells = list(csv.DictReader(io.StringIO((tmp_path / "fixes.csv").read_text(), newline="")))
    assert [(cell["split"], cell["source_index"], cell["gold"], cell["said"]) for cell in cells] == [
        ("test", "108", "neg", "pos"), ("test", "103", "pos", "neg"),
    ]  # fmt: skip
    assert suspect_csv(found).encode() == (tmp_path / "fixes.csv").read_bytes()
    record = suspect_record(found, 1)
    assert (record["n_suspect"], record["n_runs"], record["rows"][0]["said"]) == (2, 4, [["pos", 4]])
    assert len(record["rows"]) == 1


def test_the_page_has_them_and_without_texts_has_not(made: ResultsBuilder) -> None:
    made.record()
    page = (made.path / "leaderboard.html").read_text()
    assert '"suspects":{"n":2,' in page
    from sft.api import leaderboard

    leaderboard([made.path], with_texts=False)
    page = (made.path / "leaderboard.html").read_text()
    assert '"suspects":null' in page
    assert "text 8" not in page


def test_of_one_run_they_are_just_its_errors(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path / "results")
    finish(made, "one", {3: 0.7})
    found = suspects(made.board().groups)
    assert found is not None
    assert "Of one run these are just its errors" in " ".join(suspect_lines(found))


def test_what_has_no_label_or_no_result_is_refused(tmp_path: Path) -> None:
    made = ResultsBuilder(tmp_path / "results")
    own = config(dataset={"task_type": "generation"})
    details = {"labels": None}
    made.answered("texts", "1", own, ["a", "b"], {"text": ["x", "y"], "label": ["a", "c"]}, details=details)
    made.planned("later", "2")
    with pytest.raises(UserError, match="the board of texts has no label probabilities of test rows"):
        suspects_of_folder("texts", made.path)
    with pytest.raises(UserError, match="later has no result yet, so it is on no board"):
        suspects_of_folder("later", made.path)
    assert sft.errors("texts", made.path).n_wrong == 1
