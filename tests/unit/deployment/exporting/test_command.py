"""`sft export`: what is written where, what is refused, and that nothing half done stays."""

import dataclasses
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sft import api
from sft.config.canonical import key_of
from sft.deployment.exporting import command
from sft.deployment.guarded import Ended
from sft.exceptions import DataError, InternalError, MachineError, StageFailure, UserError
from sft.models.tokenizer_files import WantedTokenizer
from sft.pipeline.exports import fields_of
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, read_job, write_record

Plan = Callable[..., Any]


@pytest.fixture
def trained(project: Path, raw: Callable[..., Any], plan_of: Plan) -> Callable[..., ResultsFolder]:
    """A results folder with one experiment, `one`, whose trainings are finished; `patch` changes its config."""

    def made(patch: Mapping[str, Any] | None = None) -> ResultsFolder:
        from sft.experiments.running.grid_files import write_configs, write_grid
        from sft.pipeline.jobs import ExperimentFolders, jobs_of

        plan, results = plan_of(project, one=raw(dict(patch or {}))), ResultsFolder(project / "results")
        folders = ExperimentFolders(results)
        jobs = {
            item.experiment.name: jobs_of(item.experiment, item.keys, folders, results, "metrics")
            for item in plan.experiments
        }
        write_grid(plan, jobs, results, sets_grid=True, adds_to_grid=True)
        write_configs(plan, jobs)
        for job in jobs["one"]:
            write_record(job.folder.job, job.record)
            if job.record.stage == "train":
                job.folder.adapter.mkdir(parents=True)
                (job.folder.adapter / "adapter_config.json").write_text(json.dumps({"fold": job.record.fold}))
                write_manifest(job.folder, [job.folder.adapter])
        return results

    return made


@pytest.fixture
def tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes a file where the tokenizer would be written."""

    def write(copied: Mapping[Path, WantedTokenizer]) -> list[str]:
        for folder in copied:
            (folder / "tokenizer.json").write_text("{}")
        return []

    monkeypatch.setattr(command, "copy_tokenizers", write)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands in for the process: ends as told, writes the model where that is the end of a job."""
    told = SimpleNamespace(end=Ended(0, ""), error=None, records=[])

    def run(words: Sequence[str], log: Path, watch: Callable[[], None]) -> Any:
        job = JobFolder(Path(words[-1]))
        record = read_job(job.job)
        train = record.input_folder("train", job.path)
        told.records.append(dataclasses.replace(record, inputs={"train": str(train)}))
        if told.error is not None:
            job.attempt(1).path.mkdir(parents=True)
            write_record(job.attempt(1).error, told.error)
        if told.end == Ended(0, ""):
            job.exported.mkdir()
            (job.exported / "model.safetensors").write_text(str(record.fold))
        return told.end

    monkeypatch.setattr(command, "run_guarded", run)
    return told


@pytest.mark.usefixtures("tokenizers")
def test_the_adapter_is_copied_with_its_tokenizer(trained: Any, tmp_path: Path) -> None:
    results = trained()
    exported = api.export("one", tmp_path / "to", results.path)
    assert exported.folders == (tmp_path / "to",)
    assert {path.name for path in (tmp_path / "to").iterdir()} == {"adapter_config.json", "tokenizer.json"}


def test_one_model_is_made_by_the_job_that_grids_export_with(
    trained: Any, worker: SimpleNamespace, tmp_path: Path
) -> None:
    results = trained()
    (train,) = results.job_folders("train")
    place = tmp_path / "deep" / "to"
    assert api.export("one", place, results.path, form="state_dict").folders == (place,)
    (record,) = worker.records
    fields = fields_of(train.path.name, "state_dict")
    assert (record.stage, record.key, record.key_fields) == ("export", key_of(fields), fields)
    assert (record.experiment.save_method, record.inputs) == ("state_dict", {"train": str(train.path)})
    assert [path.name for path in place.parent.iterdir()] == ["to"], "the job's own folder is gone"
    assert (place / "model.safetensors").is_file()


def test_each_fold_has_a_folder(trained: Any, worker: SimpleNamespace, tmp_path: Path) -> None:
    results = trained({"dataset": {"path": "data/train.jsonl", "splits": {"folds": 2}}})
    folders = api.export("one", tmp_path / "to", results.path, form="merged").folders
    assert folders == (tmp_path / "to" / "fold0", tmp_path / "to" / "fold1")
    assert [(folder / "model.safetensors").read_text() for folder in folders] == ["0", "1"]


def test_a_later_fold_that_fails_leaves_nothing_of_the_first(
    trained: Any, worker: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = trained({"dataset": {"path": "data/train.jsonl", "splits": {"folds": 2}}})
    run = command.run_guarded

    def fails_later(*given: Any) -> Any:
        worker.end = Ended(1, "") if worker.records else worker.end
        return run(*given)

    monkeypatch.setattr(command, "run_guarded", fails_later)
    with pytest.raises(InternalError):
        api.export("one", tmp_path / "to", results.path, form="merged")
    assert (len(worker.records), (tmp_path / "to").exists()) == (2, False)


@pytest.mark.usefixtures("tokenizers")
def test_a_place_where_no_folder_can_be_made_is_told_in_one_line(trained: Any) -> None:
    with pytest.raises(MachineError, match=r"^--to /proc/x: cannot be written \(.+\); name another folder$"):
        api.export("one", Path("/proc/x"), trained().path)


def test_what_a_grid_has_exported_is_not_merged_again(trained: Any, worker: SimpleNamespace, tmp_path: Path) -> None:
    results = trained()
    (train,) = results.job_folders("train")
    done = results.stage("export", key_of(fields_of(train.path.name, "merged")))
    done.exported.mkdir(parents=True)
    (done.exported / "model.safetensors").write_text("of the grid")
    write_manifest(done, [done.exported])
    api.export("one", tmp_path / "to", results.path, form="merged")
    assert (tmp_path / "to" / "model.safetensors").read_text() == "of the grid"
    (done.exported / "model.safetensors").write_text("of the disk")
    with pytest.raises(DataError, match=r"has another content.*run its grid again"):
        api.export("one", tmp_path / "again", results.path, form="merged")
    assert not (tmp_path / "again").exists()
    assert worker.records == []


def test_a_failed_export_is_told_and_leaves_nothing(trained: Any, worker: SimpleNamespace, tmp_path: Path) -> None:
    results = trained()
    worker.end, worker.error = Ended(1, "..."), ErrorRecord("model", "the merged model differs")
    with pytest.raises(StageFailure, match=r"^the merged model differs$"):
        api.export("one", tmp_path / "to", results.path, form="merged")
    worker.end, worker.error = Ended(-9, "..."), None
    with pytest.raises(StageFailure, match="ended by SIGKILL; nothing was written"):
        api.export("one", tmp_path / "to", results.path, form="merged")
    worker.end = signal.SIGTERM
    assert api.export("one", tmp_path / "to", results.path, form="merged").stopped_by == signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".sft", "to"))] == []


@pytest.mark.parametrize(
    ("patch", "to", "form", "told"),
    [
        ({}, "new", "onnx", "--as onnx: no such form; there are adapter, merged, state_dict, safetensors, full_model"),
        ({}, "full", "adapter", "--to .*full: is not empty; name a folder that is new"),
        ({}, "full/file", "adapter", "--to .*full/file: is a file; name a folder that is new"),
        ({}, "full/file/a/b", "merged", "--to .*full/file/a/b: .*full/file is a file; name a folder that is new"),
        ({"lora": ..., "dataset": {"shots": 0}, "training": ...}, "new", "adapter", r"one \[\w{8}\] trains nothing"),
        (
            {"adapter": {"method": "bottleneck"}, "lora": ...},
            "new",
            "merged",
            r"--as merged: one .*; write --as adapter",
        ),
    ],
    ids=["form", "not-empty", "file", "below-a-file", "nothing", "unmergeable"],
)
def test_what_cannot_be_exported_is_refused_before_anything_runs(
    trained: Any, worker: SimpleNamespace, tmp_path: Path, patch: Any, to: str, form: str, told: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    results = trained(patch)
    with pytest.raises(UserError, match=told):
        api.export("one", tmp_path / to, results.path, form=form)
    assert worker.records == []


def test_an_adapter_that_is_damaged_or_gone_is_refused(trained: Any, tmp_path: Path) -> None:
    results = trained()
    with pytest.raises(UserError, match="no experiment is called 'on'"):
        api.export("on", tmp_path / "to", results.path)
    (train,) = results.job_folders("train")
    (train.adapter / "adapter_config.json").write_text('{"fold": NULL}')
    with pytest.raises(DataError, match=r"has another content.*run its grid again"):
        api.export("one", tmp_path / "to", results.path)
    train.manifest.unlink()
    with pytest.raises(DataError, match="no valid manifest"):
        api.export("one", tmp_path / "to", results.path)
    assert not (tmp_path / "to").exists()
