"""The data of a grid is looked at once for each distinct data section, and measured once for each model."""

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from sft.data.profile.prompts import PromptShape
from sft.experiments.grids.loading import RawGrid
from sft.experiments.planning import data_profiles, planning
from sft.experiments.planning.checks.tokenizers import TokenizerAnswer, TokenizerQuestion
from sft.experiments.planning.plan import GridPlan

Raw = Callable[..., dict[str, Any]]
Profiled = Callable[..., GridPlan]


@pytest.fixture
def profiled(project: Path, monkeypatch: pytest.MonkeyPatch) -> Profiled:
    """Plans with a look at the data; the tokenizer has one token for each character."""

    def ask(questions: list[TokenizerQuestion]) -> list[TokenizerAnswer]:
        shape = PromptShape(frame=30, round=10, context=390)
        lengths = [tuple(tuple(map(len, texts)) for texts in question.texts) for question in questions]
        return [TokenizerAnswer(lengths=own, shape=shape) for own in lengths]

    monkeypatch.setattr(planning, "ask", ask)
    return lambda **configs: planning.plan_grid(RawGrid(configs, "grid.json", project), {}, with_profiles=True)


def test_what_is_drawn_of_the_rows_makes_no_other_data(
    profiled: Profiled, raw: Raw, zero_shot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    look = data_profiles.row_remarks
    monkeypatch.setattr(data_profiles, "row_remarks", lambda *found: looks.append(found) or look(*found))
    capped = {"dataset": {"max_n_test": 3}}
    few = raw({"dataset": {"shots": 1}})
    plan = profiled(zero=raw(zero_shot), a=raw(), few=few, seed=raw({"seed": 4}), cut=raw(capped), icl=raw(capped))
    assert [(found.caps, found.experiments) for found in plan.data] == [
        ({}, ("zero", "a", "few", "seed")),
        ({"max_n_test": 3}, ("cut", "icl")),
    ]
    assert len(looks) == len({id(splits) for splits, *_ in looks})
    train, test = plan.data[1].splits
    assert (train.label_counts, test.label_counts) == (
        {"bad": 5, "good": 5, "mixed": 5},
        {"bad": 1, "good": 1, "mixed": 1},
    )
    assert [remark.kind for remark in plan.data[0].remarks] == ["unused_split", "label_seldom_evaluated"]


def test_each_model_measures_the_texts_of_each_data_section_once(profiled: Profiled, project: Path, raw: Raw) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"):
        (project / "other").mkdir(exist_ok=True)
        (project / "other" / name).write_bytes((project / "model" / name).read_bytes())
    other, short = {"model": {"name": "other"}}, {"prompting": {"max_input_length": 10}}
    capped = {"dataset": {"max_n_test": 3}}
    plan = profiled(a=raw(), b=raw(other), c=raw(other, short), d=raw(capped), e=raw({"seed": 5}, short))
    whole, cut = plan.data
    (length,) = whole.lengths
    assert (length.column, length.unit, length.models) == ("text", "tokens", ("model", "other"))
    texts = [
        f"{split} text {n} is {label}"
        for split, size in (("train", 5), ("test", 3))
        for n in range(size)
        for label in ("bad", "good", "mixed")
    ]
    assert (length.n_rows, length.longest) == (len(texts), max(map(len, texts)))
    assert [(found.limit, found.at, found.share) for found in length.cuts] == [("prompting.max_input_length", 10, 1.0)]
    assert "cuts more than 99 % of the texts of 'text'" in whole.remarks[-1].text
    assert [(found.models, found.cuts) for found in cut.lengths] == [(("model",), ())]


def test_a_generation_has_lengths_of_its_outputs(profiled: Profiled, raw: Raw, generation: Any) -> None:
    limit = {"prompting": {"max_output_length": 4}}
    (data,) = profiled(a=raw(generation, limit)).data
    assert [length.column for length in data.lengths] == ["text", "label"]
    assert [split.label_counts for split in data.splits] == [None, None]
    assert data.lengths[1].cuts[0].share == pytest.approx(1 / 3)


def test_prompts_over_a_limit_are_told_with_their_examples(profiled: Profiled, raw: Raw) -> None:
    """Texts have 17 to 21 characters, and a round an example of each of 3 labels."""
    icl = {"inference": {"icl_examples": 2}}
    tight, wide = {"inference": {"max_seq_length": 150}}, {"inference": {"max_seq_length": 250}}
    trained = {"training": {"trainer_args": {"max_length": 40}}, "inference": {"max_seq_length": 90}}
    (data,) = profiled(
        icl=raw(icl, tight), again=raw(icl, tight, {"seed": 3}), wide=raw(icl, wide), b=raw(trained)
    ).data
    prompts = [length for length in data.lengths if length.column is None]
    assert [(length.examples, [cut[:2] for cut in map(astuple, length.cuts)]) for length in prompts] == [
        (6, [("inference.max_seq_length", 150)]),
        (0, [("inference.max_seq_length", 90), ("training.trainer_args.max_length", 40)]),
    ]
    assert [cut.share for cut in prompts[1].cuts] == [0, 1]
    assert [(remark.kind, remark.write) for remark in data.remarks[2:]] == [
        ("long_prompts", "inference.max_seq_length: 192"),
        ("long_prompts", "training.trainer_args.max_length: 64"),
    ]
    assert (
        "of the prompts with 6 in-context examples are longer than inference.max_seq_length 150"
        in data.remarks[2].text
    )


def test_without_a_limit_the_model_has_one(profiled: Profiled, raw: Raw) -> None:
    (data,) = profiled(
        a=raw({"inference": {"icl_examples": 2}}), b=raw({"dataset": {"shots": 5}, "inference": {"icl_examples": 5}})
    ).data
    (remark,) = [remark for remark in data.remarks if remark.kind == "long_prompts"]
    assert "with 15 in-context examples are longer than the model's context 390, so examples" in remark.text
    assert remark.write is None


def test_rows_in_folds_are_test_rows_once(profiled: Profiled, project: Path, raw: Raw) -> None:
    folds = {"dataset": {"path": "data/train.jsonl", "splits": {"folds": 5}}}
    (data,) = profiled(a=raw(folds), b=raw(folds, {"seed": 3})).data
    assert (data.folds, [(split.name, split.n_rows) for split in data.splits]) == (5, [("test", 15)])
    assert data.remarks == ()


def test_a_run_does_not_look(project: Path, raw: Raw, no_tokenizer_child: None) -> None:
    assert planning.plan_grid(RawGrid({"a": raw()}, "grid.json", project), {}).data == ()
