"""A finished grid with every file that a board reads, made of random scores: models x set-ups x seeds."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.config.experiment import ExperimentConfig
from sft.evaluation.metrics.counts import confusion_counts, label_ratios
from sft.evaluation.metrics.formulas import classification_numbers, log_losses
from sft.evaluation.predictions import Prediction, prediction_record, write_predictions
from sft.evaluation.rows import EvaluatedRows, write_rows
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder, slug
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, StatusRecord, write_record

LABELS = ("negative", "neutral", "positive")
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\"> </script>"
METRICS = ["macro_f1", "accuracy", "log_loss", "ece"]
SETUPS: dict[str, tuple[float, dict[str, Any]]] = {
    "zero": (0.0, {"dataset": {"shots": 0}, "lora": None, "adapter": {"method": "none"}, "training": None}),
    "icl": (0.5, {"dataset": {"shots": 8}, "lora": None, "adapter": {"method": "none"}, "training": None}),
    "lora-4": (0.7, {"dataset": {"shots": 4}}),
    "lora-8": (1.1, {"dataset": {"shots": 8}}),
    "lora-16": (1.5, {"dataset": {"shots": 16}}),
    "pissa-16": (1.7, {"dataset": {"shots": 16}, "lora": {"r": 8, "init_lora_weights": "pissa"}}),
}
"""Name -> how much the scores favour the gold label, and changes of the config."""


class MadeGrid:
    """Writes a results folder.

    Args:
        path: the folder.
        models: names; each later one is a little better.
        n_seeds: runs of every set-up.
        n_rows: test rows.
        channels: values that the rows take in turns and by which they are sliced; empty: no slices.
    """

    def __init__(
        self,
        path: Path,
        models: tuple[str, ...] = ("small", "big"),
        n_seeds: int = 3,
        n_rows: int = 60,
        channels: tuple[str, ...] = (),
    ):
        self.channels = channels
        self.results = ResultsFolder(path)
        self.entries: dict[str, Any] = {}
        self.n_rows = n_rows
        self.rng = np.random.default_rng(0)
        self.gold = self.rng.integers(0, len(LABELS), n_rows)
        path.mkdir(parents=True, exist_ok=True)
        for (place, model), (setup, (skill, changes)), seed in itertools.product(
            enumerate(models), SETUPS.items(), range(n_seeds)
        ):
            self.add(f"{model}/{setup}/seed{seed}", skill + 0.2 * place, config(model, seed, changes))
        self.write_grid()

    def add(self, name: str, skill: float, written: dict[str, Any]) -> JobFolder:
        """A finished experiment whose scores favour the gold label by `skill` nats."""
        self.plan(name, written)
        return self.finish(name, skill)

    def plan(self, name: str, written: dict[str, Any]) -> None:
        """An experiment that has not run."""
        key = f"{len(self.entries):08x}{len(self.entries):08x}"
        folder = f"experiments/{slug(name)}-{key[:8]}"
        stages = {"train": key if written["lora"] is not None else None, "infer": key}
        job = JobFolder(self.results.path / folder)
        write_json(job.config, {"schema": 1, "id": key, "names": [name], "config": written, "stages": stages})
        self.entries[name] = {"id": key, "folder": folder, "config": written}

    def finish(self, name: str, skill: float = 1.0) -> JobFolder:
        """Write the results of a planned experiment as its stages would, the manifest last."""
        entry = self.entries[name]
        key, written = entry["id"], entry["config"]
        scores = self.rng.normal(size=(self.n_rows, len(LABELS)))
        scores[np.arange(self.n_rows), self.gold] += skill
        probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        trained = written["lora"] is not None
        if trained:
            curve = [{"step": step, "loss": 3 / step, "learning_rate": 1e-4 / step} for step in range(1, 200)]
            costs = [
                {"step": step, "tokens_per_second": 3000 + step, "peak_rss_bytes": 1 << 30} for step in range(1, 200)
            ]
            training = {"schema": 1, "loss_curve": curve, "cost_curve": costs}
            write_json(self.results.stage("train", key).training, training)
        prompts = [{"split": "test", "source_index": 0, "text": f"Classify.\n{HOSTILE}\nAnswer:"}]
        write_json(self.results.stage("infer", key).sample, {"schema": 1, "prompts": prompts})
        job = JobFolder(self.results.path / entry["folder"])
        self._write_result(job, probabilities, written, trained=trained)
        return job

    def fail(self, name: str, written: dict[str, Any], message: str) -> None:
        """An experiment that failed."""
        self.plan(name, written)
        job = JobFolder(self.results.path / self.entries[name]["folder"])
        write_record(job.status, StatusRecord("failed", "train", attempt=1, error=ErrorRecord("data", message)))

    def write_grid(self) -> None:
        write_json(self.results.grid, {"schema": 1, "configs": self.entries, "pinned": {}})

    def _write_result(
        self, job: JobFolder, probabilities: NDArray[np.float64], written: dict[str, Any], *, trained: bool
    ) -> None:
        predicted = probabilities.argmax(axis=1)
        job.result.mkdir(parents=True)
        records = [
            prediction_record(
                {"text": f"row {row}: {HOSTILE if row % 3 == 0 else 'a plain tweet'}", "label": LABELS[gold]},
                Prediction(LABELS[predicted[row]], row, row, probabilities=dict(zip(LABELS, own, strict=True))),
            )
            for row, (gold, own) in enumerate(zip(self.gold, probabilities.tolist(), strict=True))
        ]
        write_predictions(job.predictions("test", "jsonl"), job.predictions("test", "tsv"), records)
        losses = log_losses(probabilities, self.gold)
        slices = {"channel": np.arange(self.n_rows) % len(self.channels)} if self.channels else {}
        rows = EvaluatedRows(predicted == self.gold, self.gold, predicted, losses, slices=slices)
        write_rows(job.rows, {"test": rows})
        write_json(job.metrics, self._metrics(probabilities, written, trained=trained))
        write_manifest(job, [job.result])
        write_record(job.status, StatusRecord("done", "evaluate", attempt=1))

    def _slices(self) -> dict[str, Any]:
        """What the details of every run say of the slices."""
        named = [{"value": value, "n_rows": self.n_rows // len(self.channels)} for value in self.channels]
        return {"slices": {"channel": named}} if named else {}

    def _metrics(
        self, probabilities: NDArray[np.float64], written: dict[str, Any], *, trained: bool
    ) -> dict[str, Any]:
        numbers = classification_numbers(self.gold, probabilities, 10, "l1")
        counts = confusion_counts(self.gold.tolist(), probabilities.argmax(axis=1).tolist(), len(LABELS))
        ratios = label_ratios(counts)
        per_label = {
            label: {name: float(getattr(ratios, name)[place]) for name in ("precision", "recall", "f1", "support")}
            for place, label in enumerate(LABELS)
        }
        shots = written["dataset"]["shots"]
        return {
            "schema": 1,
            "results": {name: numbers[name] for name in METRICS},
            "details": {
                "labels": list(LABELS),
                "confusion_matrix": counts.tolist(),
                "per_label": per_label,
                **self._slices(),
                "higher_is_better": {"macro_f1": True, "accuracy": True, "log_loss": False, "ece": False},
            },
            "data": {
                "n_test": self.n_rows,
                "n_train": shots * len(LABELS),
                "train_indices": list(range(shots * len(LABELS))),
                "test_rows_sha256": "aa",
                "dev_rows_sha256": None,
            },
            "timing": {"infer": 4.0 + shots / 4, "evaluate": 0.3} | ({"train": 10.0 + shots} if trained else {}),
            "resources": {
                "peak_rss_bytes": (2 if trained else 1) << 30,
                "peak_gpu_bytes": None,
                "trainable_parameters": 2_442_240 if trained else 0,
            },
            "environment": {"dtype": "float32"},
        }


def config(model: str, seed: int, changes: dict[str, Any]) -> dict[str, Any]:
    """A resolved config; None takes a section out."""
    base: dict[str, Any] = {
        "seed": seed,
        "dataset": {"path": "tweets", "task_type": "classification", "shots": 8},
        "model": {"name": model},
        "lora": {"r": 8},
        "prompting": {"input_columns": ["text"], "output_column": "label"},
        "training": {"trainer_args": {"learning_rate": 3e-4}},
        "evaluation": {"metrics": METRICS},
    }
    for section, value in changes.items():
        base[section] = {**base.get(section, {}), **value} if isinstance(value, dict) else value
    written = json.loads(json.dumps({key: value for key, value in base.items() if value is not None}))
    return ExperimentConfig.model_validate(written).resolved()
