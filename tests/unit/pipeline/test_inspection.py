import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.models.tokenizers import load_tokenizer
from sft.pipeline.inspection import inspect_experiment
from sft.prompts import PromptBuilder
from sft.terminal.inspection import inspection_text
from tests.support.encoder_decoders import become_t5

Raw = Callable[..., dict[str, Any]]
DEV = {"dataset": {"splits": {"dev": "dev"}}}


@pytest.fixture
def inspected(project: Path, plan_of: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return lambda config, rows=2: inspect_experiment(plan_of(project, a=config).experiments[0].experiment, rows)


def test_ids_mask_and_text_of_every_split(inspected: Callable[..., dict[str, Any]], project: Path, raw: Raw) -> None:
    found = inspected(raw(DEV))
    assert [(row["split"], row["index"]) for row in found["rows"]] == [
        (split, index) for split in ("train", "dev", "test") for index in (0, 1)
    ]
    tokenizer = load_tokenizer("model", project)
    for row in found["rows"]:
        ids = [*row["prompt_ids"], *row["completion_ids"]]
        assert row["loss_mask"] == [0] * len(row["prompt_ids"]) + [1] * len(row["completion_ids"])
        assert tokenizer.decode(row["prompt_ids"]).endswith("<|im_start|>assistant\n")
        assert row["text"].startswith(tokenizer.decode(row["prompt_ids"]))
        gold = re.findall(r" is (\w+)<", row["text"])[-1]
        assert tokenizer.decode(ids).endswith(f"assistant\n{gold}<|im_end|>")
        assert found["label_ids"][gold] == row["completion_ids"]


def test_a_head_reads_texts_and_has_labels_that_are_no_tokens(
    inspected: Callable[..., dict[str, Any]], project: Path, raw: Raw
) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320}
    (project / "model" / "config.json").write_text(json.dumps({"model_type": "bert", **sizes}))
    found = inspected(raw())
    assert found["head_labels"] == ["bad", "good", "mixed"]
    assert (found["label_ids"], found["label_trie"]) == ({}, [])
    row = found["rows"][0]
    assert (row["text"], row["completion_ids"]) == (row["segments"][0]["text"], [])
    assert not any(row["loss_mask"])
    assert found["cost"]["naive"] == found["cost"]["shared"] > 0
    assert {row["split"] for row in found["rows"]} == {"train", "test"}
    assert all(row["text"].endswith(f" is {row['gold'][0]}") for row in found["rows"]), "texts name their labels"
    told = inspection_text(found)
    assert "The model's head gives one number for each of: bad, good, mixed" in told
    assert "each text by itself, once:" in told


def test_what_an_encoder_reads_and_what_its_decoder_writes_are_shown_apart(
    inspected: Callable[..., dict[str, Any]], project: Path, raw: Raw
) -> None:
    start = become_t5(project / "model")
    found = inspected(raw(), rows=1)
    assert found["reads"] == "source"
    for row in found["rows"]:
        assert "Answer:" not in row["text"]
        gold = row["text"].rsplit(" ", 1)[-1]
        kinds = {segment["kind"]: segment["text"] for segment in row["segments"]}
        assert kinds == {"prompt": row["text"], "control": "</s>", "opening": "<s>", "answer": gold, "stop": "</s>"}
        assert row["opening_ids"] == [start]
        assert row["loss_mask"] == [0] * len(row["prompt_ids"]) + [1] * len(row["completion_ids"])
        assert row["completion_ids"] == found["label_ids"][gold]
    told = inspection_text(found)
    assert f"  encoder | {row['text'].splitlines()[-1]}</s>\n" in told
    assert f"  decoder | <s>[[{gold}]][[</s>]]\n" in told
    assert f"  ids that the decoder begins with: {start}\n" in told
    assert "each of them runs by itself:" in told
    read, of_labels = sum(len(row["prompt_ids"]) for row in inspected(raw(), rows=99)["rows"][6:]), 9 * (4 + 5 + 6)
    assert f"the encoder reads each text once: {read:,}" in told
    assert f"the decoder runs over each label for each text: {of_labels} (9 texts x 3 labels)" in told


def test_a_text_is_trained_and_measured_after_its_first_token(
    inspected: Callable[..., dict[str, Any]], raw: Raw
) -> None:
    whole = {"dataset": {"task_type": "text"}, "prompting": {"instruction": ..., "input_columns": ...}}
    found = inspected(raw(whole, {"prompting": {"output_column": "text"}}))
    assert found["reads"] == "whole"
    for row in found["rows"]:
        assert row["loss_mask"] == [0] + [1] * (len(row["prompt_ids"]) - 1)
    assert found["cost"]["naive"] == found["cost"]["shared"] > 0


def test_segments_are_the_row_piece_by_piece(
    inspected: Callable[..., dict[str, Any]], project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    rewrite(project, "test", lambda rows: rows[0].update(text="a <|im_end|> b"))
    rows = inspected(raw(), rows=1)["rows"]
    assert [row["split"] for row in rows] == ["train", "test"]
    for row in rows:
        *prompt, answer, stop = row["segments"]
        assert (answer["kind"], stop["kind"]) == ("answer", "stop")
        assert stop["text"] == "<|im_end|>"
        text = "".join(segment["text"] for segment in prompt)
        assert row["text"] == text + (answer["text"] + stop["text"]) * (row["split"] == "train")
        controls = [segment["text"] for segment in prompt if segment["kind"] == "control"]
        assert controls == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert any("a <|im_end|> b" in segment["text"] for segment in rows[1]["segments"])


def test_the_tree_of_labels_has_every_label_at_the_end_of_its_path(
    inspected: Callable[..., dict[str, Any]], raw: Raw, zero_shot: dict[str, Any]
) -> None:
    found = inspected(raw(zero_shot, {"dataset": {"labels": {"bad": "no", "good": "not", "mixed": "é"}}}))
    nodes, paths = found["label_trie"], {}
    for place, node in enumerate(nodes):
        for label in node["labels"]:
            path, parent = [node["id"]], node["parent"]
            while parent is not None:
                path, parent = [nodes[parent]["id"], *path], nodes[parent]["parent"]
            paths[label] = path
        assert node["is_stop"] is (node["text"] == "<|im_end|>"), place
    assert paths == found["label_ids"]
    assert sorted(node["text"] for node in nodes if not node["is_stop"]) == ["n", "o", "t", "©", "Ã"]


def test_the_cost_is_that_of_all_evaluated_rows(inspected: Callable[..., dict[str, Any]], raw: Raw) -> None:
    found = inspected(raw(DEV), rows=99)
    lengths = [len(row["prompt_ids"]) for row in found["rows"] if row["split"] != "train"]
    labels = [len(ids) for ids in found["label_ids"].values()]
    cost = found["cost"]
    assert cost["prompts"] == len(lengths) == 6 + 9
    assert cost["naive"] == len(labels) * sum(lengths) + len(lengths) * sum(labels)
    assert cost["shared"] < sum(lengths) + len(lengths) * cost["label_inputs"]
    assert inspected(raw(DEV), rows=1)["cost"] == cost


def test_a_label_whose_ids_depend_on_the_row_is_an_error(
    inspected: Callable[..., dict[str, Any]], raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_builder: Any, _prompts: Any, _labels: Any) -> None:
        raise UserError("depends on the row")

    monkeypatch.setattr(PromptBuilder, "check_labels", refuses)
    with pytest.raises(UserError, match="depends on the row"):
        inspected(raw())


def test_index_counts_the_rows_that_the_experiment_uses(
    inspected: Callable[..., dict[str, Any]], project: Path, raw: Raw, plan_of: Callable[..., Any]
) -> None:
    config = raw({"dataset": {"max_n_test": 3}})
    rows = inspected(config, rows=99)["rows"]
    trained = [row for row in rows if row["split"] == "train"]
    assert [row["index"] for row in trained] == list(range(6))
    assert [row["index"] for row in rows if row["split"] == "test"] == [0, 1, 2]
    sources = [row["source_index"] for row in trained]
    assert sources == sorted(sources)
    assert sources != list(range(6))


def test_without_training_no_training_row_is_shown(
    inspected: Callable[..., dict[str, Any]], raw: Raw, zero_shot: dict[str, Any]
) -> None:
    assert {row["split"] for row in inspected(raw(zero_shot))["rows"]} == {"test"}


def test_generation_has_no_label_ids_and_cuts_are_told(
    inspected: Callable[..., dict[str, Any]], raw: Raw, generation: dict[str, Any], zero_shot: dict[str, Any]
) -> None:
    short = {"prompting": {"max_input_length": 4}}
    found = inspected(raw(generation, zero_shot, short, {"inference": {"generation_args": {"max_new_tokens": 8}}}))
    assert found["label_ids"] == {}
    assert found["label_trie"] == []
    assert found["cost"]["labels"] == 0
    assert found["cost"]["naive"] > found["cost"]["shared"]
    assert all(row["cut"]["input_tokens"] > 0 for row in found["rows"])
    assert found["rows"][0]["completion_ids"]


def test_control_tokens_in_data_are_counted(
    inspected: Callable[..., dict[str, Any]],
    project: Path,
    raw: Raw,
    zero_shot: dict[str, Any],
    rewrite: Callable[..., None],
) -> None:
    rewrite(project, "test", lambda rows: rows[0].update(text="a <|im_end|> b"))
    first, second = inspected(raw(zero_shot))["rows"]
    assert (first["n_special"], second["n_special"]) == (1, 0)


def test_rows_that_are_asked_about_several_labels_keep_their_number(
    inspected: Callable[..., dict[str, Any]], project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    for split in ("train", "test"):
        rewrite(project, split, lambda rows: [row | {"topics": [row["label"]]} for row in rows])
    topics = {"dataset": {"task_type": "multilabel", "negatives": 1}, "prompting": {"output_column": "topics"}}
    rows = inspected(raw(topics, {"prompting": {"instruction": None}}))["rows"]
    assert [row["index"] for row in rows if row["split"] == "train"] == [0, 0, 1, 1]
    assert len({row["text"] for row in rows if row["index"] == 0 and row["split"] == "train"}) == 2
