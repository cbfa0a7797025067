"""Rows with any number of labels, through all stages in this process, by a tiny prompted Llama and a tiny BERT."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.recomputing import run_rows, wrong_metrics
from sft.pipeline import stage_registry
from sft.pipeline.jobs import ExperimentFolders, jobs_of
from sft.registry import import_object
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.progress import Progress

Run = Callable[..., list[JobFolder]]
LABELS = ["money", "music", "sport"]
GOLD = [["sport"], [], ["money", "sport"], ["music"], ["money", "music", "sport"], ["money"]]
MULTILABEL = {
    "dataset": {"task_type": "multilabel", "shots": 2},
    "prompting": {"instruction": ..., "output_column": "topics"},
}


@pytest.fixture
def topics(project: Path, rewrite: Callable[..., None]) -> Path:
    """The project with rows of several topics, and weights for its model."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    for split in ("train", "dev", "test"):
        rewrite(
            project,
            split,
            lambda rows: [row | {"topics": GOLD[place % len(GOLD)]} for place, row in enumerate(rows)],
        )
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(**sizes, vocab_size=300, max_position_embeddings=512, initializer_range=0.2)
    AutoModelForCausalLM.from_config(config).save_pretrained(project / "model")
    return project


@pytest.fixture
def encoder(topics: Path) -> dict[str, Any]:
    """The patch that takes an encoder."""
    import shutil

    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(BertConfig(**sizes, vocab_size=300)).save_pretrained(topics / "bert")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(topics / "model" / name, topics / "bert" / name)
    return {"model": {"name": "bert"}}


@pytest.fixture
def run(topics: Path, plan_of: Callable[..., Any], tmp_path: Path) -> Run:
    """Runs the stages of a config; gives their folders, that of the experiment last."""

    def through(config: dict[str, Any]) -> list[JobFolder]:
        experiment = plan_of(topics, a=config).experiments[0]
        results = ResultsFolder(tmp_path / "results")
        jobs = jobs_of(experiment.experiment, experiment.keys, ExperimentFolders(results), results, "metrics")
        for job in jobs:
            job.folder.path.mkdir(parents=True, exist_ok=True)
            stage = import_object(stage_registry[job.record.stage])
            stage(job.folder, job.record, Progress(job.folder.progress, job.record.stage), time.perf_counter())
        return [job.folder for job in jobs]

    return through


def predictions(folder: JobFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.predictions("test", "jsonl").read_text().splitlines()]


def check_results(folder: JobFolder) -> dict[str, Any]:
    """Every number follows from the predictions, and every metric has its rows."""
    metrics: dict[str, Any] = json.loads(folder.metrics.read_text())
    gold = np.array([[label in row["topics"] for label in LABELS] for row in predictions(folder)])
    given = np.array([[label in row["predictions"] for label in LABELS] for row in predictions(folder)])
    hits = (gold & given).sum()
    results = metrics["results"]
    assert list(results)[:4] == ["micro_f1", "macro_f1", "subset_accuracy", "hamming_loss"]
    assert results["micro_f1"] == pytest.approx(2 * hits / (gold.sum() + given.sum()))
    assert results["subset_accuracy"] == pytest.approx((gold == given).all(axis=1).mean())
    assert results["hamming_loss"] == pytest.approx((gold != given).mean())
    assert [one["support"] for one in metrics["details"]["per_label"].values()] == gold.sum(axis=0).tolist()
    assert wrong_metrics(folder) == []
    for name in list(results)[:4]:
        found = run_rows(folder, metrics, name)
        assert found is not None
        assert found.sums[name].whole == pytest.approx(results[name])
    return metrics


def test_a_decoder_is_asked_about_each_label(run: Run, raw: Callable[..., dict[str, Any]]) -> None:
    train, infer, experiment = run(raw(MULTILABEL, {"inference": {"icl_examples": 1}}))
    metrics = check_results(experiment)
    rows = predictions(experiment)
    first = rows[0]
    assert list(first["label_logprobs"]) == LABELS
    for label in LABELS:
        yes, no = np.exp(first["label_logprobs"][label])
        assert first["probabilities"][label] == pytest.approx(yes / (yes + no))
        assert (label in first["predictions"]) == (first["probabilities"][label] >= 0.5)
    assert metrics["results"]["label_mass"] > 0
    text = json.loads(infer.sample.read_text())["prompts"][0]["text"]
    assert all(f"{label}?" in text for label in LABELS)
    training = json.loads(train.training.read_text())
    assert training["n_rows"] == 3 * len(training["train_indices"])


def test_a_head_judges_each_label_by_itself(
    run: Run, raw: Callable[..., dict[str, Any]], encoder: dict[str, Any]
) -> None:
    experiment = run(raw(MULTILABEL, encoder))[-1]
    metrics = check_results(experiment)
    assert "label_mass" not in metrics["results"]
    yes, no = np.exp(predictions(experiment)[0]["label_logprobs"]["money"])
    assert yes + no == pytest.approx(1)


def test_a_threshold_is_fitted_on_rows_of_the_pool(
    run: Run, raw: Callable[..., dict[str, Any]], encoder: dict[str, Any]
) -> None:
    *_, experiment = run(raw(MULTILABEL, encoder, {"inference": {"threshold": "fit"}}))
    metrics = check_results(experiment)
    threshold = metrics["details"]["threshold"]
    assert threshold["trained_on"] is True
    assert len(threshold["warnings"]) == 1
    for row in predictions(experiment):
        above = [label for label, probability in row["probabilities"].items() if probability >= threshold["value"]]
        assert row["predictions"] == sorted(above)
