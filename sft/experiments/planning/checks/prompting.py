"""What can be wrong with the texts and columns of prompts, as far as the config tells."""

import re
from collections.abc import Iterator
from pathlib import Path

from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.config.prompting import PromptingConfig
from sft.exceptions import UserError
from sft.experiments.planning.checks.model_files import known_config
from sft.inference.texts import MAX_NEW_TOKENS, most_new_tokens
from sft.models.answering.decoders import MOST_OPENING, PLACES
from sft.objectives import objective_of
from sft.prompts.inputs import InputTemplate
from sft.registry import nearest
from sft.tasks.inputs import task_of
from sft.wording import quoted

LABELS_FIELD = "labels"


def prompting_findings(config: ExperimentConfig) -> list[PathMessage]:
    """What is wrong with the texts of the prompts; at inference only where it differs from `prompting`."""
    task = task_of(config)
    if task.reads == "whole":
        return list(_whole_findings(config, task.name))
    if not config.prompting.input_columns:
        return [("prompting.input_columns", "required: the columns that the model reads")]
    shows_labels, asks = task.uses("dataset.labels"), task.uses("prompting.label_template")
    written = config.inference.prompting.model_fields_set
    found = _answers_among_inputs(config)
    for section, prompting, differs in (
        ("prompting", config.prompting, {"instruction", "input_template", "input_columns"}),
        ("inference.prompting", config.inference_prompting, written),
    ):
        if "instruction" in differs and shows_labels:
            found += [(f"{section}.instruction", message) for message in _instruction_findings(prompting)]
        if differs & {"input_template", "input_columns"}:
            found += [(f"{section}.input_template", message) for message in _template_findings(prompting)]
        if asks and (section == "prompting" or "label_template" in differs):
            found += [(f"{section}.label_template", message) for message in _label_template_findings(prompting)]
    return found


def decoder_findings(config: ExperimentConfig, folder: Path) -> list[PathMessage]:
    """Texts that may become longer than the decoder that writes them has places for.

    Args:
        config: the experiment; its arguments of generation are sound.
        folder: what its local paths are relative to.
    """
    task = task_of(config)
    if objective_of(config, task.objectives).reads != "source" or not task.uses("inference.generation_args"):
        return []
    places, n_new = known_config(config.model.name, folder).get(PLACES), most_new_tokens(config)
    if not isinstance(places, int) or n_new <= places - MOST_OPENING + 1:
        return []
    advice = f"write at most {places - MOST_OPENING + 1}, or set prompting.max_output_length"
    return [
        (MAX_NEW_TOKENS, f"{n_new}: the decoder of {config.model.name!r} has places for {places} tokens; {advice}")
    ]


def _whole_findings(config: ExperimentConfig, task_type: str) -> Iterator[PathMessage]:
    """What is written of prompts, where a column is learned whole and nothing stands before it."""
    column = [config.prompting.output_column]
    for section, prompting in (("prompting", config.prompting), ("inference.prompting", config.inference.prompting)):
        wrong = {
            "input_columns": prompting.input_columns not in (None, column),
            "input_template": prompting.input_template is not None,
            "instruction": prompting.instruction is not None,
        }
        text = f"{task_type} learns the column {quoted(column[0])} whole, with nothing before it; leave it out"
        yield from ((f"{section}.{key}", text) for key, is_wrong in wrong.items() if is_wrong)
    for section, written in (("inference", config.inference), ("training", config.training)):
        if written is not None and written.icl_examples:
            yield f"{section}.icl_examples", f"{task_type} takes no in-context examples; write 0"


def _instruction_findings(prompting: PromptingConfig) -> list[str]:
    """Fields of the instruction that are near misses of `{labels}`, the only one; other braces are its own text."""
    fields = re.findall(r"\{(\s*\w+\s*)\}", prompting.instruction or "")
    missed = [field for field in fields if field != LABELS_FIELD and nearest(field.strip(), [LABELS_FIELD])]
    return [f"unknown field {{{field}}} (did you mean {{{LABELS_FIELD}}}?)" for field in missed]


def _answers_among_inputs(config: ExperimentConfig) -> list[PathMessage]:
    """The output column as an input, in training or at inference: the prompts would hold the answer."""
    if config.prompting.is_conversation:
        return _conversation_findings(config)
    output = config.prompting.output_column
    message = (
        f"the output column {quoted(output)} is among the inputs, so the prompts would hold the answer; take it out "
        "(a column of conversations is both, and the only input)"
    )
    sections = {
        "prompting": config.prompting.input_columns,
        "inference.prompting": config.inference.prompting.input_columns or [],
    }
    return [(f"{path}.input_columns", message) for path, columns in sections.items() if output in columns]


def _conversation_findings(config: ExperimentConfig) -> list[PathMessage]:
    """What does not go together with conversations, whose turns are the prompt."""
    objective = objective_of(config, task_of(config).objectives)
    if objective.reads in ("text", "source"):
        text = f"a conversation is written as a prompt, and {objective.name} reads columns of text; name such columns"
        return [("prompting.input_columns", text)]
    other_columns = config.inference_prompting.input_columns != config.prompting.input_columns
    shows_examples = "a conversation takes no in-context examples; write 0"
    asked = {
        "prompting.input_template": (
            config.prompting.input_template is not None,
            "a conversation has no columns to write into a template; leave it out",
        ),
        "inference.prompting.input_template": (
            config.inference.prompting.input_template is not None,
            "a conversation has no columns to write into a template; leave it out",
        ),
        "inference.prompting.input_columns": (
            other_columns,
            f"a conversation is prompt and answer in one; write ['{config.prompting.output_column}'], or leave it out",
        ),
        "inference.icl_examples": (config.inference.icl_examples > 0, shows_examples),
        "training.icl_examples": (bool(config.training and config.training.icl_examples), shows_examples),
    }
    return [(path, message) for path, (is_wrong, message) in asked.items() if is_wrong]


def _label_template_findings(prompting: PromptingConfig) -> list[str]:
    """What is wrong with a line that asks about a label: it does not name the label, or holds another brace."""
    template, field = prompting.label_template, "{label}"
    if field not in template:
        return [f"{template!r} lacks the field {field}, so that all labels would be one question; write it in"]
    try:
        InputTemplate(template, ["label"])
    except UserError as error:
        return [str(error).replace("input_columns (label)", "a question about a label")]
    return []


def _template_findings(prompting: PromptingConfig) -> list[str]:
    if prompting.input_template is None or prompting.is_conversation:
        return []
    try:
        InputTemplate(prompting.input_template, prompting.input_columns)
    except UserError as error:
        return [str(error)]
    return []
