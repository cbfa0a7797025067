"""The evaluated test rows of an experiment as a task of lm-evaluation-harness: prompts as text, labels as choices.

lm-eval gets texts and tokenises them itself. A row is handed over only where that gives the very ids that are scored
here; the rules compared with are those of lm-eval 0.4.13 with `add_bos_token=False`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.exceptions import DataError, UserError
from sft.objectives import objective_of
from sft.pipeline.prompts import ExperimentPrompts
from sft.prompts import Encoded
from sft.runs.atomic import write_json_lines, write_text
from sft.runs.files import slug
from sft.tasks.prompting import PromptedRow
from sft.wording import some

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLIT = "test"
VERSION = 1
ROWS_NAMED = 5

TASK = """\
# Written by `sft inspect --lm-eval`. The prompts are rendered already: no --apply_chat_template, no --num_fewshot.
# The file of the rows is looked for where lm_eval is started.
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    {split}: {name}.jsonl
test_split: {split}
output_type: multiple_choice
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: gold
target_delimiter: ""
num_fewshot: 0
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: {version}
"""


@dataclass(frozen=True)
class LmEvalTask:
    """A task as it is written.

    Attributes:
        name: `sft-`, the name of the experiment as in folder names, and the beginning of its id.
        rows: `{prompt, choices, gold, index, source_index}` of each test row; `gold` is the place of its label among
            the choices, `index` and `source_index` are those of `predictions.jsonl`.
    """

    name: str
    rows: tuple[dict[str, Any], ...]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `NAME.yaml` and `NAME.jsonl` into a folder that may hold other tasks."""
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--lm-eval {folder}: must be a folder, and is a file")
        task, rows = folder / f"{self.name}.yaml", folder / f"{self.name}.jsonl"
        write_json_lines(rows, self.rows)
        write_text(task, TASK.format(name=self.name, split=SPLIT, version=VERSION))
        return task, rows


def lm_eval_task(prompts: ExperimentPrompts, id8: str) -> LmEvalTask:
    """The test rows of a classification, each with all labels.

    Args:
        prompts: of the experiment.
        id8: the beginning of its id.

    Raises:
        UserError: it is a generation; or lm-eval would read rows as other ids than those that are scored.
        DataError: the test rows have no labels, or are too long.
    """
    return _TaskMaker(prompts).task(f"sft-{slug(prompts.experiment.name)}-{id8}")


@dataclass(frozen=True)
class _TaskMaker:
    prompts: ExperimentPrompts

    def task(self, name: str) -> LmEvalTask:
        inputs, column = self.prompts.inputs, self.prompts.experiment.config.prompting.output_column
        labels = inputs.labels
        if labels is None or not inputs.task.uses("inference.label_scoring"):
            asked = "judges each label by itself" if inputs.task.has_label_sets else "generates texts"
            raise UserError(f"--lm-eval: lm-eval scores labels, and this experiment {asked}")
        objective = objective_of(self.prompts.experiment.config, inputs.task.objectives)
        if objective.has_head:
            raise UserError(f"--lm-eval: lm-eval scores labels as text, and {objective.name} answers with a head")
        if objective.reads == "source":
            told = f"lm-eval's tasks are prompts of decoders, and {objective.name} reads them with an encoder"
            raise UserError(f"--lm-eval: {told}")
        if not inputs.has_gold(SPLIT):
            raise DataError(f"--lm-eval: the {SPLIT} rows have no column {column!r}, so there is no accuracy")
        rows = self.prompts.evaluated(SPLIT)
        self._check(rows)
        choices = [text for text, _ in self._choices]
        return LmEvalTask(
            name,
            tuple(
                {
                    "index": index,
                    "source_index": row.row.source_index,
                    "prompt": row.encoded.text,
                    "choices": choices,
                    "gold": labels.index(row.row.text(column)),
                }
                for index, row in enumerate(rows)
            ),
        )

    @property
    def _scores_stop(self) -> bool:
        return self.prompts.experiment.config.inference.label_scoring.end_token

    @cached_property
    def _choices(self) -> list[tuple[str, tuple[int, ...]]]:
        """Each label as text and ids, with its stop where that is scored."""
        builder = self.prompts.inference.builder
        stop = builder.stop_text if self._scores_stop else ""
        return [
            (
                builder.label_text(label.word) + stop,
                label.answer_ids + (label.stop_ids if self._scores_stop else ()),
            )
            for label in self.prompts.inference.labels
        ]

    def _check(self, rows: Sequence[PromptedRow]) -> None:
        """Refuse rows that lm-eval would read as other ids."""
        self.prompts.inference.builder.check_labels([row.encoded for row in rows], self.prompts.inference.labels)
        wrong = [(row.row.source_index, row.encoded) for row in rows if not self._reads_equal(row.encoded)]
        if not wrong:
            return
        reasons = dict.fromkeys(self._reason(encoded) for _, encoded in wrong)
        named = some([str(index) for index, _ in wrong], ROWS_NAMED)
        raise UserError(
            f"--lm-eval: of {len(rows)} {SPLIT} rows lm-eval would read {len(wrong)} ({named}) as other ids "
            f"than those that are scored here: {'; '.join(reasons)}",
            kind="tokenizer",
        )

    def _reads_equal(self, encoded: Encoded) -> bool:
        pairs = harness_pairs(self.prompts.maker.tokenizer, encoded.text, [text for text, _ in self._choices])
        return all(
            context + continuation == encoded.prompt_ids + ids
            for (context, continuation), (_, ids) in zip(pairs, self._choices, strict=True)
        )

    def _reason(self, encoded: Encoded) -> str:
        if encoded.n_special:
            return (
                "they hold control-token strings, which are characters here and control tokens to lm-eval; leave such "
                "rows out of the test split"
            )
        builder, label = self.prompts.inference.builder, self.prompts.inference.labels[0]
        bare = next(harness_pairs(self.prompts.maker.tokenizer, encoded.text, [builder.label_text(label.word)]))
        if self._scores_stop and bare[0] + bare[1] == encoded.prompt_ids + label.answer_ids:
            return (
                f"the stop {builder.stop_text!r} at the end of a text is not its ids {list(builder.stop_ids)}; set "
                "inference.label_scoring.end_token to false, or prompting.format to chat"
            )
        return "prompt and label written as one text are tokenised in another way"


def harness_pairs(
    tokenizer: "PreTrainedTokenizerBase", prompt: str, choices: Sequence[str]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Context and continuation ids of a prompt with each choice, as lm-eval makes them.

    It moves blanks at the end of the prompt to the continuation, tokenises the whole, and cuts it after as many ids as
    the prompt has by itself; so a line break that ends a chat template's prompt is scored with every label, which adds
    the same to all of them.
    """
    context = _ids(tokenizer, [prompt.rstrip()])[0]
    for whole in _ids(tokenizer, [prompt + choice for choice in choices]):
        yield context, whole[len(context) :]


def _ids(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[tuple[int, ...]]:
    encoded = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)
    return [tuple(ids) for ids in encoded["input_ids"]]
