"""The command that has lm-evaluation-harness measure an experiment's adapter, and what its numbers are to equal."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sft.adapters.method import adapter_method
from sft.adapters.peft.folder import CONFIG
from sft.adapters.saving import method_of
from sft.deployment.lm_eval_task import lm_eval_task
from sft.evaluation.selection import UNCALIBRATED
from sft.exceptions import UserError
from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.experiments.running.trained_adapters import find_adapters, require_adapters
from sft.models.loading import dtype_name, local_model
from sft.pipeline.jobs import ExperimentFolders
from sft.pipeline.prompts import ExperimentPrompts
from sft.runs.files import ID_DIGITS, ResultsFolder
from sft.runs.manifest import difference, finished_files
from sft.runs.records import read_json_or_none

BATCH_SIZE = 8
"""Of lm-eval, where the config leaves it to the machine."""

_NOT_FOR_LM_EVAL = frozenset({"dtype", "torch_dtype", "no_split_module_classes"})


def write_lm_eval_task(plan: GridPlan, results: ResultsFolder, folder: Path) -> dict[str, Any]:
    """Write the test rows of a plan's one experiment as a task for lm-eval, and say how to run it.

    Args:
        plan: of one experiment.
        results: where its adapter and, once it is evaluated, its accuracy are looked for.
        folder: where the task goes.

    Returns:
        `{task, rows, files, command, metric, accuracy, notes}`: `accuracy` is what this experiment has as `metric` in
        that results folder, which lm-eval's `acc` is to equal; both are null where the two differ by design, and
        `accuracy` is where it is not measured yet. `notes` say what makes numbers differ.

    Raises:
        UserError: the adapter is not trained yet or is none of PEFT's, folds have one each, the experiment is a
            generation, or lm-eval would read rows as other ids.
        DataError: the test rows have no labels, or are too long.
    """
    (planned,) = plan.experiments
    _require_one_measurement(planned)
    _require_pefts(planned)
    require_adapters(plan, results)
    prompts = ExperimentPrompts(planned.experiment)
    task = lm_eval_task(prompts, planned.keys.experiment_id[:ID_DIGITS])
    files = task.write(folder)
    measured = _measured(planned, results)
    metric = _metric(planned)
    arguments = _model_arguments(planned, results, measured)
    return {
        "task": task.name,
        "rows": len(task.rows),
        "files": [str(path) for path in files],
        "command": _command(
            folder, task.name, arguments, planned.experiment.config.inference.batch_size or BATCH_SIZE
        ),
        "metric": metric,
        "accuracy": None if metric is None else measured.get("results", {}).get(metric),
        "notes": list(_notes(prompts, has_adapter="peft" in arguments)),
    }


def _require_one_measurement(planned: PlannedExperiment) -> None:
    """Refuse folds that differ in more than their rows.

    Raises:
        UserError: they do.
    """
    if planned.keys.folds:
        raise UserError(
            f"--lm-eval: each of the {len(planned.keys.folds)} folds has a training or examples of its own, and "
            "lm-eval measures one; write a test share in place of dataset.splits.folds"
        )


def _require_pefts(planned: PlannedExperiment) -> None:
    """Refuse an adapter that only this program loads.

    Raises:
        UserError: it is one.
    """
    config, adapter = planned.experiment.config, planned.experiment.config.model.adapter
    method = adapter_method(config.adapter_method) if config.trains else None
    if method is None and adapter is not None:
        method = method_of(planned.experiment.folder / adapter)
    if method is not None and method.saved_as != CONFIG:
        text = "the adapter is none that PEFT loads, and lm-eval knows no other"
        raise UserError(f"--lm-eval: {text}; export the model whole (training.save_method) and measure that")


def _measured(planned: PlannedExperiment, results: ResultsFolder) -> dict[str, Any]:
    """The experiment's `metrics.json`; empty where it is not evaluated yet, or damaged."""
    folder = ExperimentFolders(results).folder(planned.keys.experiment_id, planned.experiment.name)
    listed = finished_files(folder).get(folder.metrics.relative_to(folder.path).as_posix())
    if listed is None or difference(folder.metrics, listed) is not None:
        return {}
    record = read_json_or_none(folder.metrics)
    return record if isinstance(record, dict) else {}


def _metric(planned: PlannedExperiment) -> str | None:
    """The metric of ours that `acc` equals: plain sums of log-probabilities, the highest wins."""
    config = planned.experiment.config
    if config.inference.label_scoring.normalization != "sum":
        return None
    return "accuracy" if config.calibration == "none" else f"{UNCALIBRATED}accuracy"


def _model_arguments(planned: PlannedExperiment, results: ResultsFolder, measured: dict[str, Any]) -> dict[str, Any]:
    experiment = planned.experiment
    model = experiment.config.model
    local = local_model(model.name, experiment.folder)
    arguments: dict[str, Any] = {"pretrained": model.name if local is None else str(local.resolve())}
    revision = experiment.fingerprints.revisions.get("model")
    if local is None and revision:
        arguments["revision"] = revision
    trained = find_adapters(planned, results)
    if trained:
        arguments["peft"] = str(next(iter(trained.values())).adapter.resolve())
    elif model.adapter is not None:
        arguments["peft"] = str((experiment.folder / model.adapter).resolve())
    arguments["dtype"] = measured.get("environment", {}).get("dtype") or dtype_name(model.model_args)
    arguments["add_bos_token"] = False
    return arguments | {key: value for key, value in model.model_args.items() if key not in _NOT_FOR_LM_EVAL}


def _command(folder: Path, task: str, arguments: dict[str, Any], batch_size: int) -> str:
    """As JSON the arguments may hold any path; by `key=value` lm-eval would read `1e5` or a comma in one."""
    words = ["lm_eval", "--model", "hf", "--model_args", json.dumps(arguments), "--tasks", task]
    words += ["--include_path", ".", "--batch_size", str(batch_size)]
    return f"cd {shlex.quote(str(folder))} && {shlex.join(words)}"


def _notes(prompts: ExperimentPrompts, *, has_adapter: bool) -> Iterator[str]:
    config = prompts.experiment.config
    normalization = config.inference.label_scoring.normalization
    if normalization != "sum":
        yield f"lm-eval compares sums of log-probabilities, and this experiment ranks labels by {normalization}"
    if config.calibration != "none":
        yield f"lm-eval does not calibrate: its acc is {UNCALIBRATED}accuracy, not that of {config.calibration}"
    if config.model.quantization is not None:
        yield "lm-eval has no argument for model.quantization: it measures on the base as it is stored, unquantised"
    n_outputs, n_tokens = prompts.model_config.get_text_config().vocab_size, len(prompts.maker.tokenizer)
    if has_adapter and n_outputs != n_tokens:
        yield (
            f"before it loads an adapter, lm-eval resizes the model's {n_outputs:,} outputs to the tokenizer's "
            f"{n_tokens:,} tokens, which may move log-probabilities a little"
        )
