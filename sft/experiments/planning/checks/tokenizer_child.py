"""Reads questions from standard input, loads their tokenizers without torch, and prints what they say as JSON."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment]  # importing transformers would load it

from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.config.prompting import PromptingConfig
from sft.data.profile.prompts import PromptShape
from sft.exceptions import MachineError, UserError
from sft.initialization.initializers import EXACT_UP_TO
from sft.labels.label_set import LabelSet
from sft.models.config_file import (
    KINDS,
    context_tokens,
    embedding_rows,
    has_other_layers,
    hidden_size,
    mixes_padding,
    read_config,
    require_kind,
    require_rows,
)
from sft.models.gguf import converted_gguf
from sft.models.references import locate
from sft.objectives import objective_named, objective_of
from sft.pipeline.needed_rows import named_row_sets
from sft.prompts import Example, PromptBuilder
from sft.tasks.inputs import task_of
from sft.tasks.prompting import PromptMaker, StagePrompts
from sft.tasks.row_sets import RowSet
from sft.training.objectives import training_objective_of
from sft.training.options import trainer_args_of
from sft.wording import listed


@dataclass
class Examination:
    """What is found of one combination of tokenizer, prompting and labels."""

    findings: list[PathMessage] = field(default_factory=list)
    label_ids: list[tuple[int, ...]] | None = None
    """The ids of each label at inference, without its stop."""
    traits: dict[str, list[str]] = field(default_factory=dict)
    """`train`, `infer` -> what is told of the prompts, `model` -> of its layers; see `Fingerprints.prompt_traits`."""
    lengths: list[list[int]] = field(default_factory=list)
    """Tokens of each of the question's texts, by column."""
    shape: PromptShape | None = None
    """What prompts at inference hold beside texts."""


def examine(question: dict[str, Any]) -> Examination:
    """What is wrong with one combination, and the ids of its labels.

    Raises:
        MachineError: a tokenizer is not cached and the hub does not answer.
    """
    config = ExperimentConfig.model_validate(question["config"])
    pairs = question["labels"]
    labels = LabelSet(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)) if pairs else None
    folder, revision = Path(question["folder"]), question["revision"]
    objective = objective_of(config, task_of(config).objectives)
    commits = {"model": revision, "chat_template": question["template_revision"]}
    maker = PromptMaker(config, folder, commits, labels, objective.reads)
    try:
        vocabulary = maker.tokenizer.get_vocab()
        told, rows = _model(config, folder, revision)
    except UserError as error:
        return Examination([("model.name", str(error))])
    examiner = _Examiner(maker, vocabulary, rows, question["rows"])
    infer = examiner.examine(maker.inference, config.inference.icl_examples, examiner.content_free())
    training, k = infer, config.training.icl_examples if config.training else 0
    if config.trains and (config.inference.prompting.model_fields_set or k != config.inference.icl_examples):
        training = examiner.examine(maker.training, k, [])
    traits = {"infer": infer.traits} | ({"train": training.traits} if config.trains else {})
    of_layers = {
        "other_layers": has_other_layers(told, objective),
        "wide_layers": (hidden_size(told) or 0) > EXACT_UP_TO,
        "mixes_padding": objective.has_head and mixes_padding(told),
    }
    if any(of_layers.values()):
        traits["model"] = [name for name, holds in of_layers.items() if holds]
    findings = list(dict.fromkeys([*infer.findings, *training.findings])) or limit_findings(maker)
    lengths = [_token_counts(maker, texts) for texts in question["texts"]]
    shape = None if findings else prompt_shape(maker, told)
    return Examination(findings, infer.label_ids, traits, lengths, shape)


def limit_findings(maker: PromptMaker) -> list[PathMessage]:
    """A limit of training rows that no row can keep, however much of its texts is cut off.

    Args:
        maker: makes the prompts; nothing is wrong with them.
    """
    config, prompting, word = maker.config, maker.training.prompting, "text"
    limit = trainer_args_of(config).get("max_length") if config.trains else None
    if not isinstance(limit, int) or prompting.is_conversation or maker.reads != "prompt":
        return []
    sizes = [len(label.answer_ids) + len(label.stop_ids) for label in maker.training.labels] or [0]
    answer = max(sizes) if training_objective_of(config).needs_labels else min(sizes)
    texts = len(prompting.input_columns) * _token_counts(maker, [word])[0]
    frame = len(maker.training.encode([], Example(_all(prompting, word)), None).prompt_ids) - texts
    if frame + answer <= limit:
        return []
    text = f"{limit}: a prompt has {frame} tokens beside the texts of its row, and the answer behind it up to {answer}"
    return [("training.trainer_args.max_length", f"{text}; write at least {frame + answer + 1}")]


def prompt_shape(maker: PromptMaker, told: Mapping[str, Any] | None) -> PromptShape:
    """What prompts at inference hold beside the texts of rows.

    Args:
        maker: makes the prompts.
        told: the model's `config.json`, where it can be read.
    """
    prompts, word = maker.inference, "text"
    question = Example(_all(prompts.prompting, word))
    words = [label.word for label in prompts.labels] or [word]
    texts = len(prompts.prompting.input_columns) * _token_counts(maker, [word])[0]
    alone = len(prompts.encode([], question, None).prompt_ids)
    shown = len(prompts.encode([[replace(question, output=label) for label in words]], question, None).prompt_ids)
    found = {**(told or {}), **((told or {}).get("text_config") or {})}
    context = context_tokens(found)
    return PromptShape(alone - texts, shown - alone - len(words) * texts, context)


def _token_counts(maker: PromptMaker, texts: Sequence[str]) -> list[int]:
    """Tokens of texts by themselves, all at once; where one holds a control token, as if that were one."""
    if not texts:
        return []
    encoded = maker.tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)
    return [len(ids) for ids in encoded["input_ids"]]


class _Prompts(NamedTuple):
    """What is found of the prompts of one stage."""

    findings: list[PathMessage]
    label_ids: list[tuple[int, ...]] | None = None
    traits: list[str] = []


@dataclass(frozen=True)
class _Examiner:
    """Tries the prompts of a config on its tokenizer, with the texts that it or its template may not take."""

    maker: PromptMaker
    vocabulary: Mapping[str, int]
    embedding_rows: int | None
    rows: Sequence[tuple[str, dict[str, str], str | None]]
    """Name, input columns and output of rows that a tokenizer or template may refuse."""

    def content_free(self) -> list[tuple[str, str]]:
        """Dotted path of what needs a prompt without content, and the text in place of the input."""
        named = named_row_sets(self.maker.config, self.maker.folder)
        return [(path, text) for name, path in named.items() for text in RowSet.parse(name).fixed_texts]

    def examine(self, prompts: StagePrompts, k: int, content_free: Sequence[tuple[str, str]]) -> _Prompts:
        """What is wrong with the prompts of one stage that shows k in-context examples (of each label)."""
        path = "prompting"
        try:
            traits = prompts.traits
            path = "dataset.labels"
            label_ids = [label.answer_ids for label in prompts.labels] or None
            words = [label.word for label in prompts.labels] or ["text"]
            text = Example(_all(prompts.prompting, "text"))
            rounds = [[replace(text, output=word) for word in words]] * k
            for where, row in self._tried(prompts.prompting, content_free):
                path = where
                prompts.encode(rounds, row, None)
            path = "model.name"
            asked = prompts.encode([], text, None)
            reachable = self._reachable(prompts.builder, asked.prompt_ids)
            require_rows(self.maker.config.model.name, self.embedding_rows, reachable)
        except UserError as error:
            path, separator, row_name = path.partition(": ")
            return _Prompts([(path, f"{error} ({row_name})" if separator else str(error))])
        return _Prompts([], label_ids, traits)

    def _tried(
        self, prompting: PromptingConfig, content_free: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[str, Example]]:
        """Rows, each with the dotted path of what is wrong where its prompt cannot be made, and the row's name."""
        yield "prompting", Example(_all(prompting, "text"))
        for path, text in content_free:
            yield path, Example(_all(prompting, text))
        for name, inputs, output in self.rows:
            own = {column: text for column, text in inputs.items() if column in prompting.input_columns}
            column = "input_columns" if output is None else "output_column"
            yield f"prompting.{column}: {name}", Example(_all(prompting, "text") | own, output)

    def _reachable(self, builder: PromptBuilder, prompt_ids: Sequence[int]) -> dict[int, str]:
        """The ids that a prompt, an answer or a batch can hold, with their texts.

        Any text can give any id of the vocabulary but those of control tokens, which stand only where the template,
        the stop or the padding writes them.
        """
        written = {*prompt_ids, *builder.stop_ids, self.maker.tokenizer.pad_token_id}
        kept = {index: text for text, index in self.vocabulary.items()}
        return {index: text for index, text in kept.items() if index not in builder.control_ids or index in written}


def _all(prompting: PromptingConfig, text: str) -> dict[str, str]:
    return dict.fromkeys(prompting.input_columns, text)


def _model(
    config: ExperimentConfig, folder: Path, revision: str | None
) -> tuple[Mapping[str, Any] | None, int | None]:
    """The model's `config.json`, where it can be read, and how many ids it knows.

    Raises:
        UserError: it is of no kind that the objective takes.
    """
    name, local = config.model.name, locate(config.model.name, folder)
    if local is not None and local.suffix == ".gguf":
        local = converted_gguf(local)
    told = read_config(name, local, revision)
    allowed = task_of(config).objectives
    objective = objective_of(config, allowed)
    try:
        require_kind(name, told, objective, config.model.model_args)
    except UserError as error:
        kinds = {kind: KINDS[kind] for one in allowed for kind in objective_named(one).model_kinds}
        if len(kinds) == len(objective.model_kinds):
            raise
        takes = f"dataset.task_type {config.dataset.task_type} takes {listed(list(kinds.values()))}"
        raise UserError(f"{error}; {takes}", kind="model") from None
    return told, embedding_rows(told, local)


def main() -> None:
    """Answer the questions of standard input."""
    questions = json.load(sys.stdin)
    print(json.dumps([asdict(examine(question)) for question in questions]))  # noqa: T201  the answer to the parent


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
