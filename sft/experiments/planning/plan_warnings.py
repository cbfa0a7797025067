"""What a plan warns of, also of changed library versions: worth knowing, and never a reason to stop a run."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sft.evaluation.selection import source_of
from sft.experiments.planning.plan import PlannedExperiment
from sft.labels.ambiguity import ScoredLabels, label_warnings
from sft.labels.token_trie import TokenTrie
from sft.models.model_args import runs_remote_code
from sft.pipeline.jobs import PlannedJob
from sft.processes.environment import versions
from sft.runs.files import JobFolder
from sft.runs.records import StageName, read_json_or_none
from sft.training.memory import batch_record
from sft.training.objectives import training_objective_of
from sft.training.options import trainer_args_of
from sft.wording import counted, some

SHARED_MEMORY = "/dev/shm"

WORKERS = "dataloader_num_workers"

MIB = 1 << 20

ENOUGH_SHARED_MEMORY = 32 * MIB
"""Bytes; containers have twice as much unless they ask for another size."""

AnswerIds = tuple[tuple[int, ...], ...]

MANY_LOGITS = 1024
"""Places at once from which a training is warned of: 600 MB at a vocabulary of 150,000, once more for the gradient."""

READ_STAGES = 1000
"""Finished stages that are read; of more, that many evenly."""


def plan_warnings(
    experiments: Sequence[PlannedExperiment], label_ids: Mapping[str, AnswerIds | None]
) -> Iterator[str]:
    """The warnings of a grid, each told once, for the first experiment that it holds for.

    Args:
        experiments: of the grid.
        label_ids: by experiment the token ids of its labels, where a tokenizer was asked.
    """
    yield from _trust(experiments)
    yield from _workers(experiments)
    yield from _hub_metrics(experiments)
    yield from _rows(experiments)
    yield from _leaks(experiments)
    yield from _labels(experiments, label_ids)
    yield from _trained_labels(experiments, label_ids)


def _trust(experiments: Sequence[PlannedExperiment]) -> Iterator[str]:
    trusting: dict[str, list[str]] = {}
    for planned in experiments:
        model = planned.experiment.config.model
        if runs_remote_code(model.model_args):
            trusting.setdefault(model.name, []).append(planned.experiment.name)
    for model_name, names in trusting.items():
        yield (
            f"{some(names, shown=1)}: Python code that comes with the model {model_name!r} is run "
            "(model.model_args.trust_remote_code)"
        )


def _workers(experiments: Sequence[PlannedExperiment]) -> Iterator[str]:
    """Processes that read rows hand batches over in shared memory; where that is full, torch waits for ever."""
    names: dict[int, list[str]] = {}
    for planned in experiments:
        config = planned.experiment.config
        count = config.training.trainer_args.get(WORKERS, 0) if config.trains and config.training else 0
        if count:
            names.setdefault(count, []).append(planned.experiment.name)
    for count, named in names.items():
        text = (
            f"{some(named, shown=1)}: training.trainer_args.{WORKERS} {count}: a worker that cannot hand over its rows"
        )
        yield f"{text} leaves the training waiting for ever; give --stall-timeout SECONDS{_little_shared_memory()}"


def _hub_metrics(experiments: Sequence[PlannedExperiment]) -> Iterator[str]:
    """The library loads the newest or cached version of such a metric, and gives no commit to pin."""
    names: dict[str, list[str]] = {}
    for planned in experiments:
        experiment = planned.experiment
        for metric in experiment.metrics:
            if source_of(metric) == "hub" and f"evaluate:{metric}" not in experiment.fingerprints.files:
                names.setdefault(metric, []).append(experiment.name)
    for metric, named in names.items():
        text = f"{some(named, shown=1)}: the version of the metric {metric!r}, which lives on the hub, is in no id"
        yield f"{text}; download its folder and name that to have it there"


def _trained_labels(
    experiments: Sequence[PlannedExperiment], label_ids: Mapping[str, AnswerIds | None]
) -> Iterator[str]:
    """Trainings on all labels of each row whose logits take much memory."""
    names: dict[tuple[int, int], list[str]] = {}
    for planned in experiments:
        config, ids = planned.experiment.config, label_ids.get(planned.experiment.name)
        if ids and config.trains and training_objective_of(config).needs_labels:
            rows = int(batch_record(trainer_args_of(config))["micro_batch_size"])
            names.setdefault((rows, 1 + len(TokenTrie.of(ids))), []).append(planned.experiment.name)
    for (rows, tokens), named in names.items():
        if rows * tokens > MANY_LOGITS:
            text = f"{some(named, shown=1)}: training on all labels holds the logits of {rows} rows x {tokens} tokens"
            yield f"{text} at once; where memory is short, write a smaller per_device_train_batch_size"


def _little_shared_memory() -> str:
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return f" (there is no {SHARED_MEMORY} on this machine)"
    return f" ({SHARED_MEMORY} has {free // MIB} MiB free, which is little)" if free < ENOUGH_SHARED_MEMORY else ""


def _rows(experiments: Sequence[PlannedExperiment]) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for planned in experiments:
        for text in planned.data.warnings:
            names.setdefault(text, []).append(planned.experiment.name)
    for text, named in names.items():
        yield f"{some(named, shown=1)}: {text}"


def _leaks(experiments: Sequence[PlannedExperiment]) -> Iterator[str]:
    leaks: dict[int, list[str]] = {}
    for planned in experiments:
        if planned.data.n_leaked:
            leaks.setdefault(planned.data.n_leaked, []).append(planned.experiment.name)
    for count, names in leaks.items():
        yield f"{some(names, shown=1)}: {count} shots or in-context examples have the text of an evaluated row"


def _labels(experiments: Sequence[PlannedExperiment], label_ids: Mapping[str, AnswerIds | None]) -> Iterator[str]:
    """One warning of a kind for each label set, whatever else differs between the experiments that use it."""
    texts: dict[tuple[tuple[str, ...], str], str] = {}
    names: dict[tuple[tuple[str, ...], str], list[str]] = {}
    known: dict[ScoredLabels, list[tuple[str, str]]] = {}
    for planned in experiments:
        name = planned.experiment.name
        scored = _scored(planned, label_ids.get(name))
        if scored is None:
            continue
        if scored not in known:
            known[scored] = [(found.kind, found.text) for found in label_warnings(scored)]
        for kind, text in known[scored]:
            texts.setdefault((scored.words, kind), text)
            names.setdefault((scored.words, kind), []).append(name)
    for key, text in texts.items():
        yield f"{some(names[key], shown=1)}: {text}"


def _scored(planned: PlannedExperiment, ids: AnswerIds | None) -> ScoredLabels | None:
    """The label set of an experiment that has one."""
    config, labels = planned.experiment.config, planned.data.labels
    if labels is None:
        return None
    scoring = config.inference.label_scoring
    words, values = tuple(words for _, words in labels), tuple(value for value, _ in labels)
    return ScoredLabels(words, ids, scoring.normalization, scoring.end_token, () if values == words else values)


def version_warnings(finished: Sequence[PlannedJob]) -> list[str]:
    """One line per stage, library and version that is no longer the one installed."""
    installed = versions()
    step = -(-len(finished) // READ_STAGES) or 1
    found: Counter[tuple[StageName, str, str]] = Counter()
    for job in finished[::step]:
        for package, version in recorded_versions(job.folder, job.record.stage).items():
            if installed.get(package) != version:
                found[job.record.stage, package, version] += 1
    return [
        f"{counted(number, f'finished {stage} stage')} used {package} {version}, installed is "
        f"{installed.get(package, 'none')}; results are kept (a stage whose folder is deleted runs again)"
        for (stage, package, version), number in found.items()
    ]


def recorded_versions(folder: JobFolder, stage: StageName) -> Mapping[str, str]:
    """The versions that a finished stage recorded."""
    paths = {
        "train": folder.training,
        "infer": folder.inference,
        "evaluate": folder.metrics,
        "baseline": folder.baselines,
        "export": folder.export_record,
    }
    return dict(_texts(read_json_or_none(paths[stage])))


def _texts(record: Any) -> Iterator[tuple[str, str]]:
    environment = record.get("environment") if isinstance(record, dict) else None
    found = environment.get("versions") if isinstance(environment, dict) else None
    for package, version in (found if isinstance(found, dict) else {}).items():
        yield str(package), str(version)
