"""What the inputs of experiments contain: hashes of files, commits of the hub; each looked up once per grid."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import decode_source
from pathlib import Path
from typing import Any

from sft.adapters.method import adapter_method
from sft.config.dataset import DatasetConfig
from sft.config.experiment import ExperimentConfig
from sft.data.loading import data_fingerprint, kept_quotes, local_source
from sft.data.loading import hub_commit as dataset_commit
from sft.evaluation.selection import local_files
from sft.exceptions import MachineError, SftError
from sft.experiments.planning.checks.model_files import known_config
from sft.models.config_file import hub_config
from sft.models.references import COMMIT, hub_commit, locate, model_fingerprint
from sft.pipeline.experiment import Fingerprints
from sft.registry import is_file_code, is_own_code, own_code_source
from sft.runs.hub_contact import probe
from sft.runs.records import StageName
from sft.tasks.encoders import encoder_path, encoders_of
from sft.tasks.inputs import task_of
from sft.training.argument_files import argument_files


class Contents:
    """Fingerprints of a grid's inputs, under the hub commits that its results folder has pinned."""

    def __init__(self, folder: Path, pinned: Mapping[str, str]) -> None:
        """
        Args:
            folder: what local paths are relative to.
            pinned: `model:ID` or `dataset:ID` -> commit, as a results folder has it.
        """
        self.folder = folder
        self.pinned = dict(pinned)
        self._found: dict[str, Any] = {}
        self._given = frozenset(pinned)

    def dataset_revision(self, config: ExperimentConfig) -> str | None:
        """The commit of a hub data set; None for local data."""
        dataset = config.dataset
        if self._once(f"source:{dataset.path}", lambda: local_source(dataset, self.folder)) is not None:
            return None
        return self._pin(f"dataset:{dataset.path}@{dataset.args.get('revision', '')}", lambda: dataset_commit(dataset))

    def model_revision(self, name: str, revision: str | None) -> str | None:
        """The commit of a hub model or tokenizer; None for a local one."""
        if self._once(f"path:{name}", lambda: locate(name, self.folder)) is not None:
            return None
        return self._pin(f"model:{name}@{revision or ''}", lambda: hub_commit(name, revision))

    def model_config(self, name: str, revision: str | None) -> Mapping[str, Any]:
        """What the `config.json` of a model says; empty of a model without one.

        Empty as well where the name means nothing or the hub does not answer, which `model_revision` and
        `require_config` tell when what the user wrote is looked through.

        Raises:
            UserError: the hub knows the model and refuses its files.
        """
        try:
            commit = self.model_revision(name, revision)
        except SftError:
            return {}
        try:
            if commit is not None:
                return self._hub_config(name, commit)
            found: Mapping[str, Any] = self._once(f"config:{name}", lambda: known_config(name, self.folder))
            return found
        except MachineError:
            return {}

    def require_config(self, name: str, revision: str | None) -> None:
        """Look that the `config.json` of a hub model was not left out because the hub does not answer.

        Raises:
            SftError: it was, or the model's name is wrong.
        """
        commit = self.model_revision(name, revision)
        if commit is not None:
            self._hub_config(name, commit)

    def fingerprints(self, config: ExperimentConfig, labels: list[list[str]] | None) -> Fingerprints:
        """The content of everything an experiment reads."""
        model = config.model
        model_commit = self.model_revision(model.name, model.model_args.get("revision"))
        data_commit = self.dataset_revision(config)
        tokenizer = config.evaluation.tokenizer_name or config.inference.tokenizer_name
        template = model.chat_template_from
        encoders = encoders_of(config, task_of(config))
        revisions = {
            "model": model_commit,
            "dataset": data_commit,
            "chat_template": None if template is None else self.model_revision(template, None),
            "tokenizer": None if tokenizer is None else self.model_revision(tokenizer, None),
            **{encoder_path(section): self.model_revision(name, None) for section, name in encoders.items()},
        }
        return Fingerprints(
            data=self._data(config, data_commit),
            model=self._model(model.name, model_commit),
            keeps_quotes=self._keeps_quotes(config.dataset),
            labels=labels,
            chat_template=self._reference(template),
            adapter=self._reference(model.adapter),
            tokenizer=self._reference(tokenizer),
            encoders={section: str(self._reference(name)) for section, name in encoders.items()},
            files={f"{stage}:{name}": self._model(name, None) for stage, name in self._files(config)},
            code={name: self._code(name) for name in own_code(config)},
            revisions={role: commit for role, commit in revisions.items() if commit is not None},
        )

    def sources(self, config: ExperimentConfig) -> dict[str, str]:
        """Own code as written, of those in files -> its source; the one whose hash is in the fingerprints."""
        return {name: decode_source(self._source(name)) for name in own_code(config) if is_file_code(name)}

    def _files(self, config: ExperimentConfig) -> Iterator[tuple[StageName, str]]:
        """Stage and path as written of files: arguments of the trainer and of the metrics, corrected gold."""
        if config.trains and config.training is not None:
            yield from (("train", name) for name in argument_files(config.training.trainer_args).values())
        metrics = config.evaluation.metrics or ()
        names = local_files(metrics, config.evaluation.model_extra or {}, self.folder)
        yield from (("evaluate", name) for name in names)
        if config.dataset.corrections is not None:
            yield from (("evaluate", config.dataset.corrections), ("baseline", config.dataset.corrections))

    def _hub_config(self, name: str, commit: str) -> Mapping[str, Any]:
        def ask() -> Mapping[str, Any] | SftError:
            try:
                return hub_config(name, commit)
            except SftError as error:  # kept, so that a grid of many experiments asks once
                return error

        found: Mapping[str, Any] | SftError = self._once(f"config:{name}@{commit}", ask)
        if isinstance(found, SftError):
            raise found
        return found

    def _data(self, config: ExperimentConfig, commit: str | None) -> dict[str, str]:
        dataset = config.dataset
        written = dataset.model_dump_json(include={"path", "args", "splits"})
        found: dict[str, str] = self._once(
            f"data:{written}:{commit}", lambda: data_fingerprint(dataset, self.folder, commit)
        )
        return found

    def _keeps_quotes(self, dataset: DatasetConfig) -> bool:
        written = dataset.model_dump_json(include={"path", "args", "splits", "read"})
        return bool(self._once(f"quotes:{written}", lambda: kept_quotes(dataset, self.folder)))

    def _reference(self, name: str | None) -> str | None:
        return None if name is None else self._model(name, self.model_revision(name, None))

    def _model(self, name: str, commit: str | None) -> str:
        found: str = self._once(f"model:{name}:{commit}", lambda: model_fingerprint(name, self.folder, commit))
        return found

    def _code(self, name: str) -> str:
        return hashlib.sha256(self._source(name)).hexdigest()

    def _source(self, name: str) -> bytes:
        found: bytes = self._once(f"code:{name}", lambda: own_code_source(name, self.folder))
        return found

    def _pin(self, key: str, ask: Callable[[], str]) -> str:
        if key in self._given or COMMIT.fullmatch(key.rpartition("@")[2]):
            self._once("hub", probe)  # nothing has to be asked, so nobody would notice that there is no network
        if key not in self.pinned:
            self.pinned[key] = ask()
        return self.pinned[key]

    def _once(self, key: str, ask: Callable[[], Any]) -> Any:
        if key not in self._found:
            self._found[key] = ask()
        return self._found[key]


def own_code(config: ExperimentConfig) -> list[str]:
    """The own code that an experiment names: its adapter's, metrics, and calibrator where there are label scores."""
    calibrator = [config.calibration] if task_of(config).uses("inference.calibration_args") else []
    named = [*(config.evaluation.metrics or []), *calibrator]
    own = adapter_method(config.adapter_method).own_code(config.adapter_options)
    return [*own.values(), *(name for name in named if is_own_code(name))]
