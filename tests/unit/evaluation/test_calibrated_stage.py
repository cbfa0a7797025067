"""The evaluate stage with a calibrator: hand-made scores of several row sets, no model."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.metrics import metric_registry
from sft.evaluation.recomputing import run_rows, wrong_metrics
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import EvaluatedRows, read_rows
from sft.evaluation.selection import entry_of
from sft.evaluation.stage import run
from sft.exceptions import StageFailure
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.progress import Progress

Raw = Callable[..., dict[str, Any]]
Prepare = Callable[..., PlannedJob]
LABELS = ["bad", "good", "mixed"]
BIAS = np.array([0.0, 0.0, 3.0])
"""What the model likes to say whatever it reads."""
DEV = {"dataset": {"splits": {"dev": "dev"}}}
INFERENCE = {
    "n_truncated": 0,
    "n_special_in_text": 0,
    "prompt_tokens": {},
    "batch_size": 8,
    "batch_tokens": 512,
    "dtype": "float32",
    "total_parameters": 1,
    "peak_rss_bytes": 1,
    "environment": {"peak_gpu_bytes": None, "device": "cpu"},
    "stage_seconds": 1.5,
}


def calibration(name: str, **options: Any) -> dict[str, Any]:
    return {"inference": {"calibration_args": {"calibration_fn": name, **options}}}


def write_scores(infer: JobFolder, places: list[tuple[str, int]], answer: np.ndarray, stop: float = -0.5) -> None:
    infer.path.mkdir(parents=True, exist_ok=True)
    np.savez(
        infer.scores,
        splits=np.array([split for split, _ in places]),
        source_index=np.array([index for _, index in places]),
        answer_logprobs=answer,
        stop_logprobs=np.full_like(answer, stop),
        answer_tokens=np.array([1, 1, 2]),
        stop_tokens=np.array([1, 1, 1]),
    )
    examples = {split: [[]] * len(places) for split, _ in places}
    write_json(infer.inference, INFERENCE | {"examples": examples})


def evaluated(job: PlannedJob) -> list[tuple[str, int]]:
    rows = [("dev", index) for index in range(6)] if job.record.config["dataset"]["splits"]["dev"] else []
    return rows + [("test", index) for index in range(9)]


def right_but_biased(places: list[tuple[str, int]]) -> np.ndarray:
    """Gold labels stand bad, good, mixed in turn; each has 2 nats more than the others, on top of the bias."""
    gold = np.array([index % 3 for _, index in places])
    return -8.0 + 2.0 * np.eye(3)[gold] + BIAS


def without_content(prompts: int) -> np.ndarray:
    return np.tile(-6.0 + BIAS, (prompts, 1))


@pytest.fixture
def prepare(project: Path, plan_of: Callable[..., Any], raw: Raw, zero_shot: dict[str, Any]) -> Prepare:
    """The evaluate job of a config whose evaluated rows are right but biased; further row sets as given."""

    def prepared(*patches: dict[str, Any], sets: dict[str, Any] = {}, base: Any = zero_shot) -> PlannedJob:  # noqa: B006
        planned = plan_of(project, a=raw(base, *patches)).experiments[0]
        results = ResultsFolder(project / "results")
        *infers, job = jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")
        folders = {item.record.row_set: item.folder for item in infers if item.record.stage == "infer"}
        assert set(folders) == {"eval", *sets}
        write_scores(folders["eval"], evaluated(job), right_but_biased(evaluated(job)))
        for name, (places, answer) in sets.items():
            write_scores(folders[name], places, answer)
        job.folder.path.mkdir(parents=True, exist_ok=True)
        return job

    return prepared


def metrics_of(job: PlannedJob) -> dict[str, Any]:
    run(job.folder, job.record, Progress(job.folder.progress, "evaluate"), time.perf_counter())
    record: dict[str, Any] = json.loads(job.folder.metrics.read_text())
    return record


def rows_of(job: PlannedJob, split: str = "test") -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.folder.predictions(split, "jsonl").read_text().splitlines()]


def saved_rows(job: PlannedJob) -> EvaluatedRows:
    rows = read_rows(job.folder.rows)
    assert rows is not None
    return rows


FREE = {"content_free:contextual:3": ([("content_free", index) for index in range(3)], without_content(3))}


def test_a_calibrator_changes_predictions_and_probabilities_and_leaves_the_raw_scores(prepare: Prepare) -> None:
    job = prepare(calibration("contextual"), sets=FREE)
    record = metrics_of(job)
    assert record["results"]["accuracy"] == 1
    assert record["results"]["uncalibrated_accuracy"] == pytest.approx(1 / 3)
    first = rows_of(job)[0]
    assert first["predictions"] == "bad"
    assert first["label_logprobs"] == {"bad": -6.5, "good": -8.5, "mixed": -5.5}
    weights = np.exp([2.0, 0.0, 0.0])
    assert list(first["probabilities"].values()) == pytest.approx(weights / weights.sum())
    plain = saved_rows(job).uncalibrated
    assert plain is not None
    assert plain.correct.mean() == pytest.approx(1 / 3)
    assert plain.log_loss is not None
    assert plain.log_loss.mean() == pytest.approx(record["results"]["uncalibrated_log_loss"])


def test_every_metric_stands_beside_without_the_calibrator_in_its_direction(prepare: Prepare) -> None:
    metrics = {"evaluation": {"metrics": ["log_loss", "accuracy"]}}
    record = metrics_of(prepare(DEV, metrics, calibration("contextual"), sets=FREE))
    plain = ["log_loss", "accuracy", "uncalibrated_log_loss", "uncalibrated_accuracy", "label_mass"]
    assert list(record["results"]) == [*plain, *(f"dev_{name}" for name in plain)]
    assert record["results"]["dev_uncalibrated_accuracy"] == pytest.approx(1 / 3)
    directions = record["details"]["higher_is_better"]
    assert (directions["uncalibrated_log_loss"], directions["uncalibrated_accuracy"]) == (False, True)
    assert directions["label_mass"] is True


LABEL_METRICS = [
    name for name in metric_registry if "classification" in entry_of(name).task_types and entry_of(name).results
]
ALL = {"evaluation": {"metrics": LABEL_METRICS, "ece_bins": 7, "ece_norm": "l2"}}


def changed(job: PlannedJob, record: dict[str, Any], key: str) -> list[str]:
    """What is told where one number is another."""
    results = {**record["results"], key: record["results"][key] + 1e-6}
    write_json(job.folder.metrics, {**record, "results": results})
    return wrong_metrics(job.folder)


def test_every_number_is_recomputed_from_the_predictions(prepare: Prepare) -> None:
    job = prepare(DEV, ALL, calibration("contextual"), sets=FREE)
    record = metrics_of(job)
    assert len(record["results"]) == 2 * (2 * len(LABEL_METRICS) + 1)
    assert wrong_metrics(job.folder) == []
    for key in record["results"]:
        (told,) = changed(job, record, key)
        assert told.startswith(f"result/metrics.json says {key} ")


@pytest.mark.parametrize("scoring", [{"normalization": "mean"}, {"end_token": False}])
def test_what_predictions_do_not_hold_of_other_scores_is_left_alone(prepare: Prepare, scoring: dict[str, Any]) -> None:
    job = prepare(ALL, {"inference": {"label_scoring": scoring}}, calibration("contextual"), sets=FREE)
    record = metrics_of(job)
    assert wrong_metrics(job.folder) == []
    assert changed(job, record, "uncalibrated_macro_f1") == []
    assert len(changed(job, record, "macro_f1")) == 1


@pytest.mark.parametrize("result", ["macro_f1", "dev_macro_f1", "brier", "dev_ece", "mcc"])
def test_rows_that_an_earlier_version_kept_are_completed_from_the_predictions(prepare: Prepare, result: str) -> None:
    job = prepare(DEV, ALL, calibration("contextual"), sets=FREE)
    record = metrics_of(job)
    prefix = "dev_" if result.startswith("dev_") else ""
    name = result.removeprefix(prefix)
    now = run_rows(job.folder, record, result)
    with np.load(job.folder.rows) as saved:
        older = {key: saved[key] for key in saved.files if not key.endswith(("brier", "confidence"))}
    np.savez(job.folder.rows, **older)
    completed = run_rows(job.folder, record, result)
    job.folder.rows.unlink()
    made = run_rows(job.folder, record, result)
    for known in (now, completed, made):
        assert known is not None
        assert known.rows.uncalibrated is not None
        for side, key in ((known.rows, result), (known.rows.uncalibrated, f"{prefix}uncalibrated_{name}")):
            sums = row_sums(name, side, record)
            assert sums is not None
            assert known.sums[key].whole == sums.whole == pytest.approx(record["results"][key], abs=1e-12)


def test_rows_that_do_not_give_the_number_are_none(prepare: Prepare) -> None:
    job = prepare(ALL, calibration("contextual"), sets=FREE)
    record = metrics_of(job)
    wrong = {**record, "results": {**record["results"], "macro_f1": 0.123}}
    assert run_rows(job.folder, wrong, "macro_f1") is None
    assert run_rows(job.folder, record, "no_such_result") is None
    job.folder.predictions("test", "jsonl").write_text("{}\n")
    assert run_rows(job.folder, wrong, "macro_f1") is None


def test_what_the_calibrator_did_is_recorded_for_each_split(prepare: Prepare) -> None:
    record = metrics_of(prepare(DEV, calibration("contextual"), sets=FREE))
    found = record["details"]["calibration"]
    assert found["calibration_fn"] == "contextual"
    assert found["options"] == {"per_row": False}
    assert found["row_sets"] == {"content_free:contextual:3": 3}
    assert found["fitted"]["prior"] == pytest.approx(np.exp(BIAS) / np.exp(BIAS).sum())
    assert (found["uses_evaluated_rows"], found["trained_on"], found["warnings"]) == (False, None, [])
    assert record["details"]["dev"]["calibration"]["row_sets"] == {"content_free:contextual:3": 3}
    assert record["timing"]["infer"] == 3.0


def test_batch_looks_at_one_split_at_a_time_and_says_so(prepare: Prepare) -> None:
    job = prepare(DEV, calibration("batch"))
    record = metrics_of(job)
    assert (record["results"]["accuracy"], record["results"]["dev_accuracy"]) == (1, 1)
    found = record["details"]["calibration"]
    assert found["uses_evaluated_rows"]
    assert found["row_sets"] == {}
    looks, few = found["warnings"]
    assert "all evaluated rows at once" in looks
    assert "fewer than 10 evaluated rows per label" in few
    before, dev = ([row["probabilities"] for row in rows_of(job, split)] for split in ("test", "dev"))
    changed = right_but_biased(evaluated(job))
    changed[0] -= [9.0, 0.0, 0.0]
    assert evaluated(job)[0] == ("dev", 0)
    write_scores(JobFolder(job.needs[0]), evaluated(job), changed)
    metrics_of(job)
    assert [row["probabilities"] for row in rows_of(job)] == before
    assert all(now["probabilities"] != was for now, was in zip(rows_of(job, "dev"), dev, strict=True))


@pytest.mark.parametrize("trained_on", [False, True])
def test_labelled_rows_come_with_their_gold_labels(
    prepare: Prepare, zero_shot: dict[str, Any], trained_on: bool
) -> None:
    """One row of 12 is wrong: p = 11/12 is a margin of log 22 over two other labels, and 2 nats are said."""
    places = [("train", index) for index in range(12)]
    answer = -8.0 + 2.0 * np.eye(3)[[index % 3 for _, index in places]]
    answer[0] = -8.0 + 2.0 * np.eye(3)[1]
    base = {"dataset": {"shots": "all"}} if trained_on else zero_shot
    job = prepare(calibration("temperature"), sets={"train:64": (places, answer)}, base=base)
    if trained_on:
        train = JobFolder(next(need for need in job.needs if "train" in need.parts))
        write_json(train.training, INFERENCE | {"trainable_parameters": 1})
    record = metrics_of(job)
    found = record["details"]["calibration"]
    assert found["fitted"]["temperature"] == pytest.approx(2 / np.log(22), rel=1e-6)
    assert found["trained_on"] is trained_on
    assert found["train_indices"] == {"train:64": [index for _, index in places]}
    assert any("also trained on" in text for text in found["warnings"]) is trained_on
    assert record["results"]["accuracy"] == record["results"]["uncalibrated_accuracy"]


def test_a_prior_for_each_row_is_taken_from_that_row_s_prompts(prepare: Prepare) -> None:
    drawn = {"inference": {"icl_examples": 1, "random_icl": True}}
    places = [("test", index) for index in range(9) for _ in range(3)]
    own = np.repeat(right_but_biased([("test", index) for index in range(9)]), 3, axis=0)
    sets = {"content_free:contextual:3:per_row": (places, own)}
    job = prepare(drawn, calibration("contextual", per_row=True), sets=sets)
    assert metrics_of(job)["details"]["calibration"]["row_sets"] == {"content_free:contextual:3:per_row": 27}
    for row in rows_of(job):
        assert list(row["probabilities"].values()) == pytest.approx([1 / 3] * 3)


def test_prompts_of_other_rows_are_refused(prepare: Prepare) -> None:
    drawn = {"inference": {"icl_examples": 1, "random_icl": True}}
    places = [("test", index) for _ in range(3) for index in range(9)]
    sets = {"content_free:contextual:3:per_row": (places, without_content(27))}
    job = prepare(drawn, calibration("contextual", per_row=True), sets=sets)
    with pytest.raises(StageFailure, match="other test rows"):
        metrics_of(job)


def test_one_prior_for_rows_with_examples_of_their_own_is_told(prepare: Prepare) -> None:
    drawn = {"inference": {"icl_examples": 1, "random_icl": True}}
    (warning,) = metrics_of(prepare(drawn, calibration("contextual"), sets=FREE))["details"]["calibration"]["warnings"]
    assert "per_row: true" in warning


def test_priors_for_each_row_are_one_prior_where_all_have_the_same_examples(prepare: Prepare) -> None:
    job = prepare(calibration("contextual", per_row=True), sets=FREE)
    assert metrics_of(job)["details"]["calibration"]["options"] == {"per_row": False}


def test_pmi_takes_off_the_score_without_an_input(prepare: Prepare) -> None:
    pmi = {"inference": {"label_scoring": {"normalization": "pmi"}}}
    job = prepare(pmi, sets={"content_free:empty:1": ([("content_free", 0)], without_content(1))})
    record = metrics_of(job)
    assert record["results"]["accuracy"] == 1
    assert "uncalibrated_accuracy" not in record["results"]
    assert rows_of(job)[0]["label_logprobs"]["mixed"] == -5.5


def test_normalisation_comes_before_calibration_in_every_row_set(prepare: Prepare) -> None:
    """`mixed` has 3 tokens with its stop and the others 2; a prior of unnormalised scores would be another."""
    mean = {"inference": {"label_scoring": {"normalization": "mean"}}}
    job = prepare(mean, calibration("contextual"), sets=FREE)
    metrics_of(job)
    scores = (right_but_biased([("test", 0)])[0] - 0.5) / [2, 2, 3]
    prior = (without_content(1)[0] - 0.5) / [2, 2, 3]
    weights = np.exp(scores - prior)
    assert list(rows_of(job)[0]["probabilities"].values()) == pytest.approx(weights / weights.sum())
    assert rows_of(job)[0]["label_mass"] == pytest.approx(np.exp([-6.5, -8.5, -5.5]).sum())
