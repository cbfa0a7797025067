from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.exceptions import DataError, UserError
from sft.inference.limits import prompt_limit
from sft.prompts import Example, PromptBuilder
from sft.tasks import prompting
from sft.tasks.encoding import evaluated_rows, training_rows, validation_rows
from sft.tasks.inputs import Inputs, load_inputs
from sft.tasks.prompting import PromptMaker, StagePrompts

Raw = Callable[..., dict[str, Any]]
DEV = {"dataset": {"splits": {"dev": "dev"}}}


@pytest.fixture
def loaded(project: Path) -> Callable[[dict[str, Any]], tuple[Inputs, PromptMaker]]:
    def load(written: dict[str, Any]) -> tuple[Inputs, PromptMaker]:
        config = ExperimentConfig.model_validate(written)
        inputs = load_inputs(config, project, {})
        return inputs, PromptMaker(config, project, {}, inputs.labels)

    return load


def test_a_training_row_is_never_among_its_own_examples(loaded: Callable[..., Any], raw: Raw) -> None:
    inputs, maker = loaded(raw({"training": {"icl_examples": 1}}))
    rows = training_rows(inputs, maker, None)
    shots = {row.source_index for row in inputs.selection.shots}
    assert {row.row.source_index for row in rows} == shots
    assert all(row.row.source_index not in row.examples for row in rows)
    assert all(len(row.examples) == 3 and set(row.examples) <= shots for row in rows)
    for row in rows:
        text = str(row.row.values["text"])
        assert row.encoded.text.count(text) == 1


def test_two_shots_leave_one_example_for_training_and_two_for_inference(loaded: Callable[..., Any], raw: Raw) -> None:
    inputs, maker = loaded(raw({"training": {"icl_examples": 2}, "inference": {"icl_examples": 2}}))
    with pytest.raises(UserError, match="largest that works is 1"):
        training_rows(inputs, maker, None)
    assert len(evaluated_rows(inputs, maker, "test", None)[0].examples) == 6


def test_the_recorded_examples_are_those_in_the_text_in_their_order(loaded: Callable[..., Any], raw: Raw) -> None:
    inputs, maker = loaded(raw({"inference": {"icl_examples": 2, "random_icl": True}}))
    texts = {row.source_index: str(row.values["text"]) for row in inputs.selection.shots}
    rows = evaluated_rows(inputs, maker, "test", None)
    for row in rows:
        places = [row.encoded.text.index(texts[index]) for index in row.examples]
        assert places == sorted(places)
        assert len(places) == 6
    assert len({row.examples for row in rows}) > 1


def test_fixed_examples_are_the_same_for_all_rows_and_splits(loaded: Callable[..., Any], raw: Raw) -> None:
    inputs, maker = loaded(raw(DEV, {"inference": {"icl_examples": 1}}))
    rows = [row for split in ("dev", "test") for row in evaluated_rows(inputs, maker, split, None)]
    assert len({row.examples for row in rows}) == 1


def test_a_prompt_leaves_room_for_every_label_where_it_is_asked_to(loaded: Callable[..., Any], raw: Raw) -> None:
    words = {"dataset": {"labels": {"bad": "no", "good": "certainly it is", "mixed": "yes"}, "splits": {"dev": "dev"}}}
    inputs, maker = loaded(raw(words, {"training": {"icl_examples": 1}}))
    sizes = [len(label.answer_ids) + len(label.stop_ids) for label in maker.training.labels]
    limit = max(len(row.encoded.prompt_ids) for row in training_rows(inputs, maker, None)) + min(sizes)
    for rows in (training_rows, validation_rows):
        fitted = rows(inputs, maker, limit, fits_labels=True)
        assert all(len(row.encoded.prompt_ids) + max(sizes) <= limit for row in fitted)
        assert any(row.encoded.cut.examples for row in fitted)
        plain = rows(inputs, maker, limit)
        assert max(len(row.encoded.prompt_ids) for row in plain) + max(sizes) > limit


def test_examples_that_had_to_give_way_are_not_recorded(loaded: Callable[..., Any], raw: Raw) -> None:
    inputs, maker = loaded(raw({"inference": {"icl_examples": 2}}))
    whole = evaluated_rows(inputs, maker, "test", None)[0]
    short = evaluated_rows(inputs, maker, "test", len(whole.encoded.prompt_ids) - 1)[0]
    assert short.examples == whole.examples[3:]
    assert short.encoded.cut.examples == 3


def test_examples_come_from_the_train_split_where_there_are_no_shots(
    loaded: Callable[..., Any], raw: Raw, zero_shot: dict[str, Any]
) -> None:
    inputs, maker = loaded(raw(zero_shot, {"inference": {"icl_examples": 4}}))
    assert len(evaluated_rows(inputs, maker, "test", None)[0].examples) == 12


def test_rows_that_are_too_long_are_named(
    loaded: Callable[..., Any], project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    inputs, maker = loaded(raw())
    with pytest.raises(DataError, match=r"^test rows 0, 1, 2, 3, 4, 5, 6, 7, 8 are too long after all cuts: "):
        evaluated_rows(inputs, maker, "test", 5)
    rewrite(project, "test", lambda rows: rows * 2)
    inputs, maker = loaded(raw())
    with pytest.raises(DataError, match=r"^test rows 0, 1, .*, 9 and 8 more are"):
        evaluated_rows(inputs, maker, "test", 5)
    with pytest.raises(DataError, match=r"^train rows "):
        training_rows(inputs, maker, 5)


def test_dev_rows_of_a_training_are_prompted_as_its_training_rows_whatever_inference_does(
    loaded: Callable[..., Any], raw: Raw
) -> None:
    training = {"training": {"icl_examples": 1}}
    other = {"inference": {"icl_examples": 2, "prompting": {"instruction": "Other."}}}
    plain = validation_rows(*loaded(raw(DEV, training)), None)
    varied = validation_rows(*loaded(raw(DEV, training, other)), None)
    assert [row.encoded for row in plain] == [row.encoded for row in varied]
    assert len(plain) == 6
    assert all(len(row.examples) == 3 and row.encoded.completion_ids for row in plain)


def test_inference_prompting_reaches_evaluated_rows_only(loaded: Callable[..., Any], raw: Raw) -> None:
    inputs, maker = loaded(raw({"inference": {"prompting": {"instruction": "Otherwise {labels}."}}}))
    assert "Otherwise bad, good, mixed." in evaluated_rows(inputs, maker, "test", None)[0].encoded.text
    assert "One of bad, good, mixed." in training_rows(inputs, maker, None)[0].encoded.text


def test_the_model_reads_and_writes_the_words_of_a_label_map(loaded: Callable[..., Any], raw: Raw) -> None:
    words = {"bad": "awful", "good": "great", "mixed": "so-so"}
    inputs, maker = loaded(raw({"dataset": {"labels": words}, "inference": {"icl_examples": 1}}))
    row = evaluated_rows(inputs, maker, "test", None, with_answer=True)[0]
    assert "One of awful, great, so-so." in row.encoded.text
    assert row.encoded.text.rstrip().endswith("awful<|im_end|>")
    assert all(f"assistant\n{word}" in row.encoded.text for word in words.values())


def test_one_of_several_templates_is_found_by_auto_and_its_thinking_switched_off(project: Path, raw: Raw) -> None:
    turns = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    thinks = "{% if enable_thinking is not defined or enable_thinking %}THINK{% endif %}" + turns

    def prompts(format: str, **templates: str) -> StagePrompts:
        config = ExperimentConfig.model_validate(raw({"prompting": {"format": format}}))
        maker = PromptMaker(config, project, {}, None)
        maker.tokenizer.chat_template = templates
        return maker.training

    for format in ("auto", "chat"):
        found = prompts(format, default=thinks, tool_use="TOOL" + turns)
        assert found.encode([], Example({"text": "so"}), None).text.startswith("<|im_start|>system\n")
        assert found.traits == ["named_template"]
    with pytest.raises(UserError, match="several chat templates"):
        _ = prompts("chat", tool_use=turns).builder
    assert prompts("plain", tool_use=turns).traits == []


def test_a_row_that_the_tokenizer_does_not_take_is_named(
    loaded: Callable[..., Any], raw: Raw, generation: dict[str, Any], project: Path, rewrite: Callable[..., None]
) -> None:
    rewrite(project, "train", lambda rows: rows[2].update(label="a\n\nb"))
    inputs, maker = loaded(raw(generation, {"dataset": {"shots": "all"}, "prompting": {"format": "plain"}}))
    with pytest.raises(UserError, match=r"^train row 2: the output 'a\\n\\nb' holds a blank line") as caught:
        training_rows(inputs, maker, None)
    assert caught.value.kind == "data"


def test_every_row_that_is_prompted_is_a_heartbeat(
    loaded: Callable[..., Any], raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[None] = []
    monkeypatch.setattr(prompting, "beat", lambda: beats.append(None))
    rows = evaluated_rows(*loaded(raw()), "test", None)
    assert len(beats) == len(rows) > 1


def test_labels_are_tokenised_once_for_the_room_of_a_prompt_and_for_their_scores(
    loaded: Callable[..., Any], raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Sequence[str]] = []
    tokenise = PromptBuilder.label_ids
    monkeypatch.setattr(
        PromptBuilder, "label_ids", lambda builder, words: (calls.append(words), tokenise(builder, words))[1]
    )
    inputs, maker = loaded(raw())
    longest = max(len(label.answer_ids) + len(label.stop_ids) for label in maker.inference.labels)
    assert prompt_limit(inputs, maker.inference, 500) == 500 - longest
    assert calls == [("bad", "good", "mixed")]


def test_a_row_that_is_asked_about_no_label_is_not_trained_on(
    project: Path, loaded: Callable[..., Any], raw: Raw, rewrite: Callable[..., None]
) -> None:
    golds = [["sport"], [], ["money", "sport"]]
    for split in ("train", "test"):
        rewrite(project, split, lambda rows: [row | {"topics": golds[n % 3]} for n, row in enumerate(rows)])
    topics = {"dataset": {"task_type": "multilabel", "shots": "all"}, "prompting": {"output_column": "topics"}}
    asked = {}
    for negatives in (0, 3):
        inputs, maker = loaded(raw(topics, {"dataset": {"negatives": negatives}, "prompting": {"instruction": None}}))
        asked[negatives] = [row.row.source_index for row in training_rows(inputs, maker, None)]
    without = {row.source_index for row in inputs.selection.shots if row.text("topics") == "[]"}
    assert without
    assert without.isdisjoint(asked[0])
    assert without <= set(asked[3])
    assert len(asked[0]) == sum(len(row.values["topics"]) for row in inputs.selection.shots)
