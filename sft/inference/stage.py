"""The infer stage: label scores or generated texts of a row set."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.adapters.parameters import count_parameters
from sft.adapters.saving import load_adapter
from sft.adapters.virtual_tokens import context_left, virtual_tokens
from sft.exceptions import StageFailure
from sft.inference.answering import Asked, answering_of
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.limits import prompt_limit
from sft.inference.memory import Sizes, batch_limits
from sft.models.library_warnings import forget_warnings, noted_warnings
from sft.models.loading import context_length, load_model
from sft.objectives import objective_of
from sft.processes.environment import device_memory_bytes, device_record, peak_rss_bytes, versions
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord
from sft.tasks.encoding import model_source
from sft.tasks.inputs import Inputs, inputs_of_job
from sft.tasks.planned import check_unchanged
from sft.tasks.prompting import PromptedRow, PromptMaker
from sft.tasks.row_sets import RowSet, prompted_set

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SCHEMA = 1
SAMPLE_ROWS = 3


@dataclass(frozen=True)
class Ready:
    """A model that is loaded, with all that it takes to ask it."""

    maker: PromptMaker
    model: "PreTrainedModel"
    prompt_limit: int | None
    """Most tokens of a prompt."""
    pass_limits: PassLimits

    def prompted(self, inputs: Inputs, row_set: str) -> dict[str, list[PromptedRow]]:
        """The rows of a set as prompts, by their split.

        Raises:
            DataError: a row is too long after all cuts, or there are no rows.
        """
        return prompted_set(inputs, self.maker, RowSet.parse(row_set), self.prompt_limit)


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """Run the rows of a set through the model and write scores or texts, counts, and the manifest last."""
    forget_warnings()
    inputs = inputs_of_job(record)
    ready = load_ready(inputs, job, record)
    rows, limits, model = ready.prompted(inputs, record.row_set), ready.pass_limits, ready.model
    began = time.perf_counter()
    answered = answering_of(inputs.config).answer(Asked(inputs, ready.maker, model, rows, limits, progress), job)
    answer_seconds = time.perf_counter() - began
    _write_sample(job, rows)
    how = {
        "batch_size": limits.rows,
        "batch_tokens": limits.tokens,
        "slow_reason": answered.slow_reason,
        "dtype": str(model.dtype).removeprefix("torch."),
        "total_parameters": count_parameters(model)[1],
        "answer_seconds": answer_seconds,
    }
    _write_record(job, record, rows, how, started)
    write_manifest(job, [answered.result, job.sample, job.inference])


def load_ready(inputs: Inputs, job: JobFolder, record: JobRecord) -> Ready:
    """The model of an infer job with its adapter, and its tokenizer.

    Raises:
        DataError: one of them changed since the plan.
        StageFailure: there is no such memory step.
    """
    folder = Path(record.config_folder)
    revisions = record.fingerprints["revisions"]
    objective = objective_of(inputs.config, inputs.task.objectives)
    maker = PromptMaker(inputs.config, folder, revisions, inputs.labels, objective.reads)
    maker.tokenizer  # noqa: B018  read before what was read is compared with the plan
    model = _model(inputs, job, record, revisions.get("model"))
    check_unchanged(record, inputs.config)
    context = context_left(context_length(model), virtual_tokens(model))
    limit = prompt_limit(inputs, maker.inference, context)
    return Ready(maker, model, limit, _limits(inputs, record.memory_step, model))


def _model(inputs: Inputs, job: JobFolder, record: JobRecord, revision: str | None) -> "PreTrainedModel":
    config = inputs.config
    folder = Path(record.config_folder)
    source = model_source(config, folder, revision, inputs.labels)
    model = load_model(source, objective_of(config, inputs.task.objectives))
    train = record.input_folder("train", job.path)
    if train is not None:
        return load_adapter(model, JobFolder(train).adapter)
    if config.model.adapter is not None:
        return load_adapter(model, folder / config.model.adapter)
    return model


def _limits(inputs: Inputs, memory_step: int, model: "PreTrainedModel") -> PassLimits:
    sizes = Sizes.of(model.config.get_text_config())
    limits = batch_limits(inputs.config, memory_step, sizes, model.device.type, device_memory_bytes(model.device.type))
    if limits is None:
        raise StageFailure(f"there is no memory step {memory_step}: the batch is as small as it can be")
    return limits


def _write_sample(job: JobFolder, rows: dict[str, list[PromptedRow]]) -> None:
    """Write the first prompts, for people to read."""
    items = [(split, row) for split, split_rows in rows.items() for row in split_rows][:SAMPLE_ROWS]
    sample = [{"split": split, "source_index": row.row.source_index, "text": row.encoded.text} for split, row in items]
    write_json(job.sample, {"schema": SCHEMA, "prompts": sample})


def _write_record(
    job: JobFolder,
    record: JobRecord,
    rows: dict[str, list[PromptedRow]],
    facts: Mapping[str, Any],
    started: float,
) -> None:
    everything = [row for items in rows.values() for row in items]
    lengths = [len(row.encoded.prompt_ids) for row in everything]
    written = {
        "schema": SCHEMA,
        "row_set": record.row_set,
        "rows": {split: len(items) for split, items in rows.items()},
        "examples": {split: [list(row.examples) for row in items] for split, items in rows.items()},
        "n_truncated": sum(row.encoded.cut.any for row in everything),
        "n_special_in_text": sum(row.encoded.n_special for row in everything),
        "prompt_tokens": {"min": min(lengths), "mean": sum(lengths) / len(lengths), "max": max(lengths)},
        "memory_step": record.memory_step,
        **facts,
        "peak_rss_bytes": peak_rss_bytes(),
        "environment": {**device_record(), "versions": versions(), "library_warnings": noted_warnings()},
        "stage_seconds": time.perf_counter() - started,
    }
    write_json(job.inference, written)
