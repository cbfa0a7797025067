"""How two stages differ, told in the words of a config: `training.trainer_args.learning_rate 0.0002 -> 0.0003`.

A key is made of fields that are named for what counts, not for where it is written; here each goes back to the dotted
key that a user would look for. What enters a key by its content (files, models, own code) is told by name.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.config.canonical import canonical_json
from sft.config.dataset import DatasetConfig
from sft.config.experiment import adapter_section
from sft.data.loading import data_names
from sft.exceptions import SftError
from sft.runs.records import EVAL, MODEL_STAGES, JobRecord, StageInput
from sft.training.argument_files import KEYS

READS, VERSION = "reads", "version of the stage"
_DATA = "reading.content."
VALUE_LENGTH = 60

_NAMES: Mapping[str, str] = {
    "pool.shots_seed": "seeds.shots",
    "icl_seed": "seeds.icl",
    "init_seed": "seeds.init",
    "training_seed": "seeds.training",
    "pool": "dataset",
    "rows": "dataset",
    "max_n_dev": "dataset.max_n_dev",
    "reading.columns": "prompting.input_columns",
    "reading": "dataset",
    "trainer_args": "training.trainer_args",
    "class_weights": "training.class_weights",
    "objective": "training.objective",
    "save_method": "training.save_method",
    "last_layer": "training.last_layer",
    "random_icl": "inference.random_icl",
    "label_scoring": "inference.label_scoring",
    "calibration_args": "inference.calibration_args",
    "max_seq_length": "inference.max_seq_length",
    "generation_args": "inference.generation_args",
    "batch_size": "inference.batch_size",
    "metrics": "evaluation.metrics",
    "arguments": "evaluation",
    "keep_columns": "dataset.keep_columns",
    "slices": "evaluation.slices",
    "corrections": "dataset.corrections",
    "method": "adapter.method",
    "version": VERSION,
}
"""Field, or its first part, -> where a config has it; fields that are not here are written as they are called."""

_CONTENTS: Mapping[str, str] = {
    "model.content": "model.name",
    "model.chat_template": "model.chat_template_from",
    "model.adapter": "model.adapter",
    "tokenizer": "evaluation.tokenizer_name",
    "corrections": "dataset.corrections",
    "encoder": "evaluation.baseline_encoder",
}
"""Fields that hold the content of what a key of the config names."""

_ARGUMENT_FILES = tuple(f"trainer_args.{key}" for key in KEYS)
_ENCODER = "icl_encoder"
_LOSS_TYPE, _OBJECTIVE = "trainer_args.loss_type", "training.objective"
"""A field that two keys of a config make."""
_INITIALISATIONS = ("options.init_lora_weights", "options.init_weights")
_OF_EITHER_SECTION = ("icl_examples", "icl_selection", _ENCODER)
"""Fields that belong to `training` in a train stage, else to `inference`."""


@dataclass(frozen=True, order=True)
class Difference:
    """One key in which a stage differs from a finished one."""

    key: str
    """Dotted, as in a config."""
    text: str
    """The key with both values, or what has changed."""


def leaves(fields: Mapping[str, Any]) -> dict[str, str]:
    """Dotted field -> canonical JSON; a list is a leaf, a map without entries is nothing."""
    return dict(_leaves(fields, ""))


def differences(old: JobRecord, new: JobRecord) -> list[Difference]:
    """What a stage has other than a finished one, by key; for what it reads, that it reads another stage.

    A field can differ because another one does: seed and shots are in a key only where they have an effect. What both
    configs say alike is left out, where anything else is left to tell.
    """
    before, after = leaves(old.key_fields), leaves(new.key_fields)
    changed = [field for field in {**before, **after} if before.get(field) != after.get(field)]
    found = {field: _difference(field, before.get(field), after.get(field), old, new) for field in changed}
    causes = {item for field, item in found.items() if not _follows(field, before.get(field), item, old, new)}
    return sorted(causes or set(found.values()))


def _follows(field: str, before: str | None, difference: Difference, old: JobRecord, new: JobRecord) -> bool:
    """Whether a field differs only because of another one."""
    if field.startswith(_DATA):
        return before is None
    comes_or_goes = field == _ENCODER and not (field in old.key_fields and field in new.key_fields)
    if difference.key in (READS, VERSION) or (_is_content(field) and not comes_or_goes):
        return False
    return bool(_setting(old.config, difference.key) == _setting(new.config, difference.key))


def _is_content(field: str) -> bool:
    """Whether a field holds the content of a file or of code, which may differ under the same setting."""
    named = (*_CONTENTS, _ENCODER, *_ARGUMENT_FILES, *_INITIALISATIONS)
    return field in named or field.startswith(("code.", "modules."))


def _difference(field: str, before: str | None, after: str | None, old: JobRecord, new: JobRecord) -> Difference:
    if field in MODEL_STAGES or field.startswith("infer:"):
        how = "no" if after is None else "a" if before is None else "another"
        read = StageInput.parse(field)
        of = "" if read.row_set == EVAL else f" of {read.row_set}"
        fold = "" if read.fold is None else f" of fold {read.fold}"
        return Difference(READS, f"reads {how} {read.stage} stage{of}{fold}")
    if field.startswith(_DATA):
        return _data(field.removeprefix(_DATA), old, new)
    if field in _CONTENTS:
        return _content(_CONTENTS[field], old, new)
    if field == _ENCODER:
        return _content(_config_key(field, new), old, new)
    if field.startswith("code."):
        name = field.removeprefix("code.")
        return Difference(name, f"{name.rpartition(':')[0]} changed")
    if field.startswith("modules."):
        name = field.removeprefix("modules.")
        return Difference(f"evaluation.metrics.{name}", f"the module of the metric {name} changed")
    if field in _ARGUMENT_FILES:
        return _content(_config_key(field, new), old, new)
    key = _config_key(field, new)
    if field in _INITIALISATIONS and _setting(old.config, key) == _setting(new.config, key):
        return Difference(key, f"{str(_setting(new.config, key)).rpartition(':')[0]} changed")
    if field == _LOSS_TYPE and any(_setting(record.config, _OBJECTIVE) == "dft" for record in (old, new)):
        key = _OBJECTIVE
    if field.startswith("prompting.") and any(_setting(record.config, f"inference.{key}") for record in (old, new)):
        key = f"inference.{field}"
    # What is as by default is in no key, but a config may have it.
    values = [
        shown(_setting(record.config, key)) if text is None else _shown(text)
        for record, text in ((old, before), (new, after))
    ]
    return Difference(key, f"{key} {values[0]} -> {values[1]}")


def _config_key(field: str, record: JobRecord) -> str:
    if field in _OF_EITHER_SECTION:
        return f"training.{field}" if record.stage == "train" else f"inference.{field}"
    if field.split(".")[0] == "options":
        return f"{adapter_section(record.config)}{field.removeprefix('options')}"
    parts = field.split(".")
    for length in range(len(parts), 0, -1):
        name = _NAMES.get(".".join(parts[:length]))
        if name is not None:
            key = ".".join([name, *parts[length:]])
            # A seed that is not written follows the experiment's own.
            return "seed" if name.startswith("seeds.") and _setting(record.config, name) is None else key
    return field


def _data(role: str, old: JobRecord, new: JobRecord) -> Difference:
    for key in ("dataset.path", f"dataset.splits.{'train' if role == 'all' else role}"):
        before, after = _setting(old.config, key), _setting(new.config, key)
        if before != after:
            return Difference(key, f"{key} {shown(before)} -> {shown(after)}")
    try:
        dataset = DatasetConfig.model_validate(new.config["dataset"])
        names = data_names(dataset, Path(new.config_folder))
    except (SftError, ValueError, OSError):
        names = {}
    name = names.get(role, f"split {role} of {_setting(new.config, 'dataset.path')}")
    return Difference(f"dataset.{role}", f"{name} changed")


def _content(key: str, old: JobRecord, new: JobRecord) -> Difference:
    before, after = _setting(old.config, key), _setting(new.config, key)
    if before == after:
        return Difference(key, f"{key}: the content of {after} changed")
    return Difference(key, f"{key} {shown(before)} -> {shown(after)}")


def _setting(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def shown(value: Any) -> str:
    """A setting for one line; None is one that is not written."""
    return _shown(None if value is None else canonical_json(value))


def _shown(text: str | None) -> str:
    """A value for one line; None is one that is not written or as by default."""
    if text is None:
        return "(default)"
    return text if len(text) <= VALUE_LENGTH else f"{text[: VALUE_LENGTH - 3]}..."


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from _leaves(item, f"{path}.")
        else:
            yield path, canonical_json(item) if isinstance(item, float | list | tuple) else json.dumps(item)
