"""Results folders made by hand, in every state a run can leave them in."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sft.evaluation.predictions import Prediction, prediction_record, write_predictions
from sft.evaluation.rows import EvaluatedRows, write_rows
from sft.leaderboard.board import Board
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.reporting.files import write_leaderboard
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder, slug
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, JobRecord, StageName, StatusRecord, write_record
from tests.support.records import config, metrics

SMALL: dict[str, Any] = {"dataset": {"path": "tweets"}, "evaluation": {"metrics": ["macro_f1"]}}
"""The config of an experiment where a test does not care."""


class ResultsBuilder:
    """A results folder and its grid; keys are filled to 16 digits.

    Args:
        path: the folder.
        metric: what `config` and `scored` are measured by.
        first_id: number of the first id that `scored` gives.
    """

    def __init__(self, path: Path, metric: str = "accuracy", first_id: int = 0) -> None:
        self.path = path
        self.results = ResultsFolder(path)
        self.metric = metric
        self.configs: dict[str, Any] = {}
        self._ids = (f"{number:08x}{0:08x}" for number in itertools.count(first_id))
        path.mkdir(parents=True, exist_ok=True)
        self.results.lock.touch()

    # the grid and its experiments

    def write_grid(self, source: str = "grid.jsonnet") -> None:
        write_json(self.results.grid, {"schema": 1, "source": source, "configs": self.configs, "pinned": {}})

    def experiment(self, name: str, key: str) -> JobFolder:
        """The folder of an experiment."""
        return JobFolder(self.results.experiments / f"{slug(name)}-{key[:8]}")

    def planned(
        self,
        name: str,
        key: str,
        own: dict[str, Any] = SMALL,
        *,
        train: str | None = None,
        infer: str | None = None,
        baseline: str | None = None,
        exports: Sequence[str] = (),
        in_grid: bool = True,
    ) -> JobFolder:
        """An experiment that is known and has not run."""
        key = _filled(key)
        job = self.experiment(name, key)
        stages = {"train": train and _filled(train), "infer": _filled(infer or key)}
        stages |= {} if baseline is None else {"baseline": _filled(baseline)}
        record = {"schema": 1, "id": key, "names": [name], "config": own, "config_folder": "/", "stages": stages}
        record |= {"exports": [_filled(export) for export in exports]} if exports else {}
        write_json(job.config, record)
        if in_grid:
            self.alias(name, key, own, job)
        return job

    def alias(self, name: str, key: str, own: dict[str, Any], job: JobFolder) -> None:
        """Another name of an experiment in the grid."""
        folder = job.path.relative_to(self.results.path).as_posix()
        self.configs[name] = {"id": key, "folder": folder, "config": own}
        self.write_grid()

    def done(
        self, name: str, key: str, own: dict[str, Any], record: dict[str, Any], *, in_grid: bool = True
    ) -> JobFolder:
        """A finished experiment with its `metrics.json`."""
        job = self.planned(name, key, own, in_grid=in_grid)
        write_json(job.metrics, record)
        write_manifest(job, [job.metrics])
        write_record(job.status, StatusRecord("done", "evaluate", attempt=1))
        return job

    def answered(
        self,
        name: str,
        key: str,
        own: dict[str, Any],
        answers: Sequence[str],
        columns: dict[str, Sequence[str]],
        **parts: Any,
    ) -> JobFolder:
        """A finished experiment with its predictions; `columns` holds the gold column `label`."""
        gold = columns["label"]
        correct = np.array([answer.strip() == wanted.strip() for answer, wanted in zip(answers, gold, strict=True)])
        rows = EvaluatedRows(correct)
        score = "exact_match"
        if own["dataset"]["task_type"] == "classification":
            places = [np.array([["neg", "pos"].index(text) for text in texts]) for texts in (gold, answers)]
            rows, score = EvaluatedRows(correct, *places, np.where(correct, 0.25, 1.5)), "accuracy"
        results = {score: float(correct.mean()), "log_loss": float(np.where(correct, 0.25, 1.5).mean())}
        job = self.done(name, key, own, metrics(results | parts.pop("results", {}), **parts))
        records = [
            prediction_record(
                {column: texts[index] for column, texts in columns.items()}, Prediction(text, index, index)
            )
            for index, text in enumerate(answers)
        ]
        write_predictions(job.predictions("test", "jsonl"), job.predictions("test", "tsv"), records)
        write_rows(job.rows, {"test": rows})
        write_manifest(job, [job.result])
        return job

    def scored(self, name: str, rows: EvaluatedRows, own: dict[str, Any], **parts: Any) -> str:
        """A finished experiment with its rows and accuracy, under the next id, which is given."""
        key = next(self._ids)
        results = {"accuracy": float(rows.correct.mean())} | parts.pop("results", {})
        job = self.done(name, key, self.config(**own), metrics(results, **parts))
        write_rows(job.rows, {"test": rows})
        write_manifest(job, [job.metrics, job.rows])
        return key

    def failed(self, name: str, key: str, own: dict[str, Any], error: ErrorRecord) -> JobFolder:
        """An experiment whose train stage failed."""
        job = self.planned(name, key, own)
        write_record(job.status, StatusRecord("failed", "train", attempt=1, error=error))
        return job

    # stages

    def stage(self, stage: StageName, key: str) -> JobFolder:
        return self.results.stage(stage, _filled(key))

    def job(self, folder: JobFolder, stage: StageName, name: str = "one", **fields: Any) -> JobRecord:
        """Write the job of a folder."""
        record = JobRecord(stage, folder.path.name, name, {}, "/", {"revisions": {}}, **fields)
        write_record(folder.job, record)
        return record

    def finish(
        self, folder: JobFolder, stage: StageName, text: str = "{}", name: str = "one", **fields: Any
    ) -> JobFolder:
        """Make a stage done."""
        self.job(folder, stage, name, **fields)
        outputs = {"train": folder.training, "infer": folder.inference, "evaluate": folder.metrics}
        outputs |= {"baseline": folder.baselines, "export": folder.export_record}
        outputs[stage].parent.mkdir(parents=True, exist_ok=True)
        outputs[stage].write_text(text)
        written = [outputs[stage]]
        if stage == "train":
            folder.adapter.mkdir()
            (folder.adapter / "adapter_model.safetensors").write_bytes(b"weights of the adapter")
            written.append(folder.adapter)
        write_manifest(folder, written)
        write_record(folder.status, StatusRecord("done", stage, attempt=1, seconds=1.5))
        return folder

    def stop(
        self, folder: JobFolder, stage: StageName, state: Any, error: ErrorRecord | None = None, name: str = "one"
    ) -> JobFolder:
        """A stage that was tried once and is not done."""
        self.job(folder, stage, name)
        attempt = folder.attempt(1)
        attempt.path.mkdir(parents=True)
        attempt.stderr.write_text("Traceback\nthe last line\n")
        attempt.stdout.write_text("")
        log = attempt.stderr.relative_to(self.results.path).as_posix()
        status = StatusRecord(state, stage, attempt=1, error=error, log=None if error is None else log)
        write_record(folder.status, status)
        return folder

    # what is looked at

    def config(self, **changes: Any) -> dict[str, Any]:
        """A resolved config that is measured by `metric`."""
        return config(**{"evaluation": {"metrics": [self.metric]}} | changes)

    def board(self, **options: Any) -> Board:
        return with_statistics(build_leaderboard([self.results]), **options).boards[0]

    def record(self) -> dict[str, Any]:
        """The first board as `leaderboard.json` has it."""
        write_leaderboard([self.results], self.path)
        boards: list[dict[str, Any]] = json.loads((self.path / "leaderboard.json").read_text())["boards"]
        return boards[0]

    def content(self) -> dict[str, bytes | str]:
        """All that is in the folder but its lock, to see whether anything was changed."""
        found: dict[str, bytes | str] = {}
        for path in sorted(self.results.path.rglob("*")):
            name = path.relative_to(self.results.path).as_posix()
            if path.is_symlink() or path.is_dir():
                found[name] = "link" if path.is_symlink() else "folder"
            elif path != self.results.lock:
                found[name] = path.read_bytes()
        return found


def _filled(key: str) -> str:
    return key.ljust(16, "0")
