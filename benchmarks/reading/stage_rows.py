"""What reading and selecting rows costs in a stage: CPU seconds and memory over the imports, for each format.

    .venv/bin/python -m benchmarks.reading.stage_rows [COUNT] [FORMAT ...]

COUNT rows (300,000), one tenth of them in the test split; 16 shots a label of `max_n_train: 1000`, and
`max_n_test: 1000`. Each figure is of a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.commands import ROOT
from benchmarks.reading.made_data import FORMATS, made_rows, write

CAP = 1000
STAGES = ("train", "infer", "evaluate", "plan")
MB = 1e6


def main(count: int, forms: list[str]) -> None:
    """Print a line for each format and stage."""
    train, test = made_rows(count)
    for form in forms:
        with tempfile.TemporaryDirectory() as place:
            write(form, Path(place), {"train": train, "test": test})
            for stage in STAGES:
                command = [sys.executable, "-m", "benchmarks.reading.stage_rows", "--in", place, stage]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                cpu, wall, memory, digest = json.loads(done.stdout)
                print(
                    f"{count:,} rows, {form}, {stage}: {cpu:.2f} s on the CPU ({wall:.2f} s), {memory:.0f} MB over "
                    f"the imports; {digest}",
                    flush=True,
                )


def measure(folder: Path, stage: str) -> list[Any]:
    """CPU seconds, seconds, MB over the imports, and what was read in short."""
    _import_all()
    from sft.config.experiment import ExperimentConfig

    config = ExperimentConfig.model_validate(
        {
            "dataset": {
                "path": str(folder),
                "task_type": "classification",
                "shots": 16,
                "max_n_train": CAP,
                "max_n_test": CAP,
            },
            "model": {"name": "tiny"},
            "prompting": {"input_columns": ["text"], "output_column": "label"},
            "evaluation": {"metrics": ["accuracy"]},
        }
    )
    before = _reset_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    digest = _planned(config, folder) if stage == "plan" else _run(config, folder, stage)
    return [time.process_time() - cpu, time.perf_counter() - wall, (_status("VmHWM") - before) / MB, digest]


def _planned(config: Any, folder: Path) -> str:
    from sft.experiments.planning.checks.data import DataChecks, DataFacts

    facts = DataChecks(folder, lambda config: None).facts(config, with_gold=True)
    if not isinstance(facts, DataFacts):
        raise TypeError(facts)
    return f"{facts.n_train} shots, {facts.n_test} test rows, {facts.n_leaked} leaked"


def _run(config: Any, folder: Path, stage: str) -> str:
    from sft.data.loading import data_fingerprint
    from sft.evaluation.predictions import kept_columns
    from sft.tasks.inputs import planned_inputs, row_text, rows_sha256

    fingerprints = {"revisions": {}, "data": data_fingerprint(config.dataset, folder, None)}
    inputs = planned_inputs(config, folder, fingerprints)
    selection = inputs.selection
    if stage == "evaluate":
        kept = [kept_columns(row.values, None, "label") for row in selection.test]
        return f"{len(kept)} test rows {rows_sha256(selection.test)[:8]}"
    asked = selection.shots if stage == "train" else (*selection.shots, *selection.test)
    texts = [row_text(row, config.prompting) for row in asked]
    return f"{len(texts)} texts of {sum(map(len, texts)):,} characters"


def _import_all() -> None:
    import datasets  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import sft.data.loading
    import sft.evaluation.predictions
    import sft.experiments.planning.checks.data  # noqa: F401


def _reset_peak() -> float:
    """Begin the peak anew, and give the memory there is."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
    if sys.argv[1:2] == ["--in"]:
        print(json.dumps(measure(Path(sys.argv[2]), sys.argv[3])))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 300_000, sys.argv[2:] or list(FORMATS))
