"""Every file name of a results folder and of a job folder."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

DEFAULT_RESULTS = Path("results")
"""Where results go when nobody says where."""

SLUG_LENGTH = 60
ID_DIGITS = 8
CONFIG_FILE = "config.json"
"""Of an experiment."""


@dataclass(frozen=True)
class JobFolder:
    """The folder of one stage: what to run, how it went, and its results."""

    path: Path
    out: Path | None = None
    """Where results and checkpoints grow before they are published; None: in place."""

    def growing_in(self, attempt: "AttemptFolder") -> "JobFolder":
        """The same folder, whose results and checkpoints grow in a try."""
        return JobFolder(self.path, attempt.out)

    @property
    def job(self) -> Path:
        return self.path / "job.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def progress(self) -> Path:
        return self.path / "progress.json"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    def attempt(self, number: int) -> "AttemptFolder":
        """The folder of one try, numbered from 1."""
        return AttemptFolder(self.attempts_path / f"{number:02d}")

    @property
    def attempts_path(self) -> Path:
        return self.path / "attempts"

    def attempts(self) -> list["AttemptFolder"]:
        """The tries there are, oldest first."""
        folder = self.attempts_path
        found = sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)) if folder.is_dir() else []
        return [AttemptFolder(path) for path in found]

    @property
    def in_force(self) -> Path:
        """Names the try that may publish its results."""
        return self.path / "attempt"

    @property
    def lock(self) -> Path:
        """Held by the worker while it runs."""
        return self.path / "lock"

    @property
    def _growing(self) -> Path:
        return self.path if self.out is None else self.out

    # of a train stage: what a killed training goes on from, and its results

    @property
    def checkpoints(self) -> Path:
        return self._growing / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self._growing / "adapter"

    @property
    def kept(self) -> Path:
        """Folders `checkpoint-STEP` with the adapter as it was then, where the user asked to have them."""
        return self._growing / "kept"

    @property
    def training(self) -> Path:
        return self._growing / "training.json"

    # results of an infer stage

    @property
    def scores(self) -> Path:
        return self._growing / "scores.npz"

    @property
    def texts(self) -> Path:
        return self._growing / "texts.jsonl"

    @property
    def inference(self) -> Path:
        return self._growing / "inference.json"

    @property
    def sample(self) -> Path:
        return self._growing / "sample.json"

    # results of an export stage

    @property
    def exported(self) -> Path:
        """The folder of the model for other programs."""
        return self._growing / "export"

    @property
    def export_record(self) -> Path:
        """What was exported, and how far it is from the adapter on its base."""
        return self._growing / "export.json"

    def outputs(self) -> list[Path]:
        """Everything that a stage may leave as its results."""
        model_stages = [self.adapter, self.kept, self.training, self.scores, self.texts, self.inference, self.sample]
        return [*model_stages, self.exported, self.export_record, self.result]

    # an experiment and the results of its evaluate stage

    @property
    def config(self) -> Path:
        return self.path / CONFIG_FILE

    @property
    def result(self) -> Path:
        return self._growing / "result"

    @property
    def metrics(self) -> Path:
        return self.result / "metrics.json"

    @property
    def rows(self) -> Path:
        """Gold, prediction and log-loss of each evaluated row."""
        return self.result / "rows.npz"

    @property
    def baselines(self) -> Path:
        """The numbers of the baselines, of a baseline stage."""
        return self.result / "baselines.json"

    def baseline_rows(self, name: str) -> Path:
        """The evaluated rows of a baseline, as `rows` has those of an experiment."""
        return self.result / f"rows.{slug(name)}.npz"

    def predictions(self, split: str, ending: str) -> Path:
        """The predictions of a split (`test` has the plain name) as `jsonl` or `tsv`."""
        return self.result / (f"predictions.{ending}" if split == "test" else f"predictions.{split}.{ending}")

    def written_results(self) -> list[Path]:
        """The files with predictions and metrics that are there, for people."""
        tables = [self.predictions(split, ending) for split in ("dev", "test") for ending in ("jsonl", "tsv")]
        return [path for path in (*tables, self.metrics) if path.is_file()]


@dataclass(frozen=True)
class AttemptFolder:
    """What one try of a stage printed, how it failed, and what grows in it."""

    path: Path

    @property
    def stdout(self) -> Path:
        return self.path / "stdout.log"

    @property
    def stderr(self) -> Path:
        return self.path / "stderr.log"

    @property
    def error(self) -> Path:
        return self.path / "error.json"

    @property
    def out(self) -> Path:
        """Where its results and checkpoints grow; gone when they are published."""
        return self.path / "out"

    @property
    def work(self) -> Path:
        """Where the process runs; scratch, emptied when it has ended."""
        return self.path / "work"


@dataclass(frozen=True)
class ResultsFolder:
    """The folder of a grid."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "run.lock"

    @property
    def claims(self) -> Path:
        """What takes the place of the lock where no file can be locked."""
        return self.path / "run.claims"

    @property
    def grid(self) -> Path:
        return self.path / "grid.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def trash(self) -> Path:
        """Where replaced folders go."""
        return self.path / "experiments" / ".trash"

    def leaderboard(self, ending: str) -> Path:
        """The leaderboard file of one format."""
        return self.path / f"leaderboard.{ending}"

    @property
    def baselines(self) -> Path:
        """The numbers of baselines as versions kept them in which they were no jobs; only read."""
        return self.path / "baselines.json"

    @property
    def board_cache(self) -> Path:
        """What a leaderboard read of the folder's files, so that the next one reads what is new; can be deleted."""
        return self.path / "cache" / "board.npz"

    @property
    def probes(self) -> Path:
        """Which clusters' machines were found to see the folder; can be deleted."""
        return self.path / "cache" / "probes"

    @property
    def mlflow_store(self) -> Path:
        """The database of the tracker `mlflow`, where no other store is named."""
        return self.path / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """The files of the runs in that database."""
        return self.path / "mlflow-artifacts"

    @property
    def tensorboard(self) -> Path:
        """A folder of each training that reports to TensorBoard."""
        return self.path / "tensorboard"

    def crash_log(self, time: str) -> Path:
        """Where the traceback of a bug goes."""
        return self.path / f"crash-{time}.log"

    def stage(self, name: str, key: str) -> JobFolder:
        """The folder of a train, infer, baseline or export stage."""
        return JobFolder(self.path / "stages" / name / key)

    @property
    def experiments(self) -> Path:
        return self.path / "experiments"

    def job_folders(self, stage: str) -> list[JobFolder]:
        """The folders of the jobs of a stage, by name; those of evaluate stages are the experiments."""
        return _folders_in(self.experiments if stage == "evaluate" else self.path / "stages" / stage)

    def experiment_folders(self) -> list[JobFolder]:
        """The experiments there are, by folder name."""
        return self.job_folders("evaluate")


def results_of(job: JobFolder) -> ResultsFolder:
    """The results folder that a job lies in."""
    places = job.path.parents
    return ResultsFolder(places[1] if places[0].name == "experiments" else places[2])


def _folders_in(path: Path) -> list[JobFolder]:
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return [JobFolder(path / name) for name in names]


def slug(name: str) -> str:
    """The part of a folder name that a person recognises: ASCII letters, digits, `.`, `_` and `-`, at most 60."""
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_text).strip("-.")
    return text[:SLUG_LENGTH].rstrip("-.") or "experiment"
