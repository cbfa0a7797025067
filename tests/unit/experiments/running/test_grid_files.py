"""`grid.json` and `config.json`, as a run writes them before its first job."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sft.config.model import ModelConfig
from sft.exceptions import MachineError
from sft.experiments.running import trained_adapters
from sft.experiments.running.grid_files import SectionTexts, read_grid, write_configs, write_grid
from sft.experiments.running.trained_adapters import copy_adapters, copy_tokenizers
from sft.models.tokenizer_files import WantedTokenizer
from sft.pipeline.exports import export_keys
from sft.pipeline.jobs import ExperimentFolders, jobs_of
from sft.runs.atomic import write_json
from sft.runs.experiments import listed_experiments
from sft.runs.files import ResultsFolder
from sft.runs.manifest import write_manifest


@pytest.fixture
def planned(project: Path, raw: Callable[..., Any], plan_of: Callable[..., Any]) -> Callable[..., Any]:
    """A plan of experiments by name, which differ as their patches say."""
    return lambda **patches: plan_of(project, **{name: raw(patch) for name, patch in patches.items()})


def jobs_for(plan: Any, results: ResultsFolder) -> Any:
    folders = ExperimentFolders(results)
    return {
        item.experiment.name: jobs_of(item.experiment, item.keys, folders, results, "metrics")
        for item in plan.experiments
    }


def write(plan: Any, results: ResultsFolder, **how: bool) -> Any:
    jobs = jobs_for(plan, results)
    write_grid(plan, jobs, results, **{"sets_grid": True, "adds_to_grid": True, **how})
    write_configs(plan, jobs)
    return {name: own[-1].folder for name, own in jobs.items()}


def grid_names(results: ResultsFolder) -> set[str]:
    return set(json.loads(results.grid.read_text())["configs"])


def test_a_grid_takes_the_place_of_the_last_one_or_adds_to_it(results: ResultsFolder, planned: Any) -> None:
    write(planned(a={}), results)
    write(planned(b={"seed": 1}), results, sets_grid=False)
    assert grid_names(results) == {"a", "b"}
    write(planned(c={"seed": 2}), results)
    assert grid_names(results) == {"c"}
    write(planned(d={"seed": 3}), results, sets_grid=False, adds_to_grid=False)
    assert grid_names(results) == {"c"}
    assert read_grid(results).pinned == {}


def test_equal_experiments_share_a_folder_that_knows_all_names(results: ResultsFolder, planned: Any) -> None:
    folders = write(planned(a={}, b={}), results)
    assert folders["a"] == folders["b"]
    write(planned(c={}), results)
    record = json.loads(folders["a"].config.read_text())
    assert record["names"] == ["a", "b", "c"]
    assert record["config"]["dataset"]["shots"] == 2


def test_a_config_that_is_there_is_not_written_again_and_none_is_flushed(
    results: ResultsFolder, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(a={}, b={}, c={"seed": 1})
    flushed: list[int] = []
    jobs = jobs_for(plan, results)
    monkeypatch.setattr("os.fsync", flushed.append)
    write_configs(plan, jobs)
    before = {name: own[-1].folder.config.stat().st_ino for name, own in jobs.items()}
    write_configs(plan, jobs)
    assert {name: own[-1].folder.config.stat().st_ino for name, own in jobs.items()} == before
    assert flushed == []


def test_a_config_that_cannot_be_read_is_written_anew(results: ResultsFolder, planned: Any) -> None:
    plan = planned(a={})
    (folder,) = write(plan, results).values()
    folder.config.write_text("{")
    write(plan, results)
    assert json.loads(folder.config.read_text())["names"] == ["a"]


def test_adapters_are_copied_and_what_could_not_be_is_told(
    results: ResultsFolder, planned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to(place: str) -> dict[str, Any]:
        return {"training": {"trainer_args": {"output_dir": str(tmp_path / place)}}}

    plan = planned(a=to("out"), b=to("file"), c={"seed": 1}, d={"seed": 2, **to("never")})
    (tmp_path / "file").write_text("in the way")
    for item in plan.experiments[:3]:
        source = results.stage("train", item.keys.train)
        source.adapter.mkdir(parents=True, exist_ok=True)
        (source.adapter / "weights").write_text("w")
        write_manifest(source, [source.adapter])
    failures = copy_adapters(plan.experiments, results)
    assert len(failures) == 1
    assert failures[0].startswith('"b": its adapter could not be copied: ')
    assert "\n" not in failures[0]
    (copied,) = (tmp_path / "out").iterdir()
    assert (copied / "weights").read_text() == "w"
    assert (copied / "tokenizer.json").is_file()
    assert not (tmp_path / "never").exists()
    (alone,) = (item for item in plan.experiments if item.experiment.name == "a")
    assert copy_adapters([alone], results) == []
    assert (tmp_path / "out" / "weights").read_text() == "w"
    assert trained_adapters.copy_adapters([], results) == []


def test_kept_checkpoints_are_copied_and_missing_ones_are_told(
    results: ResultsFolder, planned: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = {"save_strategy": "epoch", "output_dir": str(tmp_path / "out")}
    (alone,) = planned(a={"training": {"trainer_args": args}}).experiments
    source = results.stage("train", alone.keys.train)
    source.adapter.mkdir(parents=True)
    (source.adapter / "weights").write_text("w")
    write_manifest(source, [source.adapter])
    assert copy_adapters([alone], results) == []
    assert "gets no checkpoints: the training was done before they were asked for" in capsys.readouterr().err
    (source.kept / "checkpoint-3").mkdir(parents=True)
    (source.kept / "checkpoint-3" / "weights").write_text("3")
    assert copy_adapters([alone], results) == []
    assert (tmp_path / "out" / "checkpoint-3" / "weights").read_text() == "3"
    assert (tmp_path / "out" / "weights").read_text() == "w"


def test_the_adapter_of_each_fold_is_copied(results: ResultsFolder, planned: Any, tmp_path: Path) -> None:
    splits = {"dataset": {"path": "data/train.jsonl", "splits": {"folds": 2}}}
    plan = planned(a={"training": {"trainer_args": {"output_dir": str(tmp_path / "out")}}, **splits})
    keys = list(plan.experiments[0].keys.trainings.values())
    for key in keys:
        source = results.stage("train", key)
        source.adapter.mkdir(parents=True)
        (source.adapter / "weights").write_text(key)
        write_manifest(source, [source.adapter])
    assert copy_adapters(plan.experiments, results) == []
    assert [(tmp_path / "out" / f"fold{fold}" / "weights").read_text() for fold in range(2)] == keys
    (folder,) = write(plan, results).values()
    assert json.loads(folder.config.read_text())["stages"]["train:fold1"] == keys[1]


def test_a_grid_of_a_newer_version_is_refused(results: ResultsFolder) -> None:
    write_json(results.grid, {"schema": 2, "pinned": {}})
    with pytest.raises(MachineError, match=r"grid.json: was written by a newer version of sft \(schema 2"):
        read_grid(results)


def test_what_was_exported_is_copied_beside_its_adapter(results: ResultsFolder, planned: Any, tmp_path: Path) -> None:
    args = {"trainer_args": {"output_dir": str(tmp_path / "out")}}
    plan = planned(a={"training": {**args, "save_method": "merged"}}, b={"training": args})
    a, b = plan.experiments
    (key,) = export_keys(a.experiment, a.keys).values()
    for source, folder in (
        (results.stage("train", a.keys.train), "adapter"),
        (results.stage("export", key), "export"),
    ):
        (source.path / folder).mkdir(parents=True)
        (source.path / folder / "weights").write_text(folder)
        write_manifest(source, [source.path / folder])
    assert copy_adapters([b], results) == []
    assert not (tmp_path / "out" / "export").exists()
    assert copy_adapters([a], results) == []
    assert (tmp_path / "out" / "weights").read_text() == "adapter"
    assert (tmp_path / "out" / "export" / "weights").read_text() == "export"


def test_what_is_there_is_not_copied_again_and_what_differs_is(
    results: ResultsFolder, planned: Any, tmp_path: Path
) -> None:
    training = {"trainer_args": {"output_dir": str(tmp_path / "out")}, "save_method": "merged"}
    (item,) = planned(a={"training": training}).experiments
    (key,) = export_keys(item.experiment, item.keys).values()
    train, export = results.stage("train", item.keys.train), results.stage("export", key)
    for folder in (train.adapter, train.kept / "checkpoint-1", export.exported):
        folder.mkdir(parents=True)
        (folder / "one.bin").write_text("one")
        (folder / "two.bin").write_text("two")
    write_manifest(train, [train.adapter, train.kept])
    write_manifest(export, [export.exported])
    copied = [tmp_path / "out" / place for place in ("", "checkpoint-1", "export")]
    assert copy_adapters([item], results) == []
    for folder in copied:
        (folder / "two.bin").write_text("TWO")  # as long as it was
        os.utime(folder / "one.bin", ns=(1, 1))
    assert copy_adapters([item], results) == []
    assert [(folder / "one.bin").stat().st_mtime_ns for folder in copied] == [1, 1, 1]
    assert [(folder / "two.bin").read_text() for folder in copied] == ["two", "two", "two"]


def test_the_files_of_a_tokenizer_are_written_where_they_differ_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writes(module: str, asked: list[Any], *rest: Any) -> None:
        for _, folder in asked:
            Path(folder).mkdir()
            (Path(folder) / "tokenizer.json").write_text("same")
            (Path(folder) / "vocab.txt").write_text("new")

    monkeypatch.setattr(trained_adapters, "answer_of", writes)
    target, wanted = tmp_path / "out", WantedTokenizer.of(ModelConfig(name="model"), {}, tmp_path)
    assert copy_tokenizers({target: wanted}) == []
    os.utime(target / "tokenizer.json", ns=(1, 1))
    (target / "vocab.txt").write_text("old")
    assert copy_tokenizers({target: wanted}) == []
    assert (target / "tokenizer.json").stat().st_mtime_ns == 1
    assert (target / "vocab.txt").read_text() == "new"


def test_nothing_of_an_earlier_copy_is_read_in_place_of_a_new_one(
    results: ResultsFolder, planned: Any, tmp_path: Path
) -> None:
    training = {"trainer_args": {"output_dir": str(tmp_path / "out")}, "save_method": "state_dict"}
    (item,) = planned(a={"training": training}).experiments
    (key,) = export_keys(item.experiment, item.keys).values()
    for source, file in (
        (results.stage("train", item.keys.train), "adapter/adapter_config.json"),
        (results.stage("export", key), "export/pytorch_model.bin"),
    ):
        (source.path / file).parent.mkdir(parents=True)
        (source.path / file).write_text("new")
        write_manifest(source, [(source.path / file).parent])
    earlier = ("method.json", "notes.txt", "export/model-00001-of-00002.safetensors", "export/mine.txt")
    for file in (*earlier, "export/model.safetensors.index.json"):
        (tmp_path / "out" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / file).write_text("earlier")
    assert copy_adapters([item], results) == []
    left = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert {"adapter_config.json", "notes.txt", "export/pytorch_model.bin", "export/mine.txt"} <= left
    assert not left & {"method.json", "export/model-00001-of-00002.safetensors", "export/model.safetensors.index.json"}


def test_the_exports_of_all_names_of_an_experiment_are_written(results: ResultsFolder, planned: Any) -> None:
    forms = ("adapter", "merged", "safetensors")
    plan = planned(**{form: {"training": {"save_method": form}} for form in forms})
    (folder,) = set(write(plan, results).values())
    keys = [key for item in plan.experiments for key in export_keys(item.experiment, item.keys).values()]
    assert len(keys) == 2
    assert json.loads(folder.config.read_text())["exports"] == sorted(keys)
    assert [item.path.name for item in listed_experiments(results)[0].exports] == sorted(keys)


RECORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)


@given(st.lists(RECORDS, min_size=1, max_size=4), st.integers(0, 4))
def test_texts_of_sections_are_those_of_the_standard_library(sections: list[Any], depth: int) -> None:
    record = {"one": {str(place): section for place, section in enumerate(sections)}, "list": sections}
    texts = SectionTexts()
    for value in (record, record["one"], *sections, json.loads(json.dumps(record))):
        assert texts.text(value, depth) == json.dumps(value, indent=2)


def test_a_section_that_is_shared_is_indented_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    dumps = json.dumps
    monkeypatch.setattr(json, "dumps", lambda value, **how: asked.append(value) or dumps(value, **how))
    texts, section = SectionTexts(), {"a": [1, {"b": 2}]}
    for number in range(3):
        texts.text({"id": number, "config": {"shared": section, "equal": {"a": [1, {"b": 2}]}}}, depth=2)
    assert asked.count(section) == 1


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        SectionTexts().text({"a": {"b": float("nan")}}, depth=1)
