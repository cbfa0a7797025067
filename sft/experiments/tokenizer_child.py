"""Reads questions from standard input, loads their tokenizers without torch, and prints what they say as JSON."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment]  # importing transformers would load it

from sft.config.experiment import ExperimentConfig, PromptingConfig
from sft.data.prompts import Example, PromptBuilder
from sft.errors import MachineError, UserError
from sft.labels.label_set import LabelSet
from sft.models.config_file import embedding_rows, read_config, require_decoder, require_rows
from sft.models.gguf import converted_gguf
from sft.models.references import locate
from sft.tasks.encoding import prompt_builder, tokenizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PathMessage = tuple[str, str]


@dataclass
class Examination:
    """What is found of one combination of tokenizer, prompting and labels."""

    findings: list[PathMessage] = field(default_factory=list)
    label_ids: list[tuple[int, ...]] | None = None
    """The ids of each label at inference, without its stop."""


def examine(question: dict[str, Any]) -> Examination:
    """What is wrong with one combination, and the ids of its labels.

    Raises:
        MachineError: a tokenizer is not cached and the hub does not answer.
    """
    config = ExperimentConfig.model_validate(question["config"])
    pairs = question["labels"]
    labels = LabelSet(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)) if pairs else None
    try:
        tokenizer = tokenizer_of(config, Path(question["folder"]), question["revision"])
        rows = _embedding_rows(config, Path(question["folder"]), question["revision"])
    except UserError as error:
        return Examination([("model.name", str(error))])
    subject = _Subject(tokenizer, config, labels, rows)
    found = _examine_prompting(subject, config.inference_prompting, question)
    if config.trains and config.inference.prompting.model_fields_set:
        found.findings += _examine_prompting(subject, config.prompting, question).findings
    return Examination(list(dict.fromkeys(found.findings)), found.label_ids)


@dataclass(frozen=True)
class _Subject:
    """What is examined under each prompting."""

    tokenizer: "PreTrainedTokenizerBase"
    config: ExperimentConfig
    labels: LabelSet | None
    rows: int | None
    """Of the model's embedding."""


def _embedding_rows(config: ExperimentConfig, folder: Path, revision: str | None) -> int | None:
    """How many ids the model knows.

    Raises:
        UserError: it is no decoder.
    """
    name, local = config.model.name, locate(config.model.name, folder)
    if local is not None and local.suffix == ".gguf":
        local = converted_gguf(local)
    told = read_config(name, local, revision)
    require_decoder(name, told, config.model.model_args)
    return embedding_rows(told, local)


def _examine_prompting(subject: _Subject, prompting: PromptingConfig, question: dict[str, Any]) -> Examination:
    labels, label_ids = subject.labels, None
    try:
        folder, revision = Path(question["folder"]), question["template_revision"]
        builder = prompt_builder(subject.tokenizer, subject.config, prompting, labels, folder, revision)
    except UserError as error:
        return Examination([("prompting", str(error))])
    try:
        if labels is not None:
            label_ids = [label.answer_ids for label in builder.label_ids(labels.words)]
    except UserError as error:
        return Examination([("dataset.labels", str(error))])
    inputs = dict.fromkeys(prompting.input_columns, "text")
    try:
        for output in question["outputs"]:
            builder.encode([], Example(inputs=inputs, output=output), None, cut_output=labels is None)
    except UserError as error:
        return Examination([("prompting.output_column", str(error))])
    try:
        asked = builder.encode([], Example(inputs=inputs, output=None), None)
        require_rows(subject.config.model.name, subject.rows, _reachable(subject.tokenizer, builder, asked.prompt_ids))
    except UserError as error:
        return Examination([("model.name" if error.kind == "tokenizer" else "prompting", str(error))])
    return Examination([], label_ids)


def _reachable(
    tokenizer: "PreTrainedTokenizerBase", builder: PromptBuilder, prompt_ids: Sequence[int]
) -> dict[int, str]:
    """The ids that a prompt, an answer or a batch can hold, with their texts.

    Any text can give any id of the vocabulary but those of control tokens, which stand only where the template, the
    stop or the padding writes them.
    """
    texts: dict[int, str] = {index: text for text, index in tokenizer.get_vocab().items()}
    written = {*prompt_ids, *builder.stop_ids, tokenizer.pad_token_id}
    return {index: text for index, text in texts.items() if index not in builder.control_ids or index in written}


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
