"""Reads questions from standard input, loads their tokenizers without torch, and prints what they say as JSON."""

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment]  # importing transformers would load it

from sft.config.experiment import ExperimentConfig, PromptingConfig
from sft.data.prompts import Example
from sft.errors import MachineError, UserError
from sft.labels.label_set import LabelSet
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
    except UserError as error:
        return Examination([("model.name", str(error))])
    found = _examine_prompting(tokenizer, config, config.inference_prompting, labels, question)
    if config.trains and config.inference.prompting.model_fields_set:
        found.findings += _examine_prompting(tokenizer, config, config.prompting, labels, question).findings
    return Examination(list(dict.fromkeys(found.findings)), found.label_ids)


def _examine_prompting(
    tokenizer: "PreTrainedTokenizerBase",
    config: ExperimentConfig,
    prompting: PromptingConfig,
    labels: LabelSet | None,
    question: dict[str, Any],
) -> Examination:
    label_ids = None
    try:
        revision = question["template_revision"]
        builder = prompt_builder(tokenizer, config, prompting, labels, Path(question["folder"]), revision)
    except UserError as error:
        return Examination([("prompting", str(error))])
    try:
        if labels is not None:
            label_ids = [label.answer_ids for label in builder.label_ids(labels.words)]
    except UserError as error:
        return Examination([("dataset.labels", str(error))])
    try:
        for output in question["outputs"]:
            row = Example(inputs=dict.fromkeys(prompting.input_columns, "text"), output=output)
            builder.encode([], row, None, cut_output=labels is None)
    except UserError as error:
        return Examination([("prompting.output_column", str(error))])
    return Examination([], label_ids)


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
