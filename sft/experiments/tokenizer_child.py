"""Reads questions from standard input, loads their tokenizers without torch, and prints the findings as JSON."""

import json
import sys
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


def findings(question: dict[str, Any]) -> list[PathMessage]:
    """What is wrong with one combination of tokenizer, prompting and labels.

    Raises:
        MachineError: a tokenizer is not cached and the hub does not answer.
    """
    config = ExperimentConfig.model_validate(question["config"])
    pairs = question["labels"]
    labels = LabelSet(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)) if pairs else None
    try:
        tokenizer = tokenizer_of(config, Path(question["folder"]), question["revision"])
    except UserError as error:
        return [("model.name", str(error))]
    found = _prompting_findings(tokenizer, config, config.inference_prompting, labels, question)
    if config.trains and config.inference.prompting.model_fields_set:
        found += _prompting_findings(tokenizer, config, config.prompting, labels, question)
    return list(dict.fromkeys(found))


def _prompting_findings(
    tokenizer: "PreTrainedTokenizerBase",
    config: ExperimentConfig,
    prompting: PromptingConfig,
    labels: LabelSet | None,
    question: dict[str, Any],
) -> list[PathMessage]:
    try:
        revision = question["template_revision"]
        builder = prompt_builder(tokenizer, config, prompting, labels, Path(question["folder"]), revision)
    except UserError as error:
        return [("prompting", str(error))]
    try:
        if labels is not None:
            builder.label_ids(labels.words)
    except UserError as error:
        return [("dataset.labels", str(error))]
    try:
        for output in question["outputs"]:
            row = Example(inputs=dict.fromkeys(prompting.input_columns, "text"), output=output)
            builder.encode([], row, None, cut_output=labels is None)
    except UserError as error:
        return [("prompting.output_column", str(error))]
    return []


def main() -> None:
    """Answer the questions of standard input."""
    questions = json.load(sys.stdin)
    print(json.dumps([findings(question) for question in questions]))  # noqa: T201  the answer to the parent


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
