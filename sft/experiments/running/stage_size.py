"""How much a stage has to do by its config, and with which other stages it compares."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sft.config.dataset import dev_cap
from sft.config.experiment import adapter_section
from sft.runs.records import JobRecord
from sft.tasks import task_registry
from sft.tasks.inputs import task_named
from sft.tasks.row_sets import RowSet

ROWS_UNKNOWN = 1000
EPOCHS, BATCH, NEW_TOKENS = 3.0, 8, 128
"""What counts where a config leaves them out."""
TRAINING_PASS = 3.0
"""A forward and a backward pass, in forward passes."""
TOKENS_PER_ROW = 8.0
"""Tokens whose generation costs about as much as a row that is only read."""
EVALUATION = 0.01
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)\s*([BM])(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class RowCounts:
    """Rows that an experiment trains on and is evaluated on."""

    train: int
    evaluated: int


@dataclass(frozen=True)
class StageWork:
    """How much a stage has to do, and with which stages it compares."""

    likeness: tuple[str, ...]
    """From general (stage, model) to exact; stages are like each other as far as they share its beginning."""

    size: float
    """Rows that pass the model, each weighed by its examples; no unit."""

    @property
    def stage(self) -> str:
        """The name of the stage."""
        return self.likeness[0]


def planned_rows(record: JobRecord, known: RowCounts | None) -> RowCounts:
    """The rows that a stage will have, of the row set that it runs.

    Args:
        record: the stage's job.
        known: the rows of its experiment, where they are known.
    """
    rows = known or assumed_rows(record)
    if record.fold is not None:
        rows = RowCounts(rows.train, -(-rows.evaluated // _folds(record)))
    row_set = RowSet.parse(record.row_set)
    if row_set.kind == "eval":
        return rows
    return RowCounts(rows.train, row_set.size * (rows.evaluated if row_set.per_row else 1))


def stage_work(record: JobRecord, rows: RowCounts | None = None) -> StageWork:
    """What a stage has to do, by its config.

    Args:
        record: the stage's job.
        rows: the rows of its experiment, where they are known.
    """
    known = rows or assumed_rows(record)
    if record.stage == "train":
        return StageWork(_training_likeness(record), _training_size(record, known))
    if record.stage == "infer":
        return StageWork(_inference_likeness(record), _inference_size(record, known))
    if record.stage == "export":
        return StageWork(_model_likeness(record), _billions(record))
    data = _text(record.fingerprints.get("data"))
    metrics = _text(_part(record.config, "evaluation"))
    return StageWork((record.stage, data, metrics), max(1, known.evaluated) * EVALUATION)


def _training_likeness(record: JobRecord) -> tuple[str, ...]:
    config = record.config
    section = adapter_section(config)
    adapter = config.get(section) or {}
    method = "lora" if section == "lora" else str(adapter.get("method"))
    args = dict(_trainer_args(record))
    passes = {key: args.pop(key, None) for key in ("num_train_epochs", "max_steps")}
    batch = {key: value for key, value in args.items() if "batch" in key or "checkpointing" in key or "length" in key}
    own = _text([record.fingerprints.get("data"), config.get("prompting"), batch, adapter])
    sizes = _text([key for key, value in passes.items() if value is not None])
    start = adapter.get("init_lora_weights", adapter.get("init_weights"))
    return (*_model_likeness(record), f"{method} {start}", own, sizes)


def _training_size(record: JobRecord, rows: RowCounts) -> float:
    args = _trainer_args(record)
    steps = args.get("max_steps") or -1
    per_step = (args.get("per_device_train_batch_size") or BATCH) * (args.get("gradient_accumulation_steps") or 1)
    passes = steps * per_step if steps > 0 else rows.train * (args.get("num_train_epochs") or EPOCHS)
    return max(1.0, passes) * _examples(record, "training") * _billions(record) * TRAINING_PASS


def _inference_likeness(record: JobRecord) -> tuple[str, ...]:
    config, inference = record.config, _part(record.config, "inference")
    task = str(_part(config, "dataset").get("task_type"))
    prompts = [config.get("prompting"), inference.get("prompting"), inference.get("generation_args")]
    own = _text([record.fingerprints.get("data"), record.fingerprints.get("labels"), *prompts])
    return (*_model_likeness(record), task, own, str("train" in record.inputs))


def _inference_size(record: JobRecord, rows: RowCounts) -> float:
    config = record.config
    per_row = _examples(record, "inference")
    if _writes_texts(record):
        asked = _part(_part(config, "inference"), "generation_args").get("max_new_tokens")
        limit = asked or _part(config, "prompting").get("max_output_length") or NEW_TOKENS
        per_row += limit / TOKENS_PER_ROW
    return max(1, rows.evaluated) * per_row * _billions(record)


def _writes_texts(record: JobRecord) -> bool:
    """A task type of another version, which is not known here, counts as one that scores labels."""
    task_type = _part(record.config, "dataset").get("task_type")
    return task_type in task_registry and task_named(str(task_type)).uses("inference.generation_args")


def _model_likeness(record: JobRecord) -> tuple[str, str, str]:
    model = _part(record.config, "model")
    how = _text([model.get("quantization"), model.get("model_args")])
    return record.stage, str(record.fingerprints.get("model")), how


def _examples(record: JobRecord, section: str) -> float:
    """Rows in one prompt: the row itself and its in-context examples, which count per label where there are labels."""
    k = _part(record.config, section).get("icl_examples") or 0
    return 1.0 + k * max(1, len(record.fingerprints.get("labels") or ()))


def _billions(record: JobRecord) -> float:
    """Parameters as many models say them in their name; 1 where it says nothing."""
    found = _BILLIONS.search(str(_part(record.config, "model").get("name")).rpartition("/")[2])
    if found is None:
        return 1.0
    return float(found[1]) / (1 if found[2] in "bB" else 1000) or 1.0


def assumed_rows(record: JobRecord) -> RowCounts:
    """The rows by the shots and caps of the config."""
    dataset = _part(record.config, "dataset")
    labels = max(1, len(record.fingerprints.get("labels") or ()))
    shots, most = dataset.get("shots"), dataset.get("max_n_train")
    drawn_from = 1 if dataset.get("shots_by") == "total" else labels
    train = shots * drawn_from if isinstance(shots, int) else most or ROWS_UNKNOWN
    test = dataset.get("max_n_test")
    dev = (dev_cap(dataset.get("max_n_dev"), test),) if _part(dataset, "splits").get("dev") is not None else ()
    return RowCounts(train, sum(cap or ROWS_UNKNOWN for cap in (test, *dev)))


def _folds(record: JobRecord) -> int:
    """How many folds the rows are cut into, 1 without any."""
    folds = _part(_part(record.config, "dataset"), "splits").get("folds")
    return folds if isinstance(folds, int) else 1


def _trainer_args(record: JobRecord) -> Mapping[str, Any]:
    return _part(_part(record.config, "training"), "trainer_args")


def _part(section: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = section.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
