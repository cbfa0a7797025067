"""The export stage: the model of a finished training as one model for other programs, in `export/`."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sft.deployment.exporting.comparison import ROWS, distance, logits_of
from sft.deployment.exporting.forms import read_form, write_form
from sft.deployment.exporting.merging import Measured, merged_model
from sft.exceptions import StageFailure
from sft.models.answering.heads import describe_head
from sft.models.library_warnings import forget_warnings, noted_warnings
from sft.models.loading import ModelSource, context_length, load_config, load_model
from sft.models.model_args import REMOTE_CODE, runs_remote_code, spreads_over_gpus
from sft.models.tokenizer_files import WantedTokenizer
from sft.objectives import objective_of
from sft.processes.environment import device_record, peak_rss_bytes, versions
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord
from sft.tasks.encoding import model_source, smallest
from sft.tasks.inputs import Inputs, inputs_of_job
from sft.tasks.planned import check_unchanged
from sft.tasks.prompting import PromptMaker
from sft.training.options import trainer_args_of

SCHEMA = 1


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Merge the adapter of a training into its base, write that with its tokenizer, and read it again.

    What is written half is removed; `export.json` says how far the models are from each other, the manifest comes
    last.

    Raises:
        UserError: the adapter cannot be merged, or the merged model is another one.
        StageFailure: there is no room for it, or what is read again is not what was written.
    """
    forget_warnings()
    inputs = inputs_of_job(record)
    form = inputs.config.save_method
    trained = record.input_folder("train", job.path)
    if trained is None or form == "adapter":
        raise ValueError(f"{job.path}: the job names no training, or no form to export")
    folder, commits = Path(record.config_folder), record.fingerprints["revisions"]
    source = model_source(inputs.config, folder, commits.get("model"), inputs.labels)
    objective = objective_of(inputs.config, inputs.task.objectives)
    maker = PromptMaker(inputs.config, folder, commits, inputs.labels, objective.reads)
    rows = _rows(inputs, maker, context_length(load_config(source)))
    adapter = JobFolder(trained).adapter
    model, measured = merged_model(lambda: load_model(source, objective), adapter, rows, progress.beat)
    if objective.has_head:
        describe_head(model, maker.tokenizer, objective.answers[inputs.task.output].problem_type)
    check_unchanged(record, inputs.config)
    dtype = str(model.dtype).removeprefix("torch.")
    facts: dict[str, Any] = {"save_method": form, "dtype": dtype, "rows": len(rows[:ROWS])}
    arguments = _arguments(model, source)
    try:
        write_form(model, form, job.exported)
        del model
        reread = _reread(measured, read_form(objective.loader(), form, job.exported, arguments), rows, progress)
        WantedTokenizer.of(inputs.config.model, commits, folder).write(job.exported)
    except BaseException:
        shutil.rmtree(job.exported, ignore_errors=True)
        raise
    facts["distances"] = {**asdict(measured.distances), "reread": reread}
    _write_record(job, facts, started)
    write_manifest(job, [job.exported, job.export_record])


def _write_record(job: JobFolder, facts: Mapping[str, Any], started: float) -> None:
    written = {
        "schema": SCHEMA,
        **facts,
        "peak_rss_bytes": peak_rss_bytes(),
        "environment": {**device_record(), "versions": versions(), "library_warnings": noted_warnings()},
        "stage_seconds": time.perf_counter() - started,
    }
    write_json(job.export_record, written)


def _arguments(model: Any, source: ModelSource) -> dict[str, Any]:
    """With what a written model is read again, to lie where the model lay."""
    arguments = {"dtype": "auto", REMOTE_CODE: runs_remote_code(source.model_args)}
    if model.device.type == "cpu":
        return arguments
    return {**arguments, "device_map": "auto" if spreads_over_gpus(source.model_args) else {"": model.device}}


def _reread(measured: Measured, model: Any, rows: list[list[int]], progress: Progress) -> float:
    """How far the model that was read again is from the one that was written.

    Raises:
        StageFailure: too far.
    """
    found = distance(measured.logits, logits_of(model, rows, progress.beat))
    if not found <= measured.distances.tolerance:
        raise StageFailure(f"what was exported reads as another model, by {found:.2g} of the logits", kind="model")
    return found


def _rows(inputs: Inputs, maker: PromptMaker, limit: int | None) -> list[list[int]]:
    """The ids of the training rows with their answers, without examples; where an encoder reads, of what it reads."""
    longest = smallest(trainer_args_of(inputs.config).get("max_length"), limit)
    rows = maker.training.rows("train", inputs.selection.shots, lambda _: (), longest, with_answer=True)
    if maker.reads == "source":
        return [list(row.encoded.prompt_ids) for row in rows]
    return [[*row.encoded.prompt_ids, *row.encoded.completion_ids] for row in rows]
