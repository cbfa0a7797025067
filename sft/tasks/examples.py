"""The in-context examples of rows: one fixed set, a draw for each row, or the rows of the pool most like it."""

from collections.abc import Sequence
from functools import cached_property, partial

from sft.config.examples import INFERENCE, TRAINING, ExampleChoice, inference_choice, training_choice
from sft.data.in_context import ExampleSource, Round
from sft.data.rows import Row
from sft.data.similarity import EmbeddingRanking, Ranking, WordRanking
from sft.models.sentence_encoder import encode_texts
from sft.tasks.inputs import Inputs, row_text

TRAIN = "train"


class TrainingExamples:
    """The examples before training rows, and before the dev rows of an evaluation during training."""

    def __init__(self, inputs: Inputs, *, leave_one_out: bool) -> None:
        """
        Args:
            inputs: the experiment's rows.
            leave_one_out: whether rows of the pool will be asked for, none of which sees itself.

        Raises:
            UserError: the pool holds too few rows; names the largest number that works.
        """
        choice = training_choice(inputs.config)
        source = example_source(inputs, choice.k, leave_one_out=leave_one_out)
        self._own = _OwnExamples(inputs, source, choice, TRAINING) if source else None

    def of(self, split: str, row: Row, exclude: int | None = None) -> tuple[Round, ...]:
        """The examples of a row of a split (`train`, `dev`).

        Args:
            split: of the row.
            row: the row.
            exclude: `source_index` of a row of the pool that must not be among them: the row itself.
        """
        return self._own.of(split, row, exclude) if self._own else ()


class InferenceExamples:
    """The in-context examples at inference: one fixed set, or a set for each row."""

    def __init__(self, inputs: Inputs) -> None:
        choice = inference_choice(inputs.config)
        self._source = example_source(inputs, choice.k, leave_one_out=False)
        self._fixed = self._source.fixed() if self._source else ()
        has_own = self._source is not None and inputs.config.draws_examples_per_row
        self._own = _OwnExamples(inputs, self._source, choice, INFERENCE) if self._source and has_own else None

    def fixed(self) -> tuple[Round, ...]:
        """The one set, also where rows have sets of their own."""
        return self._fixed

    def of(self, split: str, row: Row, exclude: int | None = None) -> tuple[Round, ...]:
        """The examples of a row.

        Args:
            split: of the row; `train` for rows of the pool.
            row: the row.
            exclude: `source_index` of a row of the pool that must not be among them: the row itself.
        """
        return self._own.of(split, row, exclude) if self._own else self._fixed

    def check_leave_one_out(self) -> None:
        """Make sure that enough examples are left for rows of the pool themselves.

        Raises:
            UserError: names the largest number that works.
        """
        if self._source is not None:
            self._source.check_leave_one_out()


class _OwnExamples:
    """Examples for each row, drawn or the nearest; what compares is made when the first row asks, never in a plan."""

    def __init__(self, inputs: Inputs, source: ExampleSource, choice: ExampleChoice, section: str) -> None:
        self._inputs = inputs
        self._source = source
        self._choice = choice
        self._section = section
        self._prompting = inputs.config.prompting if section == TRAINING else inputs.config.inference_prompting
        self._prepared: set[str] = set()

    def of(self, split: str, row: Row, exclude: int | None) -> tuple[Round, ...]:
        """The rounds of a row, without the row of the pool to `exclude`."""
        row_key = f"{split}:{row.source_index}"
        if self._choice.selection == "random":
            return self._source.drawn(row_key, exclude)
        if split not in self._prepared:
            self._prepared.add(split)
            self._ranking.prepare(self._texts(self._rows(split)))
        return self._source.nearest(row_key, self._ranking.order(row_text(row, self._prompting)), exclude)

    @cached_property
    def _ranking(self) -> Ranking:
        pool = self._texts(self._inputs.selection.pool)
        if self._choice.encoder is None:
            return WordRanking(pool)
        return EmbeddingRanking(pool, partial(encode_texts, self._inputs.encoders[self._section]))

    def _rows(self, split: str) -> Sequence[Row]:
        return self._inputs.selection.pool if split == TRAIN else self._inputs.evaluated()[split]

    def _texts(self, rows: Sequence[Row]) -> list[str]:
        return [row_text(row, self._prompting) for row in rows]


def example_source(inputs: Inputs, k: int, leave_one_out: bool) -> ExampleSource | None:
    """The source of in-context examples, None for k = 0.

    Raises:
        UserError: the pool holds fewer than k per label (one less where a row must not see itself).
    """
    if not k:
        return None
    source = ExampleSource(
        pool=inputs.selection.pool,
        output_column=inputs.config.prompting.output_column,
        label_values=inputs.labels.values if inputs.labels and inputs.task.examples_per_label else None,
        k=k,
        seed=inputs.config.seed_of("icl"),
        if_fewer=inputs.config.dataset.if_fewer,
    )
    if leave_one_out:
        source.check_leave_one_out()
    return source
