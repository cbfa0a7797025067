"""Which rows stand before a row: of the pool only, never the row itself, the nearest by the prompting in force."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError
from sft.models.sentence_encoder import EncoderSource
from sft.tasks import examples
from sft.tasks.examples import InferenceExamples, TrainingExamples
from sft.tasks.inputs import Inputs, load_inputs

Raw = Callable[..., dict[str, Any]]
DEV = {"dataset": {"splits": {"dev": "dev"}}}
TOPICS = ("rain in spring", "a red bicycle", "cold soup", "loud music", "the last train")


@pytest.fixture
def inputs_of(project: Path, rewrite: Callable[..., None]) -> Callable[..., Inputs]:
    """The rows of a config; the rows of each label are on five topics, the same in each split."""

    def load(config: dict[str, Any]) -> Inputs:
        for split in ("train", "dev", "test"):
            titles = TOPICS[::-1] if split == "train" else TOPICS
            rewrite(project, split, lambda rows: [_on_topic(row, n // 3, titles) for n, row in enumerate(rows)])  # noqa: B023
        return load_inputs(ExperimentConfig.model_validate(config), project, {"inference.icl_encoder": "0" * 40})

    return load


def _on_topic(row: dict[str, Any], topic: int, titles: Sequence[str]) -> dict[str, Any]:
    return row | {"text": f"{row['id']} on {TOPICS[topic]}", "title": titles[topic]}


def nearest(section: str, k: int = 1, **fields: Any) -> dict[str, Any]:
    return {section: {"icl_examples": k, "icl_selection": "nearest", **fields}}


def indices(rounds: Sequence[Sequence[Any]]) -> set[int]:
    return {row.source_index for one in rounds for row in one}


def shown(rounds: Sequence[Sequence[Any]], column: str = "text") -> list[list[str]]:
    return [sorted({str(row.values[column]).rpartition(" on ")[2] for row in one}) for one in rounds]


def test_an_evaluated_row_is_shown_rows_on_its_topic(inputs_of: Callable[..., Inputs], raw: Raw) -> None:
    inputs = inputs_of(raw(DEV, {"dataset": {"shots": "all"}}, nearest("inference", 2)))
    source = InferenceExamples(inputs)
    for split, rows in inputs.evaluated().items():
        for row in rows:
            rounds = source.of(split, row)
            assert [len(one) for one in rounds] == [3, 3]
            assert shown(rounds)[-1] == [str(row.values["text"]).rpartition(" on ")[2]]


def test_the_nearest_come_from_the_pool_only(inputs_of: Callable[..., Inputs], raw: Raw) -> None:
    inputs = inputs_of(raw(DEV, nearest("inference", 2), nearest("training")))
    shots = {row.source_index for row in inputs.selection.shots}
    at_inference, in_training = InferenceExamples(inputs), TrainingExamples(inputs, leave_one_out=True)
    for split, rows in inputs.evaluated().items():
        assert all(indices(at_inference.of(split, row)) == shots for row in rows)
    for row in inputs.selection.shots:
        assert indices(in_training.of("train", row, row.source_index)) < shots
    for row in inputs.evaluated()["dev"]:
        assert indices(in_training.of("dev", row)) < shots


@pytest.mark.parametrize("if_fewer", ["error", "use_all"])
def test_a_row_is_never_its_own_nearest(inputs_of: Callable[..., Inputs], raw: Raw, if_fewer: str) -> None:
    dataset = {"dataset": {"shots": 4, "if_fewer": if_fewer}}
    inputs = inputs_of(raw(dataset, nearest("training", 3), nearest("inference", 3)))
    in_training, at_inference = TrainingExamples(inputs, leave_one_out=True), InferenceExamples(inputs)
    for row in inputs.selection.shots:
        own = row.source_index
        for rounds in (in_training.of("train", row, own), at_inference.of("train", row, exclude=own)):
            assert len(rounds) == 3
            assert own not in indices(rounds)
        assert own in indices(at_inference.of("train", row)[-1:])


def test_training_needs_one_more_than_it_shows(inputs_of: Callable[..., Inputs], raw: Raw) -> None:
    with pytest.raises(UserError, match="largest that works is 1"):
        TrainingExamples(inputs_of(raw(nearest("training", 2))), leave_one_out=True)


def test_another_process_and_another_order_of_questions_show_the_same(
    inputs_of: Callable[..., Inputs], raw: Raw
) -> None:
    inputs = inputs_of(raw({"dataset": {"shots": "all"}}, nearest("inference", 3)))
    rows = inputs.selection.test
    one, other = InferenceExamples(inputs), InferenceExamples(inputs)
    found = {row.source_index: one.of("test", row) for row in rows}
    assert {row.source_index: other.of("test", row) for row in reversed(rows)} == found


def test_likeness_is_of_the_columns_that_are_shown(inputs_of: Callable[..., Inputs], raw: Raw) -> None:
    """In training those of `prompting`, at inference those of its overlay."""
    overlay = nearest("inference", prompting={"input_columns": ["title"]})
    inputs = inputs_of(raw(DEV, {"dataset": {"shots": "all"}}, nearest("training"), overlay))
    row = inputs.evaluated()["dev"][0]
    by_text, by_title = TrainingExamples(inputs, leave_one_out=False), InferenceExamples(inputs)
    assert shown(by_text.of("dev", row)) == [[TOPICS[0]]]
    assert shown(by_title.of("dev", row), "title") == [[TOPICS[0]]]
    assert shown(by_title.of("dev", row)) == [[TOPICS[-1]]]


def test_prompts_without_a_row_have_the_fixed_set(inputs_of: Callable[..., Inputs], raw: Raw) -> None:
    random = InferenceExamples(inputs_of(raw({"inference": {"icl_examples": 1}})))
    assert InferenceExamples(inputs_of(raw(nearest("inference")))).fixed() == random.fixed()


def test_an_encoder_is_asked_once_per_split_and_only_for_rows(
    inputs_of: Callable[..., Inputs], raw: Raw, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[EncoderSource, Sequence[str]]] = []

    def encode(source: EncoderSource, texts: Sequence[str]) -> Any:
        asked.append((source, texts))
        known = [[float(topic in text) for topic in TOPICS] for text in texts]
        return np.array(known, np.float32)

    monkeypatch.setattr(examples, "encode_texts", encode)
    inputs = inputs_of(raw(DEV, {"dataset": {"shots": "all"}}, nearest("inference", icl_encoder="some/encoder")))
    source = InferenceExamples(inputs)
    source.fixed()
    assert not asked
    rounds = [(row, source.of("test", row)) for row in inputs.selection.test]
    assert all(shown(one) == [[str(row.values["text"]).rpartition(" on ")[2]]] for row, one in rounds)
    assert [len(texts) for _, texts in asked] == [15 + 9]
    assert asked[0][0] == EncoderSource("some/encoder", project, "0" * 40)
    source.of("dev", inputs.evaluated()["dev"][0])
    assert [len(texts) for _, texts in asked] == [15 + 9, 6]
