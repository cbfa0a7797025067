"""Row sets: which rows an infer stage runs, and their prompts.

`eval` are the dev and test rows. A calibrator, or the normalisation `pmi`, names further ones: rows of the pool with
known labels (`train:<n>`), or prompts without content (`content_free:<kind>:<n>`), in which the model's answer shows
what it favours whatever the input.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from sft.data.in_context import Round
from sft.data.rows import Row, indices_of, picked
from sft.data.sampling import random_for
from sft.data.selection import sample
from sft.exceptions import DataError
from sft.runs.records import EVAL
from sft.tasks.encoding import evaluated_rows
from sft.tasks.examples import TRAIN, InferenceExamples
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import PromptedRow, PromptMaker

_FORM = re.compile(r"train:(?P<n_train>[1-9]\d*)|content_free:(?P<kind>[a-z]+):(?P<n>[1-9]\d*)(?P<per_row>:per_row)?")

ContentKind = Literal["contextual", "domain", "empty"]

PMI_ROWS = "content_free:empty:1"
"""The row set of the normalisation `pmi`: the fixed examples and a question without an input."""

CONTENT_FREE_TEXTS = ("N/A", "[MASK]", "")
"""What stands for an input in the contextual calibration of Zhao et al. 2021 (arXiv 2102.09690)."""

CONTENT_FREE = "content_free"


@dataclass(frozen=True)
class RowSet:
    """A row set by its parts.

    Attributes:
        name: as a calibrator writes it.
        kind: evaluated rows, rows of the pool, or prompts without content.
        size: how many rows at most; with `per_row` how many for each evaluated row; 0 for `eval`.
        content: what stands in place of the input, of prompts without content.
        per_row: whether each evaluated row has prompts of its own, with its own in-context examples.
    """

    name: str
    kind: Literal["eval", "train", "content_free"]
    size: int = 0
    content: ContentKind | None = None
    per_row: bool = False

    @property
    def fixed_texts(self) -> tuple[str, ...]:
        """What stands in place of the input, where that does not depend on the data."""
        match self.content:
            case "empty":
                return ("",)
            case "contextual":
                return CONTENT_FREE_TEXTS[: self.size]
        return ()

    @staticmethod
    def parse(name: str) -> "RowSet":
        """The row set of a name.

        Raises:
            ValueError: there is no such row set.
        """
        if name == EVAL:
            return RowSet(name, "eval")
        match = _FORM.fullmatch(name)
        if match is None:
            raise ValueError(f"no row set {name!r}; there are: eval, train:<n>, content_free:<kind>:<n>[:per_row]")
        if match["n_train"]:
            return RowSet(name, "train", int(match["n_train"]))
        kind, size = match["kind"], int(match["n"])
        match kind:
            case "contextual":
                if size > len(CONTENT_FREE_TEXTS):
                    raise ValueError(f"row set {name!r}: there are {len(CONTENT_FREE_TEXTS)} content-free texts")
                return RowSet(name, "content_free", size, "contextual", match["per_row"] is not None)
            case "domain":
                return RowSet(name, "content_free", size, "domain", match["per_row"] is not None)
            case "empty":
                return RowSet(name, "content_free", 1, "empty", match["per_row"] is not None)
        raise ValueError(f"no row set {name!r}: content is contextual, domain or empty")


def row_set_fault(name: str) -> str | None:
    """What is wrong with a row set that a calibrator names; None where nothing is."""
    if name == EVAL:
        return f"row set {EVAL!r} need not be named: the scores of the evaluated rows are given anyway"
    try:
        RowSet.parse(name)
    except ValueError as error:
        return str(error)
    return None


def prompted_set(
    inputs: Inputs, maker: PromptMaker, row_set: RowSet, limit: int | None
) -> dict[str, list[PromptedRow]]:
    """The rows of a set as prompts, by the split they belong to.

    Rows of the pool stand under `train`; prompts without content under `content_free`, or, with `per_row`, under the
    split of their evaluated row, `row_set.size` of them for each, with its `source_index`.

    Raises:
        DataError: a row is too long after all cuts, or there are no rows.
    """
    if row_set.kind == "eval":
        return {split: evaluated_rows(inputs, maker, split, limit) for split in inputs.evaluated()}
    examples = InferenceExamples(inputs)
    if row_set.kind == "train":
        rows = pool_rows(inputs, row_set)
        return {TRAIN: maker.inference.rows(TRAIN, rows, partial(_of_others, examples), limit)}
    texts = list(_content_free_texts(inputs, row_set))
    if row_set.per_row:
        return {split: _per_row(inputs, maker, split, texts, limit) for split in inputs.evaluated()}
    rows = [Row(number, text) for number, text in enumerate(texts)]
    return {CONTENT_FREE: maker.inference.rows(CONTENT_FREE, rows, lambda row: examples.fixed(), limit)}


def pool_rows(inputs: Inputs, row_set: RowSet) -> Sequence[Row]:
    """The rows of a `train:<n>` set: a sample of the pool by label, none of them a fixed in-context example.

    The sample is drawn under `splits.seed`, the smaller inside the larger.

    Raises:
        DataError: the pool has no row besides the fixed examples, or its rows have no labels.
    """
    config = inputs.config
    shown = set()
    if not config.draws_examples_per_row:
        shown = {row.source_index for examples in InferenceExamples(inputs).fixed() for row in examples}
    pool = inputs.selection.pool
    left = picked(pool, [position for position, index in enumerate(indices_of(pool)) if index not in shown])
    if not left:
        why = "every training row is an in-context example already" if pool else "there is no training row"
        raise DataError(
            f"row set {row_set.name!r}: {why}, and what is fitted (calibration, a threshold) needs some; take more "
            "shots, fewer inference.icl_examples, or what fits nothing"
        )
    column = config.prompting.output_column if inputs.labels else None
    if column is not None and column not in left[0].values:
        raise DataError(
            f"row set {row_set.name!r}: column {column!r} is not in the train split, and calibration is fitted on it"
        )
    return sample(left, row_set.size, "calibration", config.dataset.splits.seed, column, inputs.task.values_in)


def check_row_set(inputs: Inputs, row_set: RowSet) -> None:
    """Make sure that a row set can be built, as far as that shows without a tokenizer.

    Raises:
        UserError: rows that it needs are not there.
    """
    if row_set.kind == "train":
        pool_rows(inputs, row_set)
        if inputs.config.draws_examples_per_row:
            InferenceExamples(inputs).check_leave_one_out()
    elif row_set.kind == "content_free":
        if inputs.config.prompting.is_conversation:
            raise DataError(
                f"row set {row_set.name!r}: a conversation has no prompt without content; take another calibration_fn "
                "or normalization"
            )
        list(_content_free_texts(inputs, row_set))


def _of_others(examples: InferenceExamples, row: Row) -> tuple[Round, ...]:
    """The examples of a row of the pool, without itself."""
    return examples.of(TRAIN, row, exclude=row.source_index)


def _per_row(
    inputs: Inputs, maker: PromptMaker, split: str, texts: Sequence[dict[str, str]], limit: int | None
) -> list[PromptedRow]:
    examples = InferenceExamples(inputs)
    prompts: list[PromptedRow] = []
    for owner in inputs.evaluated()[split]:
        shown = examples.of(split, owner)
        rows = [Row(owner.source_index, text) for text in texts]
        prompts += maker.inference.rows(split, rows, lambda row, shown=shown: shown, limit)  # type: ignore[misc]
    return prompts


def _content_free_texts(inputs: Inputs, row_set: RowSet) -> Iterator[dict[str, str]]:
    columns = inputs.config.inference_prompting.input_columns
    if row_set.content == "domain":
        yield from _domain_texts(inputs, columns, row_set.size)
        return
    for text in row_set.fixed_texts:
        yield dict.fromkeys(columns, text)


def _domain_texts(inputs: Inputs, columns: Sequence[str], count: int) -> Iterator[dict[str, str]]:
    """Random words of the pool's texts, as many as a text has on average (Fei et al. 2023, arXiv 2305.19148)."""
    pool = inputs.selection.pool
    texts = {column: [row.input_text(column).split() for row in pool] for column in columns}
    words = {column: [word for text in items for word in text] for column, items in texts.items()}
    if not any(words.values()):
        raise DataError(
            "domain calibration draws words from training rows, and there are none; give a train split, or another "
            "calibration_fn"
        )
    for number in range(count):
        rng = random_for("domain", inputs.config.dataset.splits.seed, number)
        drawn = {}
        for column in columns:
            length = max(1, round(len(words[column]) / len(pool))) if words[column] else 0
            drawn[column] = " ".join(rng.choice(words[column]) for _ in range(length))
        yield drawn
