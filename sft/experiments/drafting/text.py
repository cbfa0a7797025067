"""A draft as Jsonnet: what runs, why, and what else could be turned, as comments."""

from collections.abc import Iterator, Mapping
from typing import Any

from sft.data.profile.labels import label_list, literal
from sft.experiments.drafting.draft import CUT_LENGTH, DEFAULT_MODEL, Draft
from sft.experiments.drafting.reading import written_options
from sft.experiments.drafting.splits import MOST_EVALUATED
from sft.wording import one_line

CHECKS = (
    "// Check it: sft plan grid.jsonnet",
    "// See the prompts: sft inspect grid.jsonnet --only zero",
    "// Run it: sft run-experiments grid.jsonnet",
)


def grid_text(draft: Draft) -> str:
    """The grid file; a comment that begins with no capital letter is a setting that may be switched on."""
    lines = [
        *_head(draft),
        "local base = {",
        *_dataset(draft),
        *_model(draft),
        *_prompting(draft),
        *_rest(draft),
        "};",
    ]
    return "\n".join([*lines, "", *_axes(draft)])


def _head(draft: Draft) -> Iterator[str]:
    first, *others = draft.data.about
    yield f"// From {one_line(first)}"
    yield from (f"// Note: {one_line(line)}" for line in others)
    yield from CHECKS
    yield "local grid = import 'sft/grid.libsonnet';"
    yield ""


def _dataset(draft: Draft) -> Iterator[str]:
    yield "  dataset: {"
    yield f"    path: {literal(draft.splits.path)},"
    read = written_options(draft.data.read)
    if read:
        yield f"    read: {_object(read)},"
    yield f"    task_type: '{draft.task.name}',  // {one_line(draft.choice.why)}; --task overrides"
    if draft.choice.separator is not None:
        yield f"    labels_separator: {literal(draft.choice.separator)},"
    if draft.labels:
        yield from _labels(draft)
    if draft.splits.written:
        yield f"    splits: {_object(draft.splits.written)},  // {draft.splits.note}"
    if draft.splits.instead is not None:
        yield f"    // Or, in place of that line: splits: {_object(draft.splits.instead)},"
    if draft.splits.n_test > MOST_EVALUATED:
        yield f"    max_n_test: {MOST_EVALUATED},  // for a first look; without it all {draft.splits.n_test:,}"
    if draft.few:
        yield f"    if_fewer: 'use_all',  // labels with few rows for shots: {one_line(draft.few)}"
    if draft.left_out:
        yield f"    on_missing: 'drop',  // leaves out {one_line(draft.left_out)}"
    yield "  },"


def _labels(draft: Draft) -> Iterator[str]:
    if not draft.are_codes:
        yield f"    labels: {label_list(draft.labels)},"
        return
    yield "    // Write on the right what each code means, in words that the model reads and writes."
    yield "    labels: {"
    for value in draft.labels:
        yield f"      {literal(value)}: {literal(value)},"
    yield "    },"


def _model(draft: Draft) -> Iterator[str]:
    if draft.model is not None:
        yield f"  model: {{ name: {literal(draft.model)} }},"
    else:
        yield "  // A name on huggingface.co, fetched when it is first used, or a folder."
        yield f"  model: {{ name: '{DEFAULT_MODEL}' }},"


def _prompting(draft: Draft) -> Iterator[str]:
    yield "  prompting: {"
    yield from _inputs(draft)
    for length in () if draft.is_conversation else draft.lengths:
        numbers = f"median {length.median}, 95 % up to {length.p95}, longest {length.longest}"
        yield f"    // Words of {one_line(length.column or '')}: {numbers}"
    yield f"    output_column: {literal(draft.label)},"
    if draft.is_conversation:
        yield "    // train_turns: 'all',"
    elif draft.inputs and draft.max_input_length is not None:
        yield f"    max_input_length: {draft.max_input_length},  // tokens that are kept of each column"
    elif draft.inputs:
        yield "    // max_input_length: 256,"
    if draft.task.uses("prompting.max_output_length"):
        yield f"    max_output_length: {draft.max_output_length},  // tokens; about twice the words of a long one"
    yield "  },"


def _inputs(draft: Draft) -> Iterator[str]:
    """What is asked, and the columns that are read; nothing where a column is learned whole."""
    if draft.is_conversation:
        yield "    // instruction: 'Answer kindly.',"
    elif draft.inputs:
        yield "    // Say in your words what is asked; it matters."
        yield f"    instruction: {literal(_instruction(draft))},"
    if draft.task.uses("prompting.label_template"):
        yield "    // label_template: 'Does it have the label {label}?',"
    if draft.inputs:
        yield f"    input_columns: {label_list(draft.inputs)},"


def _instruction(draft: Draft) -> str:
    column = one_line(draft.label).replace("{", "").replace("}", "").rpartition(".")[2]
    says_nothing = column.lower() in ("label", "labels", "class")
    asked = draft.task.instruction.replace(" by {column}", "") if says_nothing else draft.task.instruction
    return asked.replace("{column}", column)


def _rest(draft: Draft) -> Iterator[str]:
    """What is trained how, and what is measured."""
    args = "learning_rate: 2e-4, num_train_epochs: 5, per_device_train_batch_size: 8"
    if draft.inputs:
        yield f"  training: {{ trainer_args: {{ {args} }} }},"
    else:
        yield "  training: {"
        yield "    trainer_args: {"
        yield f"      {args},"
        yield f"      max_length: {CUT_LENGTH},  // tokens that are kept of a text"
        yield "      // packing: true,"
        yield "    },"
        yield "  },"
    yield f"  evaluation: {{ metrics: {label_list(draft.task.default_metrics)} }},  // the first one ranks"


def _axes(draft: Draft) -> Iterator[str]:
    shots, k = draft.shots, draft.examples
    per, per_shown = (" per label" if counts else "" for counts in (bool(draft.labels), draft.task.examples_per_label))
    yield "// Every line that is switched on multiplies the grid."
    yield "grid.product(base, ["
    yield "  {"
    yield "    zero: grid.zero_shot,"
    icl = f"icl: grid.in_context(shots={shots}, k={k or 1}),"
    if k:
        yield f"    {icl}  // {k} examples{per_shown} in each prompt"
    elif draft.labels:
        yield f"    // {icl}"
    yield f"    lora: grid.lora(shots={shots}),  // trained on {shots} rows{per}"
    if draft.has_twice_the_shots:
        yield f"    // 'lora-{2 * shots}': grid.lora(shots={2 * shots}),"
    yield f"    // pissa: grid.lora(shots={shots}, init='pissa'),"
    yield f"    // 'lora-r16': grid.lora(shots={shots}) + {{ lora+: {{ r: 16, lora_alpha: 32 }} }},"
    yield "  },"
    if draft.task.uses("inference.threshold"):
        yield "  // { half: {}, fitted: { inference: { threshold: 'fit' } } },"
    if draft.task.uses("inference.calibration_args"):
        yield "  // { plain: {}, calibrated: { inference: { calibration_args: { calibration_fn: 'batch' } } } },"
    yield "  // { small: {}, 'bigger-model': { model: { name: 'Qwen/Qwen2.5-1.5B-Instruct' } } },"
    yield "  // grid.seeds([13, 14, 15]),"
    yield "])"


def _object(values: Mapping[str, Any]) -> str:
    inner = (f"{key}: {literal(value) if isinstance(value, str) else value}" for key, value in values.items())
    return "{ " + ", ".join(inner) + " }"
