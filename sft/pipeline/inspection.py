"""What the model will see: the very ids that training and scoring use, without running anything."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sft.data.rows import Row, indices_of
from sft.inference.label_scoring.cost import TokenCost, generation_cost, scoring_cost, source_cost, whole_cost
from sft.inference.label_scoring.grouping import WORTH_SHARING
from sft.inference.memory import Sizes, batch_limits
from sft.labels.token_trie import ROOT, TokenTrie
from sft.models.token_text import completion_segments, prompt_segments, token_text
from sft.objectives import objective_of
from sft.pipeline.experiment import Experiment
from sft.pipeline.prompts import ExperimentPrompts
from sft.prompts import Encoded, LabelIds
from sft.tasks.encoding import evaluated_rows, smallest, training_rows
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import PromptedRow, StagePrompts
from sft.training.objectives import training_objective_of
from sft.training.options import trainer_args_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def inspect_experiment(experiment: Experiment, rows: int) -> dict[str, Any]:
    """The first rows of each split as text and ids, the labels as tokens, and what the evaluated rows cost.

    All evaluated rows are encoded for the cost, however few are shown.

    Args:
        experiment: what to look at.
        rows: rows of each split.

    Returns:
        `{rows: [{split, index, text, prompt_ids, completion_ids, loss_mask, ...}], label_ids: {label: ids},
        label_trie: [{id, text, parent, ...}], cost: {naive, shared, ...}}`, and of a model with a head `head_labels`,
        the labels that it gives one number each, which are then no tokens, and `gold` of its rows; evaluated rows have
        the gold answer as completion, where the data has it. Rows that an encoder reads have `opening_ids`, which its
        decoder begins with, and their completion is what that writes. `reads` is the form of the rows. Where each fold
        has a training or examples of its own, `fold` is 0: the rows, and the cost, are of the first fold.

    Raises:
        UserError: the ids of a label depend on the row.
        DataError: rows are too long after all cuts.
    """
    return _Inspection(ExperimentPrompts(experiment), rows).record()


@dataclass(frozen=True)
class _Inspection:
    """One look at an experiment."""

    prompts: ExperimentPrompts
    rows: int

    def record(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        shown = self._training() if self.inputs.config.trains else []
        encoded: list[Encoded] = []
        for split in self.inputs.evaluated():
            rows = self.prompts.evaluated(split)
            encoded += [prompt for row in rows for prompt in (row.questions or (row.encoded,))]
            shown += self._evaluated(split, rows[: self.rows])
        labels, questions = self.prompts.inference.labels, self.inputs.task.questions
        values = self.inputs.labels.values if self.inputs.labels else ()
        of_head = {"head_labels": list(values)} if self._has_head else {}
        if of_head:
            values = ()  # they are outputs, not tokens
        elif questions is not None:
            values = questions.words
        return {
            "reads": self.inputs.task.reads or self.prompts.maker.reads,
            "rows": shown,
            "label_ids": label_ids_by_value(values, labels),
            "label_trie": label_nodes(values, labels, self.prompts.maker.tokenizer),
            "cost": asdict(self._cost(encoded)),
            **of_head,
            **({} if self.inputs.fold is None else {"fold": self.inputs.fold}),
        }

    @property
    def inputs(self) -> Inputs:
        """The rows of the experiment."""
        return self.prompts.inputs

    @property
    def _has_head(self) -> bool:
        return objective_of(self.inputs.config, self.inputs.task.objectives).has_head

    @property
    def _is_whole(self) -> bool:
        return self.inputs.task.reads == "whole"

    def _training(self) -> list[dict[str, Any]]:
        longest = smallest(trainer_args_of(self.inputs.config).get("max_length"), self.prompts.context)
        fits_labels = training_objective_of(self.inputs.config).needs_labels
        encoded = training_rows(self.inputs, self.prompts.maker, longest, fits_labels=fits_labels)
        places = {index: place for place, index in enumerate(indices_of(self.inputs.selection.shots))}
        pairs = [(places[row.row.source_index], row) for row in encoded]  # a row may be asked about several labels
        return [self._record("train", place, row, row.encoded) for place, row in pairs if place < self.rows]

    def _evaluated(self, split: str, prompts: Sequence[PromptedRow]) -> list[dict[str, Any]]:
        if not self.inputs.has_gold(split):
            return [self._record(split, index, row, row.encoded) for index, row in enumerate(prompts)]
        selection = self.inputs.selection
        dev = None if selection.dev is None else selection.dev[: self.rows]
        few = replace(self.inputs, selection=replace(selection, dev=dev, test=selection.test[: self.rows]))
        answered = evaluated_rows(few, self.prompts.maker, split, None, with_answer=True)
        pairs = zip(prompts, answered, strict=True)
        return [self._record(split, index, row, gold.encoded) for index, (row, gold) in enumerate(pairs)]

    def _record(self, split: str, index: int, row: PromptedRow, answered: Encoded) -> dict[str, Any]:
        encoded, tokenizer = row.encoded, self.prompts.maker.tokenizer
        stage = self.prompts.maker.training if split == "train" else self.prompts.inference
        around, opening = stage.builder.surroundings, self._opening(stage)
        completion = completion_segments(tokenizer, answered.answer_ids, answered.stop_ids, opening)
        own = "".join(segment.text for segment in completion) if encoded.answer_ids and around is None else ""
        control_ids, shown = stage.builder.control_ids, encoded.text.removesuffix(own)
        beside = ((), ()) if around is None else (around.before, around.after)
        prompt = prompt_segments(tokenizer, encoded.prompt_ids, control_ids, shown, beside)
        return {
            "split": split,
            "index": index,
            "source_index": row.row.source_index,
            **self._gold(split, row.row),
            "text": encoded.text,
            "prompt_ids": list(encoded.prompt_ids),
            **({} if around is None else {"opening_ids": list(opening)}),
            "completion_ids": list(answered.completion_ids),
            "loss_mask": [*_earlier_mask(answered), *(1 for _ in answered.completion_ids)],
            "segments": [segment._asdict() for segment in (*prompt, *completion)],
            "cut": vars(encoded.cut) if encoded.cut.any else None,
            "n_special": encoded.n_special,
        }

    def _gold(self, split: str, row: Row) -> dict[str, list[str]]:
        """The labels of a row that a head is trained towards or measured by, which no completion shows."""
        if not self._has_head or (split != "train" and not self.inputs.has_gold(split)):
            return {}
        return {"gold": list(self.inputs.task.values_in(row.text(self.inputs.config.prompting.output_column)))}

    def _opening(self, stage: StagePrompts) -> tuple[int, ...]:
        """What a decoder of its own begins with; nothing where the answer follows the prompt."""
        return stage.decoder_opening(self.prompts.model_config) if stage.builder.surroundings is not None else ()

    def _cost(self, encoded: Sequence[Encoded]) -> TokenCost:
        """What the evaluated rows cost, in passes of the size that a CPU takes."""
        ids = [prompt.prompt_ids for prompt in encoded]
        if self._has_head or self._is_whole:
            return whole_cost(ids)
        labels = [(label.answer_ids, label.stop_ids) for label in self.prompts.inference.labels]
        if self.prompts.inference.builder.surroundings is not None:
            n_opening = len(self._opening(self.prompts.inference))
            # the last token of a label is written, and never read
            return source_cost(ids, [n_opening + len(answer) + len(stop) - 1 for answer, stop in labels])
        if not self.inputs.labels:
            return generation_cost(ids, WORTH_SHARING)
        self.prompts.inference.builder.check_labels(encoded, self.prompts.inference.labels)
        sizes = Sizes.of(self.prompts.model_config.get_text_config())
        limits = batch_limits(self.inputs.config, 0, sizes, "cpu", None)
        if limits is None:
            raise ValueError("an inference can always run as configured")
        return scoring_cost(ids, labels, limits)


def _earlier_mask(encoded: Encoded) -> list[int]:
    """1 for each token of the prompt that is trained: of earlier answers of a conversation, or of a whole text.

    The first token of all has none before it that could predict it.
    """
    mask = [0] * len(encoded.prompt_ids)
    for start, end in encoded.trained:
        mask[max(1, start) : end] = [1] * (end - max(1, start))
    return mask


def label_ids_by_value(values: Sequence[str], labels: Sequence[LabelIds]) -> dict[str, list[int]]:
    """The ids of each label with its stop's, by gold value, as predictions have it."""
    pairs = zip(values, labels, strict=True)
    return {value: [*label.answer_ids, *label.stop_ids] for value, label in pairs}


def label_nodes(
    values: Sequence[str], labels: Sequence[LabelIds], tokenizer: "PreTrainedTokenizerBase"
) -> list[dict[str, Any]]:
    """The nodes of the tree of the labels with their stops, a parent before its children.

    Args:
        values: gold values.
        labels: as they are scored, in the same order.
        tokenizer: of the model.

    Returns:
        for each node `{id, text, parent, is_stop, labels}`: `parent` is the place of a node in the list, null at the
        first token; `labels` are the gold values whose last token it is, the stop included.
    """
    trie = TokenTrie.of([[*label.answer_ids, *label.stop_ids] for label in labels])
    ends: dict[int, list[str]] = {}
    stops: set[int] = set()
    for value, label, path in zip(values, labels, trie.paths, strict=True):
        ends.setdefault(path[-1], []).append(value)
        stops.update(path[len(label.answer_ids) :])
    texts = {token: token_text(tokenizer, token) for token in set(trie.tokens)}
    return [
        {
            "id": token,
            "text": texts[token],
            "parent": None if parent == ROOT else parent,
            "is_stop": node in stops,
            "labels": ends.get(node, []),
        }
        for node, (token, parent) in enumerate(zip(trie.tokens, trie.parents, strict=True))
    ]
