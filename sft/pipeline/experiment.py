"""A resolved experiment: its config, and what its inputs were found to contain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.tasks.inputs import task_of


@dataclass(frozen=True)
class Fingerprints:
    """Content of everything an experiment reads, so that keys hold content and not places."""

    data: dict[str, str]
    """Split role -> sha256 of its files, or hub commit."""
    model: str
    """sha256 of the local model's files, or hub commit."""
    labels: list[list[str]] | None = None
    """Gold value and words of each label, in order."""
    chat_template: str | None = None
    """sha256 of a template taken from elsewhere."""
    adapter: str | None = None
    """sha256 of the files of the adapter that is started or predicted from."""
    tokenizer: str | None = None
    """Content of the tokenizer that splits words for metrics."""
    encoders: dict[str, str] = field(default_factory=dict)
    """`training`, `inference` -> content of the sentence-embedding model that chooses its in-context examples;
    `evaluation` -> of that of the baselines."""
    code: dict[str, str] = field(default_factory=dict)
    """Own code as written -> sha256 of its file."""
    prompt_traits: dict[str, list[str]] = field(default_factory=dict)
    """`train`, `infer` -> what of the prompts only the tokenizer tells, by the names of `PromptBuilder.traits`, and
    `named_template` where the chat template is one of several, or kept for a processor. `model` -> `other_layers`
    where its config.json tells of linear layers that text does not pass, or that weigh experts, `wide_layers` where
    some are too wide for an exact decomposition, `mixes_padding` where a head's outputs move with padding.
    """
    files: dict[str, str] = field(default_factory=dict)
    """`train:` or `evaluate:` and a path as written, of the trainer's or of metrics -> sha256 of what is there."""
    keeps_quotes: bool = False
    """Whether a data file that is read without quoting holds a quotation mark."""
    revisions: dict[str, str] = field(default_factory=dict)
    """`model`, `dataset`, `inference.icl_encoder`, ... -> pinned hub commit."""


@dataclass(frozen=True)
class Experiment:
    """One experiment of a grid, ready to be keyed and run."""

    name: str
    config: ExperimentConfig
    folder: Path
    """The folder its local paths are relative to."""
    fingerprints: Fingerprints
    code: Mapping[str, str] = field(default_factory=dict)
    """Own code as written, of those in files -> source."""
    dropped: tuple[str, ...] = ()
    """Dotted paths of what was written and has no effect with how the model answers; the config is without it."""

    @property
    def has_dev(self) -> bool:
        """Whether dev rows are evaluated."""
        return self.config.dataset.splits.dev is not None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics asked for, or the task's own."""
        return tuple(self.config.evaluation.metrics or task_of(self.config).default_metrics)

    def resolved_config(self) -> dict[str, Any]:
        """The config with every default in force written out, as JSON values."""
        config = self.config.resolved()
        return config | {"evaluation": config["evaluation"] | {"metrics": list(self.metrics)}}

    def fingerprint_record(self) -> dict[str, Any]:
        """The fingerprints as JSON values."""
        return dict(vars(self.fingerprints))
