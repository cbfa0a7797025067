"""How two stages differ, in the words of a config."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.planning.checks import sections
from sft.pipeline.differences import Difference, differences, leaves
from sft.pipeline.jobs import ExperimentFolders, baseline_jobs, jobs_of
from sft.runs.files import ResultsFolder
from sft.runs.records import JobRecord, StageName

Raw = Callable[..., dict[str, Any]]
Compare = Callable[..., list[str]]
GREETING = {"prompting": {"instruction": "Hello"}}


@pytest.fixture
def record_of(plan_of: Callable[..., Any], project: Path) -> Callable[..., JobRecord]:
    """The job of a stage of a config, planned now."""

    def make(config: dict[str, Any], stage: StageName) -> JobRecord:
        planned = plan_of(project, one=config).experiments[0]
        results = ResultsFolder(project / "results")
        jobs = jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")
        jobs += baseline_jobs([(planned.experiment, planned.keys)], results)
        return next(job.record for job in jobs if job.record.stage == stage)

    return make


@pytest.fixture
def encoder_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package of sentence-embedding models were there."""
    monkeypatch.setattr(sections, "require_encoder_package", lambda needed_for: None)


@pytest.fixture
def compare(record_of: Callable[..., JobRecord]) -> Compare:
    """What is told of the difference of two configs in one stage."""

    def make(old: dict[str, Any], new: dict[str, Any], stage: StageName) -> list[str]:
        return [item.text for item in differences(record_of(old, stage), record_of(new, stage))]

    return make


@pytest.mark.parametrize(
    ("stage", "patch", "told"),
    [
        (
            "train",
            {"training": {"trainer_args": {"learning_rate": 0.5}}},
            ["training.trainer_args.learning_rate 0.001 -> 0.5"],
        ),
        (
            "train",
            {"training": {"trainer_args": {"warmup_steps": 5}}},
            ["training.trainer_args.warmup_steps (default) -> 5"],
        ),
        ("train", {"lora": {"r": 4}}, ["lora.r 2 -> 4"]),
        ("train", {"lora": {"lora_alpha": 4}}, ["lora.lora_alpha (default) -> 4"]),
        ("train", {"dataset": {"shots": 3}}, ["dataset.shots 2 -> 3"]),
        ("train", {"seed": 5}, ["seed 13 -> 5"]),
        ("train", {"seeds": {"init": 5}}, ["seeds.init 13 -> 5"]),
        ("train", {"training": {"icl_examples": 1}}, ["training.icl_examples 0 -> 1"]),
        ("train", {"training": {"objective": "t_few"}}, ['training.objective "nll" -> "t_few"']),
        ("train", {"training": {"objective": "dft"}}, ['training.objective "nll" -> "dft"']),
        (
            "train",
            {"training": {"trainer_args": {"loss_type": "dft"}}},
            ['training.trainer_args.loss_type (default) -> "dft"'],
        ),
        ("train", GREETING, ['prompting.instruction "One of {labels}." -> "Hello"']),
        ("train", {"dataset": {"splits": {"train": "dev"}}}, ['dataset.splits.train "train" -> "dev"']),
        ("infer", {"inference": {"icl_examples": 1}}, ["inference.icl_examples 0 -> 1"]),
        ("infer", {"inference": {"icl_examples": 1, "icl_selection": "random"}}, ["inference.icl_examples 0 -> 1"]),
        ("infer", {"inference": GREETING}, ['inference.prompting.instruction "One of {labels}." -> "Hello"']),
        ("infer", {"lora": {"r": 4}}, ["reads another train stage"]),
        ("infer", {"dataset": {"max_n_test": 4}}, ["dataset.max_n_test (default) -> 4"]),
        ("evaluate", {"lora": {"r": 4}}, ["reads another infer stage"]),
        ("evaluate", {"evaluation": {"metrics": ["mcc"]}}, ['evaluation.metrics ["macro_f1"] -> ["mcc"]']),
        ("evaluate", {"dataset": {"keep_columns": ["id"]}}, ['dataset.keep_columns (default) -> ["id"]']),
    ],
)
def test_one_change_is_told_by_its_key_with_both_values(
    compare: Compare, raw: Raw, stage: StageName, patch: dict[str, Any], told: list[str]
) -> None:
    base = raw({"evaluation": {"metrics": ["macro_f1"]}})
    assert compare(base, raw_over(base, patch), stage) == told


def raw_over(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in patch.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = raw_over(merged[key], value) if both else value
    return merged


def test_several_changes_stand_in_the_order_of_their_keys(compare: Compare, raw: Raw) -> None:
    told = compare(raw(), raw({"seed": 5, "lora": {"r": 4}}, GREETING), "train")
    assert [text.split()[0] for text in told] == ["lora.r", "prompting.instruction", "seed"]


def test_no_training_is_told_as_such(compare: Compare, raw: Raw, zero_shot: dict[str, Any]) -> None:
    assert "reads no train stage" in compare(raw(), raw(zero_shot), "infer")
    assert "reads a train stage" in compare(raw(zero_shot), raw(), "infer")


@pytest.mark.parametrize(("stage", "split"), [("train", "train"), ("infer", "test")])
def test_edited_data_are_told_by_their_file(
    record_of: Callable[..., JobRecord],
    raw: Raw,
    project: Path,
    rewrite: Callable[..., None],
    stage: StageName,
    split: str,
) -> None:
    before = record_of(raw(), stage)
    rewrite(project, split, lambda rows: rows[1].update(text="changed"))
    assert Difference(f"dataset.{split}", f"{split}.jsonl changed") in differences(before, record_of(raw(), stage))


@pytest.mark.parametrize(
    "begun",
    [
        {"lora": {"init_lora_weights": "rows.py:largest"}},
        {"lora": ..., "adapter": {"method": "gralora", "r": 4, "init_weights": "rows.py:largest"}},
    ],
    ids=["lora", "gralora"],
)
def test_edited_models_and_initialisers_are_told_by_name(
    begun: dict[str, Any], record_of: Callable[..., JobRecord], raw: Raw, project: Path
) -> None:
    own = raw(begun)
    (project / "rows.py").write_text("def largest(layer, rank, dtype): ...\n")
    before = record_of(own, "train")
    (project / "rows.py").write_text("def largest(layer, rank, dtype): return 1\n")
    (project / "model" / "more.txt").write_text("x")
    (project / "model" / "config.json").write_text((project / "model" / "config.json").read_text() + " ")
    told = [item.text for item in differences(before, record_of(own, "train"))]
    assert told == ["rows.py changed", "model.name: the content of model changed"]


ENCODED = {"icl_examples": 1, "icl_selection": "nearest", "icl_encoder": "model"}


@pytest.mark.parametrize(("section", "stage"), [("training", "train"), ("inference", "infer")])
def test_the_choice_of_examples_is_told_by_its_section(
    compare: Compare, raw: Raw, section: str, stage: StageName, encoder_package: None
) -> None:
    def of(**fields: Any) -> dict[str, Any]:
        return raw({section: ENCODED | fields})

    chosen = compare(of(icl_selection="random"), of(), stage)
    assert chosen == [f'{section}.icl_selection "random" -> "nearest"']
    assert compare(of(icl_encoder=None), of(), stage) == [f'{section}.icl_encoder (default) -> "model"']
    assert compare(of(icl_examples=0), of(), stage) == [f"{section}.icl_examples 0 -> 1"]


def test_an_edited_encoder_is_told_by_name(
    record_of: Callable[..., JobRecord], raw: Raw, project: Path, encoder_package: None
) -> None:
    (project / "encoder").mkdir()
    (project / "encoder" / "modules.json").write_text("[]")
    config = raw({"inference": ENCODED | {"icl_encoder": "encoder"}})
    before = record_of(config, "infer")
    (project / "encoder" / "modules.json").write_text("[1]")
    told = [item.text for item in differences(before, record_of(config, "infer"))]
    assert told == ["inference.icl_encoder: the content of encoder changed"]


def test_the_edited_encoder_of_the_baselines_is_told_by_name(
    record_of: Callable[..., JobRecord], raw: Raw, project: Path, encoder_package: None
) -> None:
    (project / "encoder").mkdir()
    (project / "encoder" / "modules.json").write_text("[]")
    config = raw({"evaluation": {"baseline_encoder": "encoder"}})
    before = record_of(config, "baseline")
    (project / "encoder" / "modules.json").write_text("[1]")
    told = [item.text for item in differences(before, record_of(config, "baseline"))]
    assert told == ["evaluation.baseline_encoder: the content of encoder changed"]


def test_a_raised_version_of_a_stage_is_told(record_of: Callable[..., JobRecord], raw: Raw) -> None:
    before = record_of(raw(), "train")
    version = before.key_fields["version"]
    now = replace(before, key_fields={**before.key_fields, "version": version + 1})
    told = [item.text for item in differences(before, now)]
    assert told == [f"version of the stage {version} -> {version + 1}"]


def test_long_values_are_cut(compare: Compare, raw: Raw) -> None:
    (told,) = compare(raw(), raw({"prompting": {"instruction": "x" * 500}}), "train")
    assert len(told) < 150
    assert told.endswith("...")


def test_a_number_is_the_same_however_it_was_written() -> None:
    assert leaves({"a": {"b": 3.0, "c": []}, "d": {}, "e": [3.0]}) == {"a.b": "3", "a.c": "[]", "e": "[3]"}
