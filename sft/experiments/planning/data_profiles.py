"""The data of a grid, looked at once for each distinct data section, with lengths in the tokens of its models."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sft.config.experiment import ExperimentConfig
from sft.data.profile.lengths import LengthProfile as Lengths
from sft.data.profile.lengths import TextSample, cut_remarks, length_profile, text_sample
from sft.data.profile.profile import DataProfile, row_remarks, split_remarks, used_rows
from sft.data.profile.prompts import prompt_profile, prompt_remarks
from sft.data.profile.remark import Remark
from sft.data.rows import Splits
from sft.experiments.planning.checks.data import DataChecks
from sft.experiments.planning.checks.tokenizers import TokenizerAnswer
from sft.experiments.planning.prompt_shapes import prompts_of
from sft.tasks.inputs import Inputs

OF_ONE_EXPERIMENT = {"shots", "shots_by", "if_fewer", "keep_columns", "corrections"}
"""Keys of `dataset` that say nothing of the rows there are."""

CAPS = ("max_n_train", "max_n_dev", "max_n_test")


@dataclass
class _Group:
    """The experiments of one distinct data section."""

    inputs: Inputs
    """Of the first experiment that reads the most splits."""
    configs: dict[str, ExperimentConfig] = field(default_factory=dict)
    samples: tuple[TextSample, ...] | None = None


class _Measured(NamedTuple):
    """Texts that a tokenizer was asked to measure, and for whom."""

    group: str
    model: str
    name: str
    """The experiment whose question carries them."""
    start: int
    """Number of their first column among those of the question."""


class DataProfiles:
    """Gathers the data of a grid's experiments, then tells what is known of it."""

    def __init__(self, data: DataChecks) -> None:
        self._data = data
        self._groups: dict[str, _Group] = {}
        self._group_of: dict[str, str] = {}
        self._limits: dict[str, dict[tuple[str, str, int], None]] = {}
        """By group: column, dotted key and value of what cuts it."""
        self._measured: dict[tuple[str, str], _Measured] = {}

    def add(self, name: str, config: ExperimentConfig) -> None:
        """Take in an experiment whose data is sound."""
        key = _group_key(config)
        inputs = self._data.inputs(config)
        group = self._groups.setdefault(key, _Group(inputs))
        if group.inputs.splits.train is None:
            group.inputs = inputs
        group.configs[name] = config
        self._group_of[name] = key
        self._limits.setdefault(key, {}).update(dict.fromkeys(_limits(config)))

    def texts(self, name: str, config: ExperimentConfig, start: int) -> list[list[str]]:
        """The texts that the tokenizer of an experiment is to measure, by column; none where it was asked already.

        Args:
            name: of the experiment.
            config: the experiment.
            start: columns that its question has already.
        """
        if name not in self._group_of or (key := (self._group_of[name], config.model.name)) in self._measured:
            return []
        self._measured[key] = _Measured(*key, name, start)
        return [[*sample.texts, *sample.longest] for sample in self._samples(key[0])]

    def profiles(self, answers: Mapping[str, TokenizerAnswer]) -> tuple[DataProfile, ...]:
        """What is known of each distinct data section.

        Args:
            answers: by experiment what its tokenizer said.
        """
        known: dict[tuple[int, tuple[str, ...]], list[Remark]] = {}
        found = []
        for key, group in self._groups.items():
            own = (id(group.inputs.splits), _columns(group.inputs.config))
            if own not in known:
                label_column = None if group.inputs.labels is None else group.inputs.config.prompting.output_column
                known[own] = row_remarks(_apart(group.inputs.splits), own[1], label_column)
            lengths = [*_by_equal_tokens(list(self._lengths(key, answers))), *self._prompt_lengths(key, answers)]
            found.append(_profile(group, known[own], lengths))
        return tuple(found)

    def _samples(self, key: str) -> tuple[TextSample, ...]:
        group = self._groups[key]
        if group.samples is None:
            config, used = group.inputs.config, group.inputs.selection
            columns = _columns(config)
            if group.inputs.labels is None:
                columns = tuple(dict.fromkeys([*columns, config.prompting.output_column]))
            rows = [used.train, used.dev or (), used.test]
            found = [text_sample(rows, column) for column in dict.fromkeys(columns)]
            group.samples = tuple(sample for sample in found if sample is not None)
        return group.samples

    def _lengths(self, key: str, answers: Mapping[str, TokenizerAnswer]) -> Iterator[Lengths]:
        for measured in self._measured.values():
            answer = answers.get(measured.name)
            if measured.group != key or answer is None:
                continue
            counted = answer.lengths[measured.start :]
            for sample, counts in zip(self._samples(key), counted, strict=False):
                n = len(sample.texts)
                limits = [(limit, at) for column, limit, at in self._limits[key] if column == sample.column]
                told = length_profile(sample, counts[:n], counts[n:], "tokens", limits)
                yield replace(told, models=(measured.model,))

    def _prompt_lengths(self, key: str, answers: Mapping[str, TokenizerAnswer]) -> list[Lengths]:
        """Lengths of whole prompts, once for each distinct way of making them that has a limit which cuts some."""
        labels = self._groups[key].inputs.labels
        n_labels = len(labels.values) if labels is not None else 0
        asked = dict.fromkeys(
            (prompts_of(config, answer.shape, n_labels), config.model.name)
            for name, config in self._groups[key].configs.items()
            if (answer := answers.get(name)) is not None and answer.shape is not None
        )
        found = []
        for prompts, model in asked:
            measured = self._measured.get((key, model))
            own = () if measured is None else answers[measured.name].lengths[measured.start :]
            pairs = zip(self._samples(key), own, strict=False)
            counts = {str(sample.column): lengths[: len(sample.texts)] for sample, lengths in pairs}
            if own and prompts.limits and len({len(counts.get(column, ())) for column in prompts.columns}) == 1:
                found.append(replace(prompt_profile(counts, prompts), models=(model,)))
        return [told for told in found if any(cut.share for cut in told.cuts)]


def _profile(group: _Group, remarks: Sequence[Remark], lengths: Sequence[Lengths]) -> DataProfile:
    inputs = group.inputs
    dataset, output = inputs.config.dataset, inputs.config.prompting.output_column
    words = None if inputs.labels is None else dict(zip(inputs.labels.values, inputs.labels.words, strict=True))
    splits, of_labels = used_rows(
        dataset, _apart(inputs.splits), inputs.selection, output, words, inputs.task.values_in
    )
    of_lengths = [
        remark for told in lengths for remark in (prompt_remarks(told) if told.column is None else cut_remarks(told))
    ]
    return DataProfile(
        path=dataset.path,
        folds=dataset.splits.folds,
        caps={key: cap for key in CAPS if (cap := getattr(dataset, key)) is not None},
        experiments=tuple(group.configs),
        input_columns=_columns(inputs.config),
        output_column=output,
        splits=splits,
        remarks=(*split_remarks(dataset, inputs.splits), *of_labels, *remarks, *dict.fromkeys(of_lengths)),
        lengths=tuple(lengths),
    )


def _apart(splits: Splits) -> Splits:
    """Splits that share no row: with folds train and test are the same rows, which are told once, as test rows."""
    return replace(splits, train=None) if splits.folds else splits


def _by_equal_tokens(lengths: Sequence[Lengths]) -> list[Lengths]:
    """Models that read a column as equally many tokens share a profile."""
    models: dict[Lengths, list[str]] = {}
    for told in lengths:
        models.setdefault(replace(told, models=()), []).extend(told.models)
    return [replace(told, models=tuple(names)) for told, names in models.items()]


def _columns(config: ExperimentConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*config.prompting.input_columns, *config.inference_prompting.input_columns]))


def _limits(config: ExperimentConfig) -> Iterator[tuple[str, str, int]]:
    """Column, dotted key and value of each limit on a column by itself."""
    written = {"prompting": config.prompting}
    if config.inference.prompting.model_fields_set:
        written["inference.prompting"] = config.inference_prompting
    for section, prompting in written.items():
        if section == "prompting" and section != next(reversed(written)) and not config.trains:
            continue
        if prompting.is_conversation:  # these limits are of single turns
            continue
        if prompting.max_input_length is not None:
            for column in prompting.input_columns:
                yield column, f"{section}.max_input_length", prompting.max_input_length
        if prompting.max_output_length is not None:
            yield prompting.output_column, f"{section}.max_output_length", prompting.max_output_length


def _group_key(config: ExperimentConfig) -> str:
    """Shared by experiments whose data is the same to look at, whatever they draw of it."""
    dataset = config.dataset.model_dump(exclude=OF_ONE_EXPERIMENT)
    return json.dumps([dataset, _columns(config), config.prompting.output_column], sort_keys=True, default=str)
