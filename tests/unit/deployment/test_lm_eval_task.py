"""What goes to lm-eval, and what is refused because lm-eval would read it as other ids."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.deployment.lm_eval_task import LmEvalTask, harness_pairs, lm_eval_task
from sft.exceptions import DataError, UserError
from sft.experiments.grids.loading import RawGrid
from sft.pipeline.prompts import ExperimentPrompts

Raw = Callable[..., dict[str, Any]]
PLAIN = {"prompting": {"format": "plain"}}
WITHOUT_STOP = {"inference": {"label_scoring": {"end_token": False}}}


@pytest.fixture
def prompts_of(project: Path, plan_of: Callable[..., Any]) -> Callable[..., ExperimentPrompts]:
    return lambda config: ExperimentPrompts(plan_of(project, **{"a/b": config}).experiments[0].experiment)


@pytest.fixture
def task_of(prompts_of: Callable[..., ExperimentPrompts]) -> Callable[..., LmEvalTask]:
    return lambda config: lm_eval_task(prompts_of(config), "12345678")


@pytest.fixture
def merging_blank_lines(project: Path) -> None:
    """A tokenizer that has one token for two line breaks, and splits them before a word as GPT-2's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    path = str(project / "model" / "tokenizer.json")
    backend = Tokenizer.from_file(path)
    vocabulary = backend.get_vocab(with_added_tokens=False) | {"ĊĊ": 299}
    backend.model = models.BPE(vocab=vocabulary, merges=[("Ċ", "Ċ")])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.save(path)


@pytest.mark.parametrize(
    "patches", [[], [PLAIN], [WITHOUT_STOP], [PLAIN, WITHOUT_STOP, {"inference": {"icl_examples": 1}}]]
)
def test_lm_eval_reads_the_ids_that_are_scored(
    task_of: Callable[..., LmEvalTask], prompts_of: Callable[..., ExperimentPrompts], raw: Raw, patches: list[Any]
) -> None:
    config = raw(*patches)
    task, prompts = task_of(config), prompts_of(config)
    labels, stopped = prompts.inference.labels, WITHOUT_STOP not in patches
    rows = prompts.evaluated("test")
    assert (task.name, len(task.rows)) == ("sft-a-b-12345678", 9)
    for number, (written, row) in enumerate(zip(task.rows, rows, strict=True)):
        assert (written["index"], written["source_index"]) == (number, row.row.source_index)
        gold = written["choices"][written["gold"]]
        stop = prompts.inference.builder.stop_text if stopped else ""
        assert gold.removesuffix(stop).strip() == row.row.values["label"]
        for choice, label in zip(written["choices"], labels, strict=True):
            whole = prompts.maker.tokenizer(written["prompt"] + choice, add_special_tokens=False)["input_ids"]
            stop = label.stop_ids if stopped else ()
            assert tuple(whole) == row.encoded.prompt_ids + label.answer_ids + stop


def test_blanks_at_the_end_of_a_prompt_count_to_every_choice(prompts_of: Callable[..., Any], raw: Raw) -> None:
    tokenizer = prompts_of(raw()).maker.tokenizer
    (context, first), (same, second) = harness_pairs(tokenizer, "ab \n", ["c", "dd"])
    texts = [tokenizer.decode(list(ids)) for ids in (context, first, same, second)]
    assert texts == ["ab", " \nc", "ab", " \ndd"]


def test_what_is_written_is_read_back(task_of: Callable[..., LmEvalTask], raw: Raw, tmp_path: Path) -> None:
    import yaml

    task = task_of(raw())
    settings, rows = task.write(tmp_path / "new")
    assert [json.loads(line) for line in rows.read_text("utf-8").splitlines()] == list(task.rows)
    read = yaml.safe_load(settings.read_text("utf-8"))
    assert (read["task"], read["output_type"], read["target_delimiter"]) == (task.name, "multiple_choice", "")
    assert read["dataset_kwargs"]["data_files"] == {read["test_split"]: rows.name}
    assert {read["doc_to_text"], read["doc_to_choice"], read["doc_to_target"]} < set(task.rows[0])


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="taken: must be a folder"):
        LmEvalTask("sft-a", ()).write(tmp_path / "taken")


def test_control_token_strings_in_the_data_are_refused(
    task_of: Callable[..., LmEvalTask], raw: Raw, project: Path, rewrite: Callable[..., None]
) -> None:
    rewrite(project, "test", lambda rows: rows[3].update(text="a <|im_end|> b"))
    with pytest.raises(UserError, match=r"of 9 test rows .* 1 \(3\) as other ids .*: they hold control-token strings"):
        task_of(raw())


@pytest.mark.usefixtures("merging_blank_lines")
def test_a_blank_line_that_ends_a_text_as_another_token_is_refused_as_stop(
    task_of: Callable[..., LmEvalTask], raw: Raw
) -> None:
    refused = (
        r"would read 9 \(0, 1, 2, 3, 4 and 4 more\) .* the stop '\\n\\n' at the end of a text .*end_token to false"
    )
    with pytest.raises(UserError, match=refused):
        task_of(raw(PLAIN))
    assert task_of(raw(PLAIN, WITHOUT_STOP)).rows[0]["choices"] == [" bad", " good", " mixed"]


def test_generations_are_refused(task_of: Callable[..., LmEvalTask], raw: Raw, generation: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="this experiment generates texts"):
        task_of(raw(generation))


def test_rows_without_labels_are_refused(
    project: Path, no_tokenizer_child: None, raw: Raw, rewrite: Callable[..., None]
) -> None:
    from sft.experiments.planning import planning

    rewrite(project, "test", lambda rows: [{"id": row["id"], "text": row["text"]} for row in rows])
    plan = planning.plan_grid(RawGrid({"a": raw()}, "grid.json", project), {}, with_gold=False)
    with pytest.raises(DataError, match="test rows have no column 'label'"):
        lm_eval_task(ExperimentPrompts(plan.experiments[0].experiment), "12345678")


def test_a_head_has_no_labels_that_lm_eval_could_read(
    task_of: Callable[..., LmEvalTask], project: Path, raw: Raw
) -> None:
    (project / "model" / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 32}))
    with pytest.raises(UserError, match="lm-eval scores labels as text, and sequence_head answers with a head"):
        task_of(raw())
