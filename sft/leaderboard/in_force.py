"""What of a config has an effect in its experiment; what has none is no setting of it.

What reads configs is imported where one is read: a board whose configs are all known starts in a third of the time.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from sft.config.seeds import without_seeds
from sft.exceptions import SftError

NOT_A_SETTING = frozenset({"name", "training.save_method"})
METHOD = "adapter.method"
_CHANGES_NO_RESULT = frozenset({"evaluation.slices", "evaluation.baseline_encoder"})
"""Settings that add to what is known of a run; those that differ in them are the same in every number."""
_MOST_KNOWN = 20_000
_SAYS_NONE = {METHOD: "none", "inference.calibration_args.calibration_fn": "none"}
"""Values that say the same as leaving their section out."""
_READ_ALIKE = {"dataset.on_missing": "error"}
"""Values with which a finished run is what it is by default: other data would have been refused."""


@dataclass(frozen=True)
class InForce:
    """What of a config has an effect, whatever its seeds are.

    Attributes:
        unused: dotted paths of the keys and sections that are written and change nothing.
        identity: the same text for configs that are equal in all that has an effect, but for their seeds.
        trains: whether there is a train stage.
        is_seeded: whether any seed changes what is computed.
        calibrates_on_pool: whether calibration reads training rows.
    """

    unused: frozenset[str]
    identity: str
    trains: bool
    is_seeded: bool
    calibrates_on_pool: bool


def in_force(config: Mapping[str, Any]) -> InForce:
    """What has an effect in an experiment; everything in a config that this version cannot read.

    Configs that differ in their seeds are looked at once.

    Args:
        config: resolved.
    """
    return _in_force(without_seeds(config))


@lru_cache(_MOST_KNOWN)
def _in_force(text: str) -> InForce:
    from pydantic import ValidationError

    from sft.config.experiment import ExperimentConfig
    from sft.pipeline.needed_rows import calibrates_on_pool, seed_has_effect
    from sft.pipeline.unused_keys import without_effect

    config = json.loads(text)
    unused, trains, is_seeded, on_pool = frozenset[str](), False, True, True
    try:
        known = ExperimentConfig.model_validate(config)
        unused, trains = frozenset(without_effect(known)), known.trains
        is_seeded, on_pool = seed_has_effect(known), calibrates_on_pool(known)
    except (ValidationError, SftError, OSError):
        pass
    found = InForce(unused, "", trains, is_seeded, on_pool)
    settings = settings_in_force(leaves(config), found).items()
    kept = {path: value for path, value in settings if value is not None and path not in _CHANGES_NO_RESULT}
    return replace(found, identity=json.dumps(kept, sort_keys=True))


def settings_in_force(settings: Mapping[str, Any], known: InForce) -> dict[str, Any]:
    """The settings by their first names; what has no effect is as if it were not written.

    Args:
        settings: leaves of a resolved config by dotted path.
        known: of the config.
    """
    found: dict[str, Any] = {}
    for path, value in settings.items():
        says_none = value is not None and _SAYS_NONE.get(path) == value
        owner = path.rpartition(".")[0] if says_none else _owner(path, known.unused)
        if owner is not None:
            found.update(_unwritten(owner))
        elif value is not None and _READ_ALIKE.get(path) == value:
            found[path] = default_settings()[path]
        elif path == "training" and value is None and known.trains:
            found.update(training_defaults())
        else:
            found[first_name(path)] = value
    return found


def with_method(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the adapter method by its name where the section `lora`, which is short for it, says it.

    Args:
        settings: in force, by dotted path.
    """
    says_lora = any(
        path == "lora" or path.startswith("lora.") for path, value in settings.items() if value is not None
    )
    return {**settings, METHOD: "lora"} if says_lora else dict(settings)


def first_name(path: str) -> str:
    """The dotted path by which a setting is known that has several names."""
    return _aliases().get(path, path)


@cache
def _aliases() -> Mapping[str, str]:
    from sft.training.options import ALIASES

    return {f"training.trainer_args.{alias}": f"training.trainer_args.{name}" for alias, name in ALIASES.items()}


def without_effect_in(settings: Iterable[str], unused: frozenset[str]) -> list[str]:
    """Those of the dotted paths that are, or are in, a key without effect."""
    return [path for path in settings if _owner(path, unused) is not None]


@lru_cache(_MOST_KNOWN)
def _owner(path: str, unused: frozenset[str]) -> str | None:
    """The key without effect that a leaf is or is in."""
    return next((key for key in unused if path == key or path.startswith(f"{key}.")), None)


@cache
def _unwritten(key: str) -> Mapping[str, Any]:
    """The leaves that a config has where a key is not written; one of `training`, beside others of that section."""
    known = training_defaults() if key.startswith("training.") else default_settings()
    return {path: value for path, value in known.items() if _owner(path, frozenset({key}))}


@cache
def training_defaults() -> Mapping[str, Any]:
    """The leaves of a `training` section in which nothing is written."""
    from sft.config.training import TrainingConfig

    return leaves({"training": TrainingConfig().model_dump(mode="json")})


@cache
def default_settings() -> Mapping[str, Any]:
    """The leaves of a config in which only the required keys are written."""
    from sft.config.experiment import ExperimentConfig

    required = {
        "dataset": {"path": "any", "task_type": "", "shots": 0},
        "model": {"name": ""},
        "prompting": {"input_columns": [""], "output_column": ""},
    }
    return leaves(ExperimentConfig.model_validate(required).resolved())


def leaves(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted path -> value of every leaf but the name; a list, and a map without entries, is a leaf."""
    found: dict[str, Any] = {}
    _add_leaves(config, "", found)
    for path in NOT_A_SETTING:
        found.pop(path, None)
    return found


def _add_leaves(value: Mapping[str, Any], prefix: str, found: dict[str, Any]) -> None:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            _add_leaves(item, f"{prefix}{key}.", found)
        else:
            found[prefix + key] = item
