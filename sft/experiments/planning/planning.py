"""From a grid to experiments that are checked, fingerprinted and keyed; nothing is started here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sft.config.experiment import ExperimentConfig
from sft.config.findings import Finding, invalid
from sft.config.reading import ConfigReader
from sft.exceptions import MachineError, UserError
from sft.experiments.executors.choice import read_choice
from sft.experiments.grids.loading import RawGrid
from sft.experiments.planning.adapter_as_model import PATH as MODEL_NAME
from sft.experiments.planning.adapter_as_model import AdapterFolders, with_base
from sft.experiments.planning.checks.data import DataChecks, DataFacts
from sft.experiments.planning.checks.heads import head_findings
from sft.experiments.planning.checks.odd_texts import OddRow, OddTexts
from sft.experiments.planning.checks.sections import SectionChecks, batch_findings
from sft.experiments.planning.checks.tokenizers import TokenizerAnswer, TokenizerQuestion, ask
from sft.experiments.planning.data_profiles import DataProfiles
from sft.experiments.planning.fingerprinting import Contents
from sft.experiments.planning.objective_choice import PATH as AUTO_CLASS
from sft.experiments.planning.objective_choice import ChosenObjective, with_objective
from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.experiments.planning.plan_warnings import plan_warnings
from sft.pipeline.experiment import Experiment
from sft.pipeline.keys import stage_keys
from sft.processes.garbage import without_search_for_cycles
from sft.tasks.encoders import encoder_path, encoders_of
from sft.tasks.inputs import task_of
from sft.wording import some

TEMPLATE = "model.chat_template_from"


@without_search_for_cycles()
def plan_grid(
    grid: RawGrid,
    pinned: Mapping[str, str],
    *,
    with_gold: bool = True,
    may_train: bool = True,
    with_profiles: bool = False,
) -> GridPlan:
    """Check every experiment of a grid and key its stages.

    Args:
        grid: the expanded grid.
        pinned: hub commits that its results folder has pinned.
        with_gold: whether metrics are wanted, so that evaluated rows need the output column.
        may_train: whether trainings are run, so that a `training` section without an adapter is a mistake.
        with_profiles: whether the data is looked at as well, which takes one pass over the rows of each data section.

    Raises:
        InvalidExperiments: all that is wrong, of all experiments.
        MachineError: the hub is needed and cannot be reached.
    """
    contents = Contents(grid.folder, pinned)
    chosen, found, read_as = _read(grid, contents)
    configs = {name: one.config for name, one in chosen.items()}
    grid = replace(grid, warnings=(*grid.warnings, *read_as))
    data = DataChecks(grid.folder, contents.dataset_revision)
    facts, wrong, stopped = _examine(configs, contents, data, may_train=may_train, with_gold=with_gold)
    sound = {name: config for name, config in configs.items() if name in facts}
    profiles = _profiles(sound if with_profiles else {}, data)
    told = _Told([], {})
    if stopped is None:
        try:
            told = _ask_tokenizers(sound, facts, OddTexts(data), contents, profiles, grid.folder)
        except MachineError as error:
            stopped = error
    if found := [*found, *wrong, *told.findings]:
        raise invalid(found, list(grid.configs), grid.source)
    if stopped is not None:
        raise stopped
    return _plan(grid, {name: (chosen[name], facts[name]) for name in sound}, told, contents, profiles)


def _plan(
    grid: RawGrid,
    sound: Mapping[str, tuple[ChosenObjective, DataFacts]],
    told: "_Told",
    contents: Contents,
    profiles: DataProfiles,
) -> GridPlan:
    experiments = tuple(
        _planned(name, chosen, facts, told.answers[name], contents, grid.folder)
        for name, (chosen, facts) in sound.items()
    )
    ids = {name: answer.label_ids for name, answer in told.answers.items()}
    return GridPlan(
        source=grid.source,
        folder=grid.folder,
        experiments=experiments,
        pinned=contents.pinned,
        warnings=(*grid.warnings, *plan_warnings(experiments, ids)),
        data=profiles.profiles(told.answers),
        executor=read_choice(grid.executor),
    )


def _profiles(configs: Mapping[str, ExperimentConfig], data: DataChecks) -> DataProfiles:
    """What gathers the data of these experiments."""
    profiles = DataProfiles(data)
    for name, config in configs.items():
        profiles.add(name, config)
    return profiles


def _read(grid: RawGrid, contents: Contents) -> tuple[dict[str, ChosenObjective], list[Finding], list[str]]:
    """The sound configs, what is wrong with the others, and what was read otherwise than it is written."""
    chosen: dict[str, ChosenObjective] = {}
    found: list[Finding] = []
    told: dict[str, list[str]] = {}
    adapters, reader = AdapterFolders(grid.folder), ConfigReader()
    for name, raw in grid.configs.items():
        config, wrong = reader.read(raw, name)
        found += wrong
        if config is None or wrong:
            continue
        try:
            based, text = with_base(config, adapters)
        except UserError as error:
            found.append(Finding(name, MODEL_NAME, str(error)))
            continue
        try:
            contents.model_config(based.model.name, based.model.model_args.get("revision"))
        except UserError as error:
            found.append(Finding(name, MODEL_NAME, str(error)))
            continue
        try:
            chosen[name] = with_objective(based, grid.folder, contents.model_config)
        except UserError as error:
            found.append(Finding(name, AUTO_CLASS, str(error).removeprefix(f"{AUTO_CLASS}: ")))
            continue
        if text is not None:
            told.setdefault(text, []).append(name)
    return chosen, found, [f"{some(names, shown=1)}: {text}" for text, names in told.items()]


def _examine(
    configs: Mapping[str, ExperimentConfig],
    contents: Contents,
    data: DataChecks,
    *,
    may_train: bool,
    with_gold: bool,
) -> tuple[dict[str, DataFacts], list[Finding], MachineError | None]:
    """The data of the sound experiments, what is wrong with the others, and the first fault of the machine.

    What the user must change is told before what the machine lacks.
    """
    checks = SectionChecks(contents.folder, may_train=may_train)
    facts: dict[str, DataFacts] = {}
    found: list[Finding] = []
    stopped: MachineError | None = None
    for name, config in configs.items():
        wrong: list[tuple[str, str]] = []
        lacking: list[MachineError] = []
        try:
            with _naming(name):
                wrong = checks.findings(config)
        except MachineError as error:  # the data are looked at all the same: what is wrong with them is told before
            lacking.append(error)
        try:
            if all(path != "dataset.task_type" for path, _ in wrong):
                with _naming(name, "dataset"):
                    examined = data.facts(config, with_gold=with_gold)
                if not isinstance(examined, DataFacts):
                    wrong = [*wrong, *examined]
                elif not lacking and not (wrong := wrong or _findings_with_rows(config, examined, contents)):
                    facts[name] = examined
        except MachineError as error:
            lacking.append(error)
        stopped = stopped or next(iter(lacking), None)
        found += [Finding(name, path, message) for path, message in wrong]
    return facts, found, stopped


def _findings_with_rows(config: ExperimentConfig, facts: DataFacts, contents: Contents) -> list[tuple[str, str]]:
    """What is wrong with a sound config on sound rows."""
    model = config.model
    told = {**contents.model_config(model.name, model.model_args.get("revision")), **model.model_args}
    labels = None if facts.labels is None else [value for value, _ in facts.labels]
    found = batch_findings(config, facts.n_train, facts.n_dev)
    return [*found, *head_findings(config, labels, told, contents.folder)]


def _planned(
    name: str, chosen: ChosenObjective, facts: DataFacts, answer: TokenizerAnswer, contents: Contents, folder: Path
) -> PlannedExperiment:
    config = chosen.config
    with _naming(name):
        found = contents.fingerprints(config, facts.labels)
    fingerprints = replace(found, prompt_traits=dict(answer.traits))
    code = contents.sources(config)
    experiment = Experiment(name, config, folder, fingerprints, code, dropped=chosen.dropped)
    return PlannedExperiment(experiment=experiment, keys=stage_keys(experiment), data=facts)


@contextmanager
def _naming(name: str, path: str = "") -> Iterator[None]:
    """Say which experiment, and which of its keys, a fault of the machine was met in."""
    try:
        yield
    except MachineError as error:
        place = f'"{name}": {path}: ' if path else f'"{name}": '
        raise MachineError(f"{place}{error}", kind=error.kind) from error


class _Told(NamedTuple):
    """What the tokenizers say of the experiments."""

    findings: list[Finding]
    answers: Mapping[str, TokenizerAnswer]
    """By experiment."""


def _ask_tokenizers(
    configs: Mapping[str, ExperimentConfig],
    facts: Mapping[str, DataFacts],
    odd: OddTexts,
    contents: Contents,
    profiles: DataProfiles,
    folder: Path,
) -> _Told:
    """What needs a tokenizer, one question per distinct model, prompting, label set and odd rows."""
    names: dict[str, list[str]] = {}
    questions: dict[str, TokenizerQuestion] = {}
    found: list[Finding] = []
    for name, config in configs.items():
        revisions, wrong = _revisions(name, config, contents)
        if wrong:
            found += wrong
            continue
        labels, rows = facts[name].labels, odd.of(config)
        key = _tokenizer_key(config, labels, rows)
        names.setdefault(key, []).append(name)
        if key not in questions:
            questions[key] = TokenizerQuestion(
                config=config.resolved(),
                folder=str(folder),
                revision=revisions["model.name"],
                labels=labels,
                rows=rows,
                template_revision=revisions[TEMPLATE],
            )
        questions[key].texts.extend(profiles.texts(name, config, len(questions[key].texts)))
    answers = dict(zip(questions, ask(list(questions.values())), strict=True))
    found += [
        Finding(name, path, message)
        for key, answer in answers.items()
        for path, message in answer.findings
        for name in names[key]
    ]
    return _Told(found, {name: answer for key, answer in answers.items() for name in names[key]})


def _revisions(name: str, config: ExperimentConfig, contents: Contents) -> tuple[dict[str, str | None], list[Finding]]:
    """The hub commits of all that an experiment names, by dotted path, or what is wrong with the names."""
    model, encoders = config.model, encoders_of(config, task_of(config))
    named = {
        "model.name": (model.name, model.model_args.get("revision")),
        TEMPLATE: (model.chat_template_from, None),
        "evaluation.tokenizer_name": (config.evaluation.tokenizer_name, None),
        **{encoder_path(section): (encoder, None) for section, encoder in encoders.items()},
    }
    if config.evaluation.tokenizer_name is None:
        named["inference.tokenizer_name"] = (config.inference.tokenizer_name, None)
    revisions: dict[str, str | None] = {}
    found: list[Finding] = []
    for path, (reference, revision) in named.items():
        is_file = path == TEMPLATE and reference is not None and reference.endswith((".jinja", ".jinja2"))
        try:
            with _naming(name, path):
                asked = reference is not None and not is_file
                revisions[path] = contents.model_revision(str(reference), revision) if asked else None
                if path == MODEL_NAME:
                    contents.require_config(model.name, revision)
        except UserError as error:
            found.append(Finding(name, path, str(error)))
    return revisions, found


def _tokenizer_key(config: ExperimentConfig, labels: list[list[str]] | None, rows: Sequence[OddRow]) -> str:
    named = config.model
    model = [named.name, named.auto_class, named.chat_template_from, named.chat_template_args, named.model_args]
    prompting = config.prompting.as_text
    overlay = config.inference.as_values["prompting"]
    scoring = [config.inference.calibration_args, config.inference.label_scoring.normalization]
    examples = [config.trains and config.training and config.training.icl_examples, config.inference.icl_examples]
    return repr((model, prompting, overlay, config.trains, config.dataset.task_type, labels, rows, scoring, examples))
