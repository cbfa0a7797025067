"""A raw config, as JSON gives it, read into an `ExperimentConfig` or into findings by dotted path."""

import marshal
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from sft.config.experiment import ExperimentConfig
from sft.config.findings import Finding
from sft.config.older_keys import with_current_names
from sft.config.shape import shape_problems
from sft.config.values import Problem, value_problems

BEST = "best"
_WITHOUT_IDENTITY = 2
"""Version of marshal's format; later ones say which parts of a value are one object."""
RESERVED_NAMES = {BEST: "it stands for the best experiment of a results folder"}


class ConfigReader:
    """Reads the configs of one grid; equal sections become one object, which is read and looked through once."""

    def __init__(self) -> None:
        self._sound: dict[tuple[str, bytes], Any] = {}
        """Key and written value of what is sound -> as it was read."""

    def read(self, raw: dict[str, Any], name: str) -> tuple[ExperimentConfig | None, list[Finding]]:
        """As `read_experiment`."""
        raw, problems = with_current_names(raw)
        written = {key: (key, _exactly(value)) for key, value in raw.items()}
        sound = {key: self._sound[place] for key, place in written.items() if place in self._sound}
        problems += _rule_problems(raw, name, sound.keys())
        try:
            config = ExperimentConfig.model_validate({**raw, **sound, "name": name})
        except ValidationError as error:
            problems += shape_problems(error, raw, {problem.path for problem in problems})
        if problems:
            return None, [Finding(name, problem.path, problem.message) for problem in problems]
        self._sound |= {written[key]: getattr(config, key) for key in raw.keys() - sound.keys()}
        return config, []


def read_experiment(raw: dict[str, Any], name: str) -> tuple[ExperimentConfig | None, list[Finding]]:
    """The config, or everything that is wrong with it; exactly one of the two is given.

    What needs the registries, the data or a model (names of metrics, pass-through keys, columns) is checked elsewhere.

    Args:
        raw: the config as written, from JSON; it is not changed.
        name: name of the experiment, which becomes `config.name`.
    """
    return ConfigReader().read(raw, name)


def _exactly(value: Any) -> bytes:
    """The same for JSON values of equal types and content alone: 1 is not true, nor a text one of a class of its own.

    Empty for what is no JSON value, which is told as a problem, so that it is never that of a sound section.
    """
    try:
        return marshal.dumps(value, _WITHOUT_IDENTITY)
    except ValueError:
        return b""


def _rule_problems(raw: dict[str, Any], name: str, sound: Collection[str]) -> list[Problem]:
    """Problems that no single type tells; the values of sound sections were looked through before."""
    problems = value_problems({key: value for key, value in raw.items() if key not in sound})
    if name in RESERVED_NAMES:
        problems.append(Problem("name", f"the name {name!r} is reserved: {RESERVED_NAMES[name]}; choose another"))
    return [*problems, *_adapter_problems(raw.get("lora"), raw.get("adapter")), *_shots_problems(raw)]


def _shots_problems(raw: dict[str, Any]) -> list[Problem]:
    """Shots that are left out are none, which where something is to be trained would be meant by nobody."""
    dataset, adapter = raw.get("dataset"), raw.get("adapter")
    trains = raw.get("lora") is not None or (isinstance(adapter, dict) and adapter.get("method") != "none")
    if not trains or not isinstance(dataset, dict) or "shots" in dataset:
        return []
    rows = "training rows per label for classification, in total for generation, 'all' for the whole train split"
    return [Problem("dataset.shots", f"required where something is trained: {rows}")]


def _adapter_problems(lora: Any, adapter: Any) -> list[Problem]:
    if adapter is None:
        return []
    if lora is not None:
        advice = "keep one; lora is short for adapter: {method: lora, ...}, and null takes a section away"
        return [Problem("adapter", f"lora and adapter are both set; {advice}")]
    if isinstance(adapter, dict) and not isinstance(adapter.get("method"), str):
        got = "required" if adapter.get("method") is None else "must be text"
        return [Problem("adapter.method", f"{got}: none, lora or another adapter method")]
    return []
