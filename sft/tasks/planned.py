"""Whether what a stage reads is still what its plan saw, so that no result stands under a key of other content."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sft.adapters.method import adapter_method
from sft.config.examples import INFERENCE, TRAINING, encoders_in_force
from sft.config.experiment import ExperimentConfig
from sft.exceptions import ChangedInput, UserError
from sft.models.references import model_fingerprint
from sft.registry import own_code_source
from sft.runs.records import JobRecord, StageName
from sft.tasks.encoders import BASELINE, encoder_path


def check_unchanged(record: JobRecord, config: ExperimentConfig) -> None:
    """Compare the models, adapters, templates, tokenizers, files of arguments and own code of a job with its plan.

    Own code whose source the job carries is run from there, so its file may change.

    Args:
        record: the job.
        config: the one that it carries.

    Raises:
        DataError: one of them changed since the plan; names it.
    """
    folder = Path(record.config_folder)
    for name, planned, commit in _read_by_stage(record, config):
        if planned is not None and _content(name, folder, commit) != planned:
            raise ChangedInput(name)
    for key, planned in record.fingerprints.get("files", {}).items():
        stage, _, name = key.partition(":")
        if stage == record.stage and _content(name, folder, None) != planned:
            raise ChangedInput(name)
    code = record.fingerprints.get("code", {})
    for name in own_code_of(record.stage, config, code):
        if name not in record.code and _code(name, folder) != code[name]:
            raise ChangedInput(name)


def own_code_of(stage: StageName, config: ExperimentConfig, names: Iterable[str]) -> list[str]:
    """Those names of own code that a stage runs: its adapter's in training, metrics and calibrator at the end."""
    trained_by = adapter_method(config.adapter_method).own_code(config.adapter_options).values()
    runs_in = {name: "train" if name in trained_by else "evaluate" for name in names}
    return [name for name in names if runs_in[name] == stage]


def _read_by_stage(record: JobRecord, config: ExperimentConfig) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, planned content and pinned commit of every model-like input of the job's stage."""
    prints = record.fingerprints
    commits = prints["revisions"]
    model = config.model
    if record.stage in ("evaluate", "baseline"):
        tokenizer = config.evaluation.tokenizer_name or config.inference.tokenizer_name
        if tokenizer is not None:
            yield tokenizer, prints.get("tokenizer"), commits.get("tokenizer")
        if record.stage == "baseline" and config.evaluation.baseline_encoder is not None:
            planned = prints.get("encoders", {}).get(BASELINE)
            yield config.evaluation.baseline_encoder, planned, commits.get(encoder_path(BASELINE))
        return
    yield model.name, prints.get("model"), commits.get("model")
    if model.chat_template_from is not None:
        yield model.chat_template_from, prints.get("chat_template"), commits.get("chat_template")
    if model.adapter is not None and "train" not in record.inputs:
        yield model.adapter, prints.get("adapter"), commits.get("adapter")
    section = TRAINING if record.stage == "train" else INFERENCE
    encoder = encoders_in_force(config).get(section)
    if encoder is not None:
        yield encoder, prints.get("encoders", {}).get(section), commits.get(f"{section}.icl_encoder")


def _content(name: str, folder: Path, commit: str | None) -> str | None:
    """The content of a model-like input; None where nothing is there any more."""
    try:
        return model_fingerprint(name, folder, commit)
    except UserError:
        return None


def _code(name: str, folder: Path) -> str | None:
    try:
        return hashlib.sha256(own_code_source(name, folder)).hexdigest()
    except UserError:
        return None
