"""A draft as Jsonnet: what runs, why, and what else could be turned, as comments."""

from collections.abc import Iterator, Mapping
from typing import Any

from sft.data.profile.labels import label_list, literal
from sft.data.profile.lengths import LengthProfile
from sft.experiments.drafting.draft import DEFAULT_MODEL, Draft
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
    yield f"    task_type: '{draft.task}',  // {one_line(draft.why_task)}; --task overrides"
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
    if draft.is_conversation:
        yield "    // instruction: 'Answer kindly.',"
    else:
        yield "    // Say in your words what is asked; it matters."
        yield f"    instruction: {literal(_instruction(draft))},"
    yield f"    input_columns: {label_list(draft.inputs)},"
    for length in () if draft.is_conversation else draft.lengths[: len(draft.inputs)]:
        yield f"    // Words of {_length(length)}"
    yield f"    output_column: {literal(draft.label)},"
    if draft.is_conversation:
        yield "    // train_turns: 'all',"
    elif draft.max_input_length is not None:
        yield f"    max_input_length: {draft.max_input_length},  // tokens that are kept of each column"
    else:
        yield "    // max_input_length: 256,"
    if not draft.labels:
        yield f"    max_output_length: {draft.max_output_length},  // tokens; words of {_length(draft.lengths[-1])}"
    yield "  },"


def _instruction(draft: Draft) -> str:
    what = one_line(draft.label).replace("{", "").replace("}", "")
    if not draft.labels:
        return f"Read the text and write its {what}. Answer with nothing else."
    by = "" if what.lower() in ("label", "labels", "class") else f" by {what}"
    return f"Classify the text{by}. Answer with one of: {{labels}}."


def _rest(draft: Draft) -> Iterator[str]:
    """What is trained how, and what is measured."""
    epochs = "{ learning_rate: 2e-4, num_train_epochs: 5, per_device_train_batch_size: 8 }"
    yield f"  training: {{ trainer_args: {epochs} }},"
    metrics = "['macro_f1', 'accuracy', 'ece']" if draft.labels else "['rougeL', 'exact_match']"
    yield f"  evaluation: {{ metrics: {metrics} }},  // the first one ranks"


def _axes(draft: Draft) -> Iterator[str]:
    shots, k = draft.shots, draft.examples
    per = " per label" if draft.labels else ""
    yield "// Every line that is switched on multiplies the grid."
    yield "grid.product(base, ["
    yield "  {"
    yield "    zero: grid.zero_shot,"
    icl = f"icl: grid.in_context(shots={shots}, k={k or 1}),"
    if k:
        yield f"    {icl}  // {k} examples{per} in each prompt"
    elif not draft.is_conversation:
        yield f"    // {icl}"
    yield f"    lora: grid.lora(shots={shots}),  // trained on {shots} rows{per}"
    if draft.has_twice_the_shots:
        yield f"    // 'lora-{2 * shots}': grid.lora(shots={2 * shots}),"
    yield f"    // pissa: grid.lora(shots={shots}, init='pissa'),"
    yield f"    // 'lora-r16': grid.lora(shots={shots}) + {{ lora+: {{ r: 16, lora_alpha: 32 }} }},"
    yield "  },"
    if draft.labels:
        yield "  // { plain: {}, calibrated: { inference: { calibration_args: { calibration_fn: 'batch' } } } },"
    yield "  // { small: {}, 'bigger-model': { model: { name: 'Qwen/Qwen2.5-1.5B-Instruct' } } },"
    yield "  // grid.seeds([13, 14, 15]),"
    yield "])"


def _length(length: LengthProfile) -> str:
    numbers = f"median {length.median}, 95 % up to {length.p95}, longest {length.longest}"
    return f"{one_line(length.column or '')}: {numbers}"


def _object(values: Mapping[str, Any]) -> str:
    inner = (f"{key}: {literal(value) if isinstance(value, str) else value}" for key, value in values.items())
    return "{ " + ", ".join(inner) + " }"
