"""The evaluate stage over hand-made scores and texts: no model, no tokenizer."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.recomputing import run_rows, wrong_metrics
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import read_rows
from sft.evaluation.stage import run
from sft.exceptions import DataError, StageFailure
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.atomic import write_json, write_json_lines
from sft.runs.chains import Begun, Submission, SubmittedTry
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import finished_files, write_manifest
from sft.runs.progress import Progress
from sft.runs.records import write_record

Raw = Callable[..., dict[str, Any]]
Jobs = Callable[..., tuple[PlannedJob, JobFolder]]
DEV = {"dataset": {"splits": {"dev": "dev"}}}
LABELS = ["bad", "good", "mixed"]
N = {"dev": 6, "test": 9}


@pytest.fixture
def planned(project: Path, plan_of: Callable[..., Any], tmp_path: Path) -> Jobs:
    """The evaluate job of a config, and the folder of its infer stage."""

    def plan(config: dict[str, Any], goal: Any = "metrics", place: str = "results") -> tuple[PlannedJob, JobFolder]:
        experiment = plan_of(project, a=config).experiments[0]
        results = ResultsFolder(tmp_path / place)
        jobs = jobs_of(experiment.experiment, experiment.keys, ExperimentFolders(results), results, goal)
        return jobs[-1], jobs[-2].folder

    return plan


def _write_inference(infer: JobFolder, splits: list[str], examples: Any = ()) -> None:
    record = {
        "examples": {split: [list(examples) for _ in range(N[split])] for split in splits},
        "n_truncated": 2,
        "n_special_in_text": 1,
        "prompt_tokens": {"min": 1, "mean": 2.0, "max": 3},
        "batch_size": 8,
        "batch_tokens": 512,
        "dtype": "float32",
        "total_parameters": 100,
        "peak_rss_bytes": 5,
        "environment": {"peak_gpu_bytes": None, "device": "cpu", "threads": 1, "versions": {}},
        "stage_seconds": 1.5,
        "answer_seconds": 0.5,
    }
    write_json(infer.inference, record)


def _write_scores(infer: JobFolder, splits: list[str], wrong: int = 2) -> None:
    """Scores that choose the gold label (rows stand bad, good, mixed in turn), but for the first `wrong` test rows."""
    places = [(split, index) for split in splits for index in range(N[split])]
    answer = np.full((len(places), 3), -4.0)
    stop = np.full((len(places), 3), -0.5)
    for number, (split, index) in enumerate(places):
        chosen = (index + 1) % 3 if split == "test" and index < wrong else index % 3
        answer[number, chosen] = -0.25
    infer.path.mkdir(parents=True, exist_ok=True)
    np.savez(
        infer.scores,
        splits=np.array([split for split, _ in places]),
        source_index=np.array([index for _, index in places]),
        answer_logprobs=answer,
        stop_logprobs=stop,
        answer_tokens=np.array([1, 1, 2]),
        stop_tokens=np.array([1, 1, 1]),
    )
    _write_inference(infer, splits)


def _submitted(job: JobFolder, name: str, submitted: float, began: float) -> None:
    """Leave what a cluster's runner and node write of the first try of a job."""
    tried = SubmittedTry(job.attempt(1).path)
    tried.path.mkdir(parents=True)
    job.in_force.write_text(f"{tried.path.name}\n")
    write_record(tried.submission, Submission("slurm", name, "chain.json", "7", submitted=submitted))
    write_record(tried.begun, Begun("node", 1, "warm", None, None, began))


def _run(job: PlannedJob) -> dict[str, Any]:
    job.folder.path.mkdir(parents=True, exist_ok=True)
    run(job.folder, job.record, Progress(job.folder.progress, "evaluate"), time.perf_counter())
    record: dict[str, Any] = json.loads(job.folder.metrics.read_text()) if job.folder.metrics.exists() else {}
    return record


def _predictions(job: PlannedJob, split: str = "test") -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.folder.predictions(split, "jsonl").read_text().splitlines()]


def test_scores_become_predictions_probabilities_and_metrics(
    planned: Jobs, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    job, infer = planned(raw(zero_shot))
    _write_scores(infer, ["test"])
    record = _run(job)
    assert "queue_seconds" not in record["resources"]
    assert record["results"]["accuracy"] == pytest.approx(7 / 9)
    assert (record["id"], record["name"], record["seed"]) == (job.record.key, "a", 13)
    rows = _predictions(job)
    assert [row["predictions"] for row in rows] == ["good", "mixed", *(LABELS * 3)[2:]]
    first = rows[0]
    assert (first["index"], first["source_index"], first["label"], first["id"]) == (0, 0, "bad", "test-0-bad")
    assert first["label_logprobs"] == {"bad": -4.5, "good": -0.75, "mixed": -4.5}
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert first["probabilities"]["good"] == pytest.approx(1 / (1 + 2 * np.exp(-3.75)))
    assert first["probabilities"][first["predictions"]] == max(first["probabilities"].values())
    assert first["label_mass"] == pytest.approx(np.exp(-0.75) + 2 * np.exp(-4.5))
    assert record["results"]["label_mass"] == pytest.approx(first["label_mass"])
    assert list(record["results"])[-1] == "label_mass"
    assert "calibration" not in record["details"]
    listed = {"result/predictions.jsonl", "result/predictions.tsv", "result/metrics.json", "result/rows.npz"}
    assert set(finished_files(job.folder)) == set(listed)


def test_what_the_metrics_record_of_data_timing_and_resources(
    planned: Jobs, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    job, infer = planned(raw(zero_shot))
    _write_scores(infer, ["test"])
    record = _run(job)
    data = record["data"]
    assert (data["train_indices"], data["n_train"], data["test_indices"]) == ([], 0, list(range(9)))
    assert (data["n_test"], data["dev_indices"], data["dev_rows_sha256"], data["labels"]) == (9, None, None, LABELS)
    assert (data["n_leaked"], data["icl_indices"], data["n_special_in_text"]) == (0, [], 1)
    assert len(data["test_rows_sha256"]) == 64
    assert record["timing"]["infer"] == 1.5
    assert record["resources"]["trainable_parameters"] == 0
    assert record["resources"]["peak_rss_bytes"] > 5
    assert record["environment"]["dtype"] == "float32"


def test_shots_that_nothing_uses_are_not_recorded(planned: Jobs, raw: Raw, zero_shot: dict[str, Any]) -> None:
    """The id is that of the zero-shot experiment, so the record must be, too."""
    unused = raw(zero_shot, {"dataset": {"shots": 2}, "adapter": {"method": "none"}})
    jobs = [planned(raw(zero_shot), place="zero"), planned(unused, place="unused")]
    assert jobs[0][0].record.key == jobs[1][0].record.key
    for _, infer in jobs:
        _write_scores(infer, ["test"])
    zero, other = (_run(job)["data"] for job, _ in jobs)
    assert zero == other


def test_dev_rows_stand_beside_test_rows_under_their_own_names(
    planned: Jobs, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    job, infer = planned(raw(zero_shot, DEV))
    _write_scores(infer, ["dev", "test"])
    record = _run(job)
    assert record["results"]["dev_accuracy"] == 1
    assert record["results"]["accuracy"] == pytest.approx(7 / 9)
    assert [row["predictions"] for row in _predictions(job, "dev")] == LABELS * 2
    assert len(_predictions(job)) == 9
    assert "dev" in record["details"]
    assert record["data"]["dev_indices"] == list(range(6))
    assert record["data"]["dev_rows_sha256"] != record["data"]["test_rows_sha256"]


def test_the_reproducible_part_is_byte_equal(planned: Jobs, raw: Raw, zero_shot: dict[str, Any]) -> None:
    kept = []
    for place in ("one", "two"):
        job, infer = planned(raw(zero_shot, DEV), place=place)
        _write_scores(infer, ["dev", "test"])
        record = _run(job)
        files = [path.read_bytes() for path in sorted(job.folder.result.glob("[pr]*"))]
        assert len(files) == 5
        kept.append([json.dumps([record[part] for part in ("results", "details", "data")]), *files])
    assert kept[0] == kept[1]


def test_what_became_of_each_row_is_kept_for_statistics(planned: Jobs, raw: Raw, zero_shot: dict[str, Any]) -> None:
    job, infer = planned(raw(zero_shot, DEV, {"evaluation": {"metrics": ["accuracy", "log_loss"]}}))
    _write_scores(infer, ["dev", "test"])
    results = _run(job)["results"]
    rows, dev = read_rows(job.folder.rows), read_rows(job.folder.rows, "dev_")
    assert rows is not None
    assert dev is not None
    assert rows.gold is not None
    assert rows.predicted is not None
    assert rows.log_loss is not None
    assert (rows.gold.dtype, rows.predicted.dtype, rows.correct.dtype, rows.log_loss.dtype) == (
        np.int64, np.int64, np.bool_, np.float64,
    )  # fmt: skip
    assert rows.gold.tolist() == [0, 1, 2] * 3
    assert rows.predicted.tolist() == [1, 2, 2, 0, 1, 2, 0, 1, 2]
    assert rows.correct.tolist() == [False, False, *[True] * 7]
    assert rows.log_loss.mean() == pytest.approx(results["log_loss"], abs=1e-12)
    assert len(dev) == 6
    assert dev.correct.all()


def test_ties_go_to_the_first_label(planned: Jobs, raw: Raw, zero_shot: dict[str, Any]) -> None:
    job, infer = planned(raw(zero_shot, {"dataset": {"labels": ["mixed", "good", "bad"]}}))
    _write_scores(infer, ["test"])
    with np.load(infer.scores) as scores:
        equal = {name: scores[name] for name in scores.files} | {"answer_logprobs": np.full((9, 3), -1.0)}
    np.savez(infer.scores, **equal)
    _run(job)
    assert {row["predictions"] for row in _predictions(job)} == {"mixed"}


def test_a_job_without_metrics_writes_predictions_only(planned: Jobs, raw: Raw, zero_shot: dict[str, Any]) -> None:
    job, infer = planned(raw(zero_shot), "predictions")
    _write_scores(infer, ["test"])
    _run(job)
    assert not job.folder.metrics.exists()
    assert set(finished_files(job.folder)) == {"result/predictions.jsonl", "result/predictions.tsv"}


def test_rows_other_than_those_that_were_scored_are_refused(
    planned: Jobs, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    job, infer = planned(raw(zero_shot))
    _write_scores(infer, ["dev"])
    with pytest.raises(StageFailure, match="other test rows") as error:
        _run(job)
    assert error.value.kind == "no_result"
    assert not finished_files(job.folder)


def test_data_that_changed_since_the_plan_is_refused(
    planned: Jobs, project: Path, raw: Raw, zero_shot: dict[str, Any], rewrite: Callable[..., None]
) -> None:
    job, infer = planned(raw(zero_shot))
    _write_scores(infer, ["test"])
    rewrite(project, "test", lambda rows: rows[0].update(label="good"))
    with pytest.raises(DataError, match="changed since the plan"):
        _run(job)


@pytest.mark.parametrize("choice", [{"random_icl": True}, {"icl_selection": "nearest"}])
def test_kept_columns_and_examples_of_each_row(
    planned: Jobs, raw: Raw, zero_shot: dict[str, Any], choice: dict[str, Any]
) -> None:
    drawn = {"inference": {"icl_examples": 1, **choice}, "dataset": {"keep_columns": ["id"]}}
    job, infer = planned(raw(zero_shot, drawn))
    _write_scores(infer, ["test"])
    _write_inference(infer, ["test"], examples=(2, 0, 1))
    record = _run(job)
    row = _predictions(job)[0]
    assert row["icl_indices"] == [2, 0, 1]
    assert (row["id"], row["label"], "text" in row) == ("test-0-bad", "bad", False)
    assert record["data"]["icl_indices"] is None


def test_leaks_among_the_examples_that_were_shown_are_counted(
    planned: Jobs, raw: Raw, zero_shot: dict[str, Any], rewrite: Callable[..., None], project: Path
) -> None:
    rewrite(project, "test", lambda rows: rows[3].update(text="TRAIN text 0 is bad"))
    job, infer = planned(raw(zero_shot, {"inference": {"icl_examples": 1}}))
    _write_scores(infer, ["test"])
    _write_inference(infer, ["test"], examples=(0, 1, 2))
    record = _run(job)
    assert (record["data"]["n_leaked"], record["data"]["icl_indices"]) == (1, [0, 1, 2])


def test_a_training_is_recorded_with_its_rows_seconds_and_parameters(planned: Jobs, raw: Raw) -> None:
    job, infer = planned(raw())
    _write_scores(infer, ["test"])
    train = JobFolder(job.needs[1])
    environment = {"peak_gpu_bytes": 7, "device": "cuda", "library_warnings": ["peft warns: strange"]}
    counts = {"n_truncated": 3, "n_special_in_text": 4, "trainable_parameters": 11, "exported_rank": 2}
    record = {"environment": environment, "peak_rss_bytes": 10**15, "stage_seconds": 9.0, **counts}
    write_json(train.training, record)
    train.adapter.mkdir()
    (train.adapter / "adapter_model.safetensors").write_bytes(b"12345")
    write_manifest(train, [train.adapter, train.training])
    _submitted(train, "sft-a", 100.0, 130.0)
    _submitted(infer, "sft-a", 100.0, 190.0)
    metrics = _run(job)
    assert metrics["timing"]["train"] == 9.0
    resources = metrics["resources"]
    assert resources["queue_seconds"] == 30.0
    assert (resources["adapter_bytes"], resources["answer_seconds"]) == (5, 0.5)
    assert (resources["peak_rss_bytes"], resources["peak_gpu_bytes"]) == (10**15, 7)
    assert (resources["infer_peak_rss_bytes"], resources["infer_peak_gpu_bytes"]) == (5, None)
    assert (resources["train_peak_rss_bytes"], resources["train_peak_gpu_bytes"]) == (10**15, 7)
    assert (resources["trainable_parameters"], resources["exported_rank"]) == (11, 2)
    assert (metrics["data"]["n_train"], len(metrics["data"]["train_indices"])) == (6, 6)
    assert metrics["data"]["n_truncated"] == 2 + 3
    assert metrics["data"]["n_special_in_text"] == 5
    assert metrics["environment"]["library_warnings"] == ["peft warns: strange"]


def test_label_words_are_read_back_as_gold_values(planned: Jobs, raw: Raw, zero_shot: dict[str, Any]) -> None:
    words = {"dataset": {"labels": {"mixed": "so-so", "bad": "awful", "good": "great"}}}
    job, infer = planned(raw(zero_shot, words))
    _write_scores(infer, ["test"], wrong=0)
    record = _run(job)
    assert record["results"]["accuracy"] == 1
    assert list(_predictions(job)[0]["label_logprobs"]) == LABELS


def test_texts_become_predictions_and_text_metrics(
    planned: Jobs, raw: Raw, generation: dict[str, Any], zero_shot: dict[str, Any]
) -> None:
    config = raw(generation, zero_shot, DEV, {"evaluation": {"metrics": ["exact_match"]}})
    job, infer = planned(config)
    places = [(split, index) for split in ("dev", "test") for index in range(N[split])]
    records = [
        {"split": split, "source_index": index, "text": LABELS[index % 3] if split == "dev" else "a\tb\u2028c"}
        for split, index in places
    ]
    write_json_lines(infer.texts, records)
    _write_inference(infer, ["dev", "test"])
    record = _run(job)
    assert record["results"] == {"exact_match": 0, "dev_exact_match": 1}
    rows, dev_rows = read_rows(job.folder.rows), read_rows(job.folder.rows, "dev_")
    assert rows is not None
    assert dev_rows is not None
    assert (rows.gold, rows.predicted, rows.log_loss) == (None, None, None)
    assert (rows.correct.any(), dev_rows.correct.all(), len(rows)) == (False, True, 9)
    assert _predictions(job)[0]["predictions"] == "a\tb\u2028c"
    assert "probabilities" not in _predictions(job)[0]
    lines = job.folder.predictions("test", "tsv").read_text().split("\n")
    assert len(lines) == 11
    assert "a\\tb\\u2028c" in lines[1]


OWN = """
def length(predictions, references):
    return sum(map(len, predictions)) / len(predictions)
length.per_row = lambda predictions, references: [len(text) for text in predictions]
"""
TEXT_METRICS = ["rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf", "exact_match", "own.py:length"]
ARGUMENTS = {
    "rouge_stemmer": True,
    "bleu_tokenize": "char",
    "bleu_lowercase": True,
    "chrf_word_order": 2,
    "exact_match_ignore_case": True,
}


@pytest.fixture
def of_texts(
    planned: Jobs, raw: Raw, generation: dict[str, Any], zero_shot: dict[str, Any], project: Path
) -> tuple[PlannedJob, dict[str, Any]]:
    """A finished job with every metric of texts."""
    (project / "own.py").write_text(OWN)
    config = raw(generation, zero_shot, DEV, {"evaluation": {"metrics": TEXT_METRICS, **ARGUMENTS}})
    job, infer = planned(config)
    answers = {"dev": ["bad", "Good", "mix ed"], "test": ["BAD", "goods\ud83d", "mixed up"]}
    records = [
        {"split": split, "source_index": index, "text": answers[split][index % 3]}
        for split in ("dev", "test")
        for index in range(N[split])
    ]
    write_json_lines(infer.texts, records)
    _write_inference(infer, ["dev", "test"])
    return job, _run(job)


def test_every_number_of_texts_is_recomputed_from_the_predictions(
    of_texts: tuple[PlannedJob, dict[str, Any]],
) -> None:
    job, record = of_texts
    assert len(record["results"]) == 2 * len(TEXT_METRICS)
    assert wrong_metrics(job.folder) == []
    for key, value in record["results"].items():
        write_json(job.folder.metrics, {**record, "results": {**record["results"], key: value + 1e-6}})
        (told,) = wrong_metrics(job.folder)
        assert told.startswith(f"result/metrics.json says {key} ")


def test_rows_of_texts_give_every_number_and_older_ones_but_that_of_own_code(
    of_texts: tuple[PlannedJob, dict[str, Any]],
) -> None:
    job, record = of_texts
    now = {result: run_rows(job.folder, record, result) for result in record["results"]}
    with np.load(job.folder.rows) as saved:
        older = {key: saved[key] for key in saved.files if "per_row" not in key}
    np.savez(job.folder.rows, **older)
    then = {result: run_rows(job.folder, record, result) for result in record["results"]}
    assert {result for result, rows in then.items() if rows is None} == {"length", "dev_length"}
    for result, known in [*now.items(), *then.items()]:
        if known is not None:
            sums = row_sums(result.removeprefix("dev_"), known.rows, record)
            assert sums is not None
            assert sums.whole == pytest.approx(record["results"][result], abs=1e-12)
    assert None not in now.values()


def test_corrected_gold_and_slices_are_in_the_results_and_in_what_is_recomputed(
    planned: Jobs, raw: Raw, zero_shot: dict[str, Any], project: Path
) -> None:
    """The first test row, which is said to be `good`, is so."""
    (project / "fixes.csv").write_text("source_index,gold\n0,good\n1,good\n")
    changes = {"dataset": {"corrections": "fixes.csv"}, "evaluation": {"slices": ["label"]}}
    plain, infer = planned(raw(zero_shot), place="plain")
    _write_scores(infer, ["test"])
    before = _run(plain)
    job, infer = planned(raw(zero_shot, changes))
    _write_scores(infer, ["test"])
    record = _run(job)
    assert (before["results"]["accuracy"], record["results"]["accuracy"]) == (
        pytest.approx(7 / 9),
        pytest.approx(8 / 9),
    )
    assert [row["label"] for row in _predictions(job)][:2] == ["good", "good"]
    found = record["data"]["corrections"]
    assert (found["n_rows"], found["changed"], found["file"]) == (2, {"test": [0]}, "fixes.csv")
    assert found["content"].startswith("sha256:")
    assert found["uncorrected_test_rows_sha256"] == before["data"]["test_rows_sha256"]
    assert record["data"]["test_rows_sha256"] != before["data"]["test_rows_sha256"]
    assert record["details"]["slices"] == {
        "label": [{"value": "good", "n_rows": 4}, {"value": "mixed", "n_rows": 3}, {"value": "bad", "n_rows": 2}]
    }
    rows = read_rows(job.folder.rows)
    assert rows is not None
    assert rows.slices["label"].tolist() == [0, 0, 1, 2, 0, 1, 2, 0, 1]
    assert wrong_metrics(job.folder) == []
    assert "corrections" not in before["data"]
    assert "slices" not in before["details"]
