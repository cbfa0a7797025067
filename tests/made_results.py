"""Results folders made by hand, in every state a run can leave them in."""

from pathlib import Path
from typing import Any

from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder, slug
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, JobRecord, StageName, StatusRecord, write_record


class MadeResults:
    """A results folder and its grid."""

    def __init__(self, path: Path) -> None:
        self.results = ResultsFolder(path)
        self.configs: dict[str, Any] = {}
        path.mkdir(parents=True, exist_ok=True)
        self.results.lock.touch()

    def write_grid(self, source: str = "grid.jsonnet") -> None:
        grid = {"schema": 1, "source": source, "configs": self.configs, "pinned": {}}
        write_json(self.results.grid, grid)

    def experiment(
        self,
        name: str,
        key: str,
        *,
        train: str | None = None,
        infer: str | None = None,
        in_grid: bool = True,
        **config: Any,
    ) -> JobFolder:
        """An experiment that is known and has not run; its keys are filled to 16 digits."""
        key = key.ljust(16, "0")
        folder = JobFolder(self.results.experiments / f"{slug(name)}-{key[:8]}")
        stages = {"train": train and train.ljust(16, "0"), "infer": (infer or key).ljust(16, "0")}
        own = {"dataset": {"path": "tweets"}, "evaluation": {"metrics": ["macro_f1"]}} | config
        record = {"schema": 1, "id": key, "names": [name], "config": own, "config_folder": "/", "stages": stages}
        write_json(folder.config, record)
        if in_grid:
            place = folder.path.relative_to(self.results.path).as_posix()
            self.configs[name] = {"id": key, "folder": place, "config": own}
        self.write_grid()
        return folder

    def stage(self, stage: StageName, key: str) -> JobFolder:
        return self.results.stage(stage, key.ljust(16, "0"))

    def job(self, folder: JobFolder, stage: StageName, name: str = "one", **fields: Any) -> JobRecord:
        """Write the job of a folder."""
        record = JobRecord(stage, folder.path.name, name, {}, "/", {"revisions": {}}, **fields)
        write_record(folder.job, record)
        return record

    def finish(
        self, folder: JobFolder, stage: StageName, text: str = "{}", name: str = "one", **fields: Any
    ) -> JobFolder:
        """Make a stage done."""
        self.job(folder, stage, name, **fields)
        outputs = {"train": folder.training, "infer": folder.inference, "evaluate": folder.metrics}
        outputs[stage].parent.mkdir(parents=True, exist_ok=True)
        outputs[stage].write_text(text)
        written = [outputs[stage]]
        if stage == "train":
            folder.adapter.mkdir()
            (folder.adapter / "adapter_model.safetensors").write_bytes(b"weights of the adapter")
            written.append(folder.adapter)
        write_manifest(folder, written)
        write_record(folder.status, StatusRecord("done", stage, attempt=1, seconds=1.5))
        return folder

    def stop(
        self, folder: JobFolder, stage: StageName, state: Any, error: ErrorRecord | None = None, name: str = "one"
    ) -> JobFolder:
        """A stage that was tried once and is not done."""
        self.job(folder, stage, name)
        attempt = folder.attempt(1)
        attempt.path.mkdir(parents=True)
        attempt.stderr.write_text("Traceback\nthe last line\n")
        attempt.stdout.write_text("")
        log = attempt.stderr.relative_to(self.results.path).as_posix()
        status = StatusRecord(state, stage, attempt=1, error=error, log=None if error is None else log)
        write_record(folder.status, status)
        return folder

    def content(self) -> dict[str, bytes | str]:
        """All that is in the folder but its lock, to see whether anything was changed."""
        found: dict[str, bytes | str] = {}
        for path in sorted(self.results.path.rglob("*")):
            name = path.relative_to(self.results.path).as_posix()
            if path.is_symlink() or path.is_dir():
                found[name] = "link" if path.is_symlink() else "folder"
            elif path != self.results.lock:
                found[name] = path.read_bytes()
        return found
