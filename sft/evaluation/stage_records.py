"""What the stages behind an experiment recorded of themselves, put together for `metrics.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.evaluation.parts import Part
from sft.processes.environment import git_commit, peak_rss_bytes, versions
from sft.runs.files import JobFolder
from sft.runs.manifest import adapter_bytes
from sft.runs.records import EVAL

LIBRARY_WARNINGS = "library_warnings"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class StageRecords:
    """The records of the stages, each once.

    Attributes:
        inferences: of all infer stages.
        evaluated: of those of the evaluated rows: one, or one per fold.
        trainings: of the train stages; none where nothing is trained.
        train: the folder of the first of these.
    """

    inferences: tuple[Record, ...]
    evaluated: tuple[Record, ...]
    trainings: tuple[Record, ...]
    train: JobFolder | None

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "StageRecords":
        """Those of the parts of an experiment."""
        inferences = {part.infers[name].path: record for part in parts for name, record in part.inferences.items()}
        evaluated = {part.infers[EVAL].path: part.inferences[EVAL] for part in parts}
        trainings = tuple(part.training for part in parts if part.training is not None)
        return cls(tuple(inferences.values()), tuple(evaluated.values()), trainings, parts[0].train)

    @property
    def _all(self) -> tuple[Record, ...]:
        return (*self.inferences, *self.trainings)

    def timing(self) -> dict[str, float]:
        """Seconds by stage."""
        train = {"train": sum(record["stage_seconds"] for record in self.trainings)} if self.trainings else {}
        return {**train, "infer": sum(record["stage_seconds"] for record in self.inferences)}

    def counts(self) -> dict[str, Any]:
        """What was cut or is special in the texts of training and evaluated rows, and how long prompts were."""
        trimmed = sum(record.get("n_trimmed") or 0 for record in self.trainings)
        return {
            "n_truncated": self._total("n_truncated"),
            **({"n_trimmed": trimmed} if trimmed else {}),
            "n_special_in_text": self._total("n_special_in_text"),
            "prompt_tokens": self._prompt_tokens(),
        }

    def resources(self) -> dict[str, Any]:
        """The peaks over all stages and of the kinds of stages alone, the seconds of answering, the model's sizes."""
        own = {"peak_rss_bytes": peak_rss_bytes(), "environment": {"peak_gpu_bytes": None}}
        first = self.trainings[0] if self.trainings else None
        seconds = [record.get("answer_seconds") for record in self.evaluated]
        return {
            **_peaks([*self._all, own]),
            **{f"train_{name}": peak for name, peak in _peaks(self.trainings).items()},
            **{f"infer_{name}": peak for name, peak in _peaks(self.inferences).items()},
            "trainable_parameters": first["trainable_parameters"] if first else 0,
            "total_parameters": self.evaluated[0]["total_parameters"],
            "exported_rank": first.get("exported_rank") if first else None,
            "answer_seconds": None if None in seconds else sum(seconds),
            **self._memory_steps(),
            "adapter_bytes": None if self.train is None else adapter_bytes(self.train),
        }

    def environment(self, folder: Path) -> dict[str, Any]:
        """Versions, devices and the code's commit; of several stages of a kind what the first one had.

        Args:
            folder: of the grid file.
        """
        first = self.evaluated[0]
        told_elsewhere = ("versions", "peak_gpu_bytes", LIBRARY_WARNINGS)
        device = {key: value for key, value in first["environment"].items() if key not in told_elsewhere}
        trained_on = self.trainings[0]["environment"] if self.trainings else {}
        return {
            "versions": versions(),
            **device,
            "dtype": first["dtype"],
            "batch_size": first["batch_size"],
            "batch_tokens": first["batch_tokens"],
            **{f"training_{key}": trained_on.get(key) for key in ("device", "device_name", "threads")},
            "git": git_commit(folder),
            **self._library_warnings(),
        }

    def _total(self, count: str) -> int:
        """A count of evaluated rows, and of training rows where there was a training."""
        return sum(int(record[count]) for record in (*self.evaluated, *self.trainings))

    def _prompt_tokens(self) -> Any:
        """Tokens of the evaluated prompts: least, mean and most."""
        if len(self.evaluated) == 1:
            return self.evaluated[0]["prompt_tokens"]
        found = [(record["prompt_tokens"], sum(record["rows"].values())) for record in self.evaluated]
        return {
            "min": min(tokens["min"] for tokens, _ in found),
            "mean": sum(tokens["mean"] * rows for tokens, rows in found) / sum(rows for _, rows in found),
            "max": max(tokens["max"] for tokens, _ in found),
        }

    def _memory_steps(self) -> dict[str, Any]:
        """What stages did to fit into memory; nothing where none had to. Of folds, what the tightest one did."""
        steps: dict[str, Any] = {}
        training = max(self.trainings, key=_memory_step, default=None)
        if training is not None and _memory_step(training):
            names = ("micro_batch_size", "gradient_accumulation_steps", "gradient_checkpointing")
            steps |= {"train": training["memory_step"], **{name: training[name] for name in names}}
        inference = max(self.evaluated, key=_memory_step)
        if _memory_step(inference):
            sizes = {name: inference[name] for name in ("batch_size", "batch_tokens")}
            steps |= {"infer": inference["memory_step"], **sizes}
        return {"memory_steps": steps} if steps else {}

    def _library_warnings(self) -> dict[str, list[str]]:
        """What libraries warned of while models were loaded, and nobody has judged; nothing where none did."""
        told = [text for record in self._all for text in record["environment"].get(LIBRARY_WARNINGS, [])]
        return {LIBRARY_WARNINGS: sorted(set(told))} if told else {}


def _peaks(stages: Sequence[Record]) -> dict[str, int | None]:
    """The most main memory and GPU memory that any of the stages had; None where none says."""
    main = (stage["peak_rss_bytes"] for stage in stages)
    gpu = (stage["environment"]["peak_gpu_bytes"] for stage in stages)
    return {
        "peak_rss_bytes": max(main, default=None),
        "peak_gpu_bytes": max((peak for peak in gpu if peak is not None), default=None),
    }


def _memory_step(record: Record) -> int:
    return record.get("memory_step") or 0
