"""Finished experiments on real rows, and the baseline jobs beside them, which are run in this process."""

import json
import time
from pathlib import Path
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.data.loading import data_fingerprint
from sft.evaluation.baselines.stage import run
from sft.models.references import model_fingerprint
from sft.pipeline.experiment import Experiment, Fingerprints
from sft.pipeline.jobs import PlannedJob, baseline_jobs
from sft.pipeline.keys import StageKeys, stage_keys
from sft.reporting.files import write_leaderboard
from sft.runs.atomic import write_json
from sft.runs.progress import Progress
from sft.runs.records import StatusRecord, write_record
from sft.tasks.encoders import encoders_of
from sft.tasks.inputs import load_inputs, rows_sha256
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

NAMES = ["majority class", "TF-IDF + logistic regression"]
RESULTS = {"macro_f1": 0.9, "accuracy": 0.9, "log_loss": 0.1, "ece": 0.1, "label_mass": 1.0}


class BaselineGrid:
    """Experiments on real rows: `good ...` is pos, `bad ...` is neg, and pos is more frequent."""

    def __init__(self, path: Path) -> None:
        self.data = path / "data"
        self.folder = ResultsBuilder(path / "results")
        self.experiments: list[tuple[Experiment, StageKeys]] = []
        for split, pos, neg in (("train", 9, 4), ("dev", 3, 2), ("test", 4, 2)):
            self.write(split, [("pos", number) for number in range(pos)] + [("neg", number) for number in range(neg)])

    def encoder(self, name: str) -> str:
        """A folder that has the look of a sentence-embedding model; gives its name for a config."""
        (self.data / name).mkdir(parents=True)
        (self.data / name / "modules.json").write_text(f'["{name}"]')
        return name

    def write(self, split: str, rows: list[tuple[str, int]]) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        words = {"pos": "good", "neg": "bad"}
        lines = [{"text": f"{words[label]} {split} {number}", "label": label} for label, number in rows]
        (self.data / f"{split}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def done(
        self, name: str, results: dict[str, Any] = RESULTS, *, by_earlier_version: bool = False, **changes: Any
    ) -> None:
        """A finished experiment; one of a version before the jobs does not say which baselines stand beside it."""
        own = config(dataset={"path": str(self.data), "shots": 2} | changes.pop("dataset", {}), **changes)
        checked = ExperimentConfig.model_validate(own)
        inputs = load_inputs(checked, self.data, {})
        assert inputs.labels is not None
        selection = inputs.selection
        data = {
            "train_indices": [row.source_index for row in selection.shots if checked.uses_shots],
            "test_rows_sha256": rows_sha256(selection.test),
            "dev_rows_sha256": None if selection.dev is None else rows_sha256(selection.dev),
        }
        labels = [[value, value] for value in inputs.labels.values]
        named = encoders_of(checked, inputs.task)
        encoders = {section: model_fingerprint(name, self.data, None) for section, name in named.items()}
        fingerprints = Fingerprints(
            data_fingerprint(checked.dataset, self.data, None), model="m", labels=labels, encoders=encoders
        )
        experiment = Experiment(name, checked, self.data, fingerprints)
        keys = stage_keys(experiment)
        key = f"{len(self.folder.configs):016x}"
        record = metrics(results, data=data, details={"labels": list(inputs.labels.values), "higher_is_better": {}})
        job = self.folder.done(name, key, own, record)
        known = {"schema": 1, "id": key, "names": [name], "config": own, "config_folder": str(self.data)}
        stages = {} if by_earlier_version else {"baseline": keys.baseline}
        prints = {"data": fingerprints.data, "revisions": {}}
        write_json(job.config, known | {"stages": stages, "fingerprints": prints})
        self.experiments.append((experiment, keys))

    def jobs(self) -> list[PlannedJob]:
        """The baseline jobs beside the experiments."""
        return baseline_jobs(self.experiments, self.folder.results)

    def baselines(self, job: PlannedJob) -> Any:
        """What a finished job says of each baseline, by name."""
        return json.loads(job.folder.baselines.read_text())["baselines"]

    def measure(self) -> int:
        """Run the baseline jobs that are not done, as a worker does; how many these were."""
        missing = [job for job in self.jobs() if not job.is_done]
        for job in missing:
            write_record(job.folder.job, job.record)
            run(job.folder, job.record, Progress(job.folder.progress, "baseline"), time.perf_counter())
            write_record(job.folder.status, StatusRecord("done", "baseline", attempt=1))
        return len(missing)

    def board(self) -> dict[str, Any]:
        """`leaderboard.json`, written anew."""
        write_leaderboard([self.folder.results], self.folder.results.path)
        written: dict[str, Any] = json.loads(self.folder.results.leaderboard("json").read_text())
        return written
