"""What a set-up costs: time, memory, and the adapter that it leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sft.leaderboard.collect import ExperimentRecord, finite_number, finite_numbers, mean
from sft.leaderboard.settings import trains
from sft.runs.experiments import stage_folder
from sft.runs.files import JobFolder
from sft.runs.manifest import adapter_bytes

ANSWERING, WHOLE_STAGES = "answering", "whole stages"
"""What seconds per prediction are made of; results of earlier versions know the whole stages alone."""

TOLERANCE = 0.1
"""A cost counts as lower from so much less on: times of the same work on the same machine differ by less."""

_PER = 1000


@dataclass(frozen=True)
class Costs:
    """Means over the runs of a set-up; None where a run does not tell.

    A stage that several experiments share counts in full for each of them: a cost is what a run would cost alone.

    Attributes:
        train_seconds: of the train stage, with its start and with loading the model; of a training that was resumed up
            to its checkpoint and from there on. None also where nothing is trained.
        seconds_per_1000: answering the evaluated rows, for each thousand of them.
        seconds_cover: `ANSWERING` from the first row to the last alone; `WHOLE_STAGES` also the start of the process,
            loading the model and the rows that a calibrator needs, in at least one run.
        prompt_tokens: of an evaluated row.
        adapter_bytes: of all files of the adapter that was trained.
        trainable_parameters: 0 where nothing is trained.
        peak_rss_bytes: main memory of a process, of the stage that took most.
        peak_gpu_bytes: of all its GPUs together, likewise.
        infer_peak_rss_bytes: main memory of inference alone; of results of earlier versions known only where nothing
            is trained.
        infer_peak_gpu_bytes: GPU memory likewise.
        train_peak_rss_bytes: main memory of training alone; None where nothing is trained; of results of earlier
            versions that of the stage that took most.
        train_peak_gpu_bytes: GPU memory likewise.
        devices: on which it trained and answered, each once.
    """

    train_seconds: float | None
    seconds_per_1000: float | None
    seconds_cover: str | None
    prompt_tokens: float | None
    adapter_bytes: float | None
    trainable_parameters: float | None
    peak_rss_bytes: float | None
    peak_gpu_bytes: float | None
    infer_peak_rss_bytes: float | None
    infer_peak_gpu_bytes: float | None
    train_peak_rss_bytes: float | None
    train_peak_gpu_bytes: float | None
    devices: tuple[str, ...]


def costs_of(runs: Sequence[ExperimentRecord]) -> Costs:
    """The costs of a set-up.

    Args:
        runs: its runs, at least one.
    """
    per_1000 = _mean(runs, _seconds_per_1000)
    covers = ANSWERING if all(_answer_seconds(run) is not None for run in runs) else WHOLE_STAGES
    return Costs(
        train_seconds=_mean(runs, lambda run: finite_number(run.part("timing").get("train"))),
        seconds_per_1000=per_1000,
        seconds_cover=None if per_1000 is None else covers,
        prompt_tokens=_mean(runs, _prompt_tokens),
        adapter_bytes=_adapter_bytes(runs),
        trainable_parameters=_mean(runs, _trainable_parameters),
        peak_rss_bytes=_mean(runs, lambda run: _resource(run, "peak_rss_bytes")),
        peak_gpu_bytes=_mean(runs, lambda run: _resource(run, "peak_gpu_bytes")),
        infer_peak_rss_bytes=_mean(runs, lambda run: _peak_of(run, "infer", "peak_rss_bytes")),
        infer_peak_gpu_bytes=_mean(runs, lambda run: _peak_of(run, "infer", "peak_gpu_bytes")),
        train_peak_rss_bytes=_mean(runs, lambda run: _peak_of(run, "train", "peak_rss_bytes")),
        train_peak_gpu_bytes=_mean(runs, lambda run: _peak_of(run, "train", "peak_gpu_bytes")),
        devices=tuple(dict.fromkeys(device for run in runs for device in devices_of(run))),
    )


def devices_of(run: ExperimentRecord) -> list[str]:
    """The devices of a run's trainings and answers, each once; none where nobody says."""
    environment = run.part("environment")
    found: dict[str, None] = {}
    for stage in ("training_", ""):
        kind, name, threads = (environment.get(f"{stage}{key}") for key in ("device", "device_name", "threads"))
        if name is None and stage and kind == environment.get("device"):
            continue  # an earlier version kept the kind alone
        if kind is not None:
            named = str(name or kind)
            found[f"{named}, threads {threads}" if kind == "cpu" and threads else named] = None
    return list(found)


def _mean(runs: Sequence[ExperimentRecord], cost: Callable[[ExperimentRecord], float | None]) -> float | None:
    known = finite_numbers(map(cost, runs))
    return mean(known) if len(known) == len(runs) else None


def _resource(run: ExperimentRecord, name: str) -> float | None:
    return finite_number(run.part("resources").get(name))


def _peak_of(run: ExperimentRecord, stage: str, peak: str) -> float | None:
    """A peak of one kind of stage; an earlier version kept that of all stages alone."""
    own = f"{stage}_{peak}"
    if own in run.part("resources"):
        return _resource(run, own)
    return _resource(run, peak) if trains(run) == (stage == "train") else None


def _answer_seconds(run: ExperimentRecord) -> float | None:
    return _resource(run, "answer_seconds")


def _seconds_per_1000(run: ExperimentRecord) -> float | None:
    answering = _answer_seconds(run)
    seconds = finite_number(run.part("timing").get("infer")) if answering is None else answering
    n_rows = sum(finite_numbers(run.part("data").get(count) for count in ("n_test", "n_dev")))
    return None if seconds is None or not n_rows else _PER * seconds / n_rows


def _prompt_tokens(run: ExperimentRecord) -> float | None:
    tokens = run.part("data").get("prompt_tokens")
    return finite_number(tokens.get("mean")) if isinstance(tokens, dict) else None


def _trainable_parameters(run: ExperimentRecord) -> float | None:
    known = _resource(run, "trainable_parameters")
    return 0.0 if known is None and not trains(run) else known


def _adapter_bytes(runs: Sequence[ExperimentRecord]) -> float | None:
    """As recorded; what an earlier version left is looked up once, as seeds do not change the size."""
    if not trains(runs[0]):
        return None
    recorded = _mean(runs, lambda run: _resource(run, "adapter_bytes"))
    if recorded is not None:
        return recorded
    folder = stage_folder(JobFolder(runs[0].folder), "train")
    return None if folder is None else adapter_bytes(folder)
