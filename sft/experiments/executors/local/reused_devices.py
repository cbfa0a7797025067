"""What this machine gives otherwise than a finished stage had, or than a config asks for: devices and data types."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.config.model import QuantizationConfig
from sft.experiments.executors.local.gpu_question import Gpu
from sft.models.stored_kinds import kind_of, stored_kind
from sft.pipeline.gpus import gpus_needed
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import read_json_or_none
from sft.wording import counted, some

READ_STAGES = 1000
"""Finished stages that are read; of more, that many evenly."""
BF16_FROM = 8
"""Major compute capability from which on a GPU computes in bf16 itself."""
NEEDS_GPU: Mapping[str, str] = {
    "fp16": "has no effect on a CPU, which trains in the data type of the weights",
    "tf32": "fails on a CPU, whose products are whole fp32",
    "activation_offloading": "fails on a CPU, whose memory the activations lie in anyway",
}
"""Argument of a training -> what it does where there is no GPU."""
MACHINES_CHOICE = ("bfloat16", "float32")
"""Data types that are chosen by the machine where a config says none."""


def device_warnings(
    experiments: Mapping[str, Sequence[PlannedJob]],
    reused: Collection[Path],
    ask: Callable[[], Sequence[Gpu] | None],
) -> list[str]:
    """One line for each device or data type that this machine would not give, with the experiments it stands behind.

    Args:
        experiments: name -> jobs.
        reused: the folders of those that are not to be run.
        ask: gives the GPUs that a run may use; called where a stage tells what it was computed on.
    """
    jobs: dict[Path, PlannedJob] = {}
    names: dict[Path, list[str]] = {}
    for name, planned in experiments.items():
        for job in planned:
            if job.record.stage != "evaluate" and job.folder.path in reused:
                jobs[job.folder.path] = job
                names.setdefault(job.folder.path, []).append(name)
    step = -(-len(jobs) // READ_STAGES) or 1
    told = [(job, made) for job in list(jobs.values())[::step] if (made := _made(job))[0] is not None]
    found = ask() if told else ()
    stages: dict[str, dict[str, None]] = {}
    behind: dict[str, dict[str, None]] = {}
    for job, made in told:
        difference = _difference(job, *made, found)
        if difference:
            stages.setdefault(difference, {})[job.record.stage] = None
            behind.setdefault(difference, {}).update(dict.fromkeys(names[job.folder.path]))
    least = "at least " if step > 1 else ""
    return [
        f"in {least}{counted(len(behind[text]), 'experiment')}: {some(list(behind[text]))}: finished "
        f"{' and '.join(stages[text])} stages were computed {text}; results are kept (a stage whose folder is deleted "
        "runs again)"
        for text in behind
    ]


def precision_warnings(
    experiments: Mapping[str, Sequence[PlannedJob]],
    reused: Collection[Path],
    ask: Callable[[], Sequence[Gpu] | None],
) -> list[str]:
    """A line for each thing that stages which are to run on a CPU ask for, and which only a GPU can do.

    Args:
        experiments: name -> jobs.
        reused: the folders of those that are not to be run.
        ask: gives the GPUs that a run may use; called where a stage asks for such a thing.
    """
    asking: dict[tuple[str, str], dict[str, PlannedJob]] = {}
    for name, planned in experiments.items():
        for job in planned:
            if job.folder.path not in reused:
                for asked in _asked_of_a_gpu(job):
                    asking.setdefault(asked, {}).setdefault(name, job)
    n_gpus = len(ask() or ()) if asking else 0
    lines = []
    for (argument, what), jobs in asking.items():
        names = [
            name
            for name, job in jobs.items()
            if not gpus_needed(job.record.stage, job.record.config, n_gpus) or _trainer_args(job).get("use_cpu")
        ]
        if names:
            lines.append(f"{some(names, shown=1)}: {argument} {what}; leave it out, or run on a GPU")
    return lines


def _asked_of_a_gpu(job: PlannedJob) -> Iterator[tuple[str, str]]:
    """What a stage asks for, and what comes of it on a CPU."""
    stage, config = job.record.stage, job.record.config
    if stage == "train":
        for argument, what in NEEDS_GPU.items():
            if _trainer_args(job).get(argument):
                yield f"training.trainer_args.{argument}", what
    quantization = config.get("model", {}).get("quantization")
    if stage in ("train", "infer") and quantization:
        written = QuantizationConfig.model_validate(quantization)
        reason = kind_of(stored_kind(written, {})).unloadable_on_cpu
        if reason is not None:
            yield f"model.quantization {written.config_class}", f"fails on a CPU: {reason}"


def _trainer_args(job: PlannedJob) -> Mapping[str, Any]:
    training = job.record.config.get("training")
    written: Mapping[str, Any] = training.get("trainer_args", {}) if isinstance(training, Mapping) else {}
    return written


def _made(job: PlannedJob) -> tuple[str | None, str | None]:
    """The device that a finished stage recorded, and the data type of its weights."""
    written = read_json_or_none(job.folder.training if job.record.stage == "train" else job.folder.inference)
    record: Mapping[str, Any] = written if isinstance(written, dict) else {}
    environment = record.get("environment")
    device = environment.get("device") if isinstance(environment, dict) else None
    return (device if device in ("cuda", "cpu") else None), record.get("dtype")


def _difference(job: PlannedJob, device: str | None, dtype: str | None, found: Sequence[Gpu] | None) -> str:
    """What this machine would do otherwise; empty where nothing, or where it is not known."""
    gpus = found or ()
    here = "cuda" if gpus_needed(job.record.stage, job.record.config, len(gpus)) else "cpu"
    if device != here:
        return f"on {device}, " + ("no NVIDIA GPU is found here" if found is None else f"this machine gives {here}")
    dtype_here = _dtype_here(job.record.config, gpus if here == "cuda" else ())
    if dtype in MACHINES_CHOICE and dtype_here is not None and dtype != dtype_here:
        return f"in {dtype}, this machine gives {dtype_here}"
    return ""


def _dtype_here(config: Mapping[str, Any], gpus: Sequence[Gpu]) -> str | None:
    """The data type of the weights where the machine decides; None where it does not, or GPUs of two kinds do."""
    model = config.get("model", {})
    arguments = model.get("model_args", {})
    if "dtype" in arguments or "torch_dtype" in arguments or model.get("quantization"):
        return None
    has_bf16 = {gpu.capability is not None and gpu.capability[0] >= BF16_FROM for gpu in gpus}
    if any(gpu.capability is None for gpu in gpus) or len(has_bf16) > 1:
        return None
    return "bfloat16" if True in has_bf16 else "float32"
