"""How the model of an experiment answers: by what is written, else by what kind of model it is.

The config that goes on names the Auto class wherever it is not that of decoders, and holds nothing of what the
objective does not read, so that experiments that differ in that alone are one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sft.calibration.selection import needed_row_sets, options_in_force
from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError
from sft.models.answering.kinds import has_own_head, model_kind
from sft.models.config_file import KINDS
from sft.models.objective import Objective
from sft.objectives import DECODERS_CLASS, objective_named, objective_of
from sft.pipeline.needed_rows import CALIBRATION
from sft.tasks import task_registry
from sft.tasks.inputs import task_of
from sft.tasks.row_sets import RowSet

PATH = "model.auto_class"
ModelConfigs = Callable[[str, str | None], Mapping[str, Any]]


@dataclass(frozen=True)
class ChosenObjective:
    """A config with the objective in force."""

    config: ExperimentConfig
    dropped: tuple[str, ...]
    """Dotted paths of what is written and has no effect with it."""


def with_objective(config: ExperimentConfig, folder: Path, config_of: ModelConfigs) -> ChosenObjective:
    """The config with its Auto class, without what the objective does not read.

    Args:
        config: as read.
        folder: what its local paths are relative to.
        config_of: what the `config.json` of a model at a revision says; empty where nobody knows.

    Raises:
        UserError: the task type takes no such class, or the model is of a kind that it does not load.
    """
    if config.dataset.task_type not in task_registry:
        return ChosenObjective(config, ())  # told by the checks
    allowed = task_of(config).objectives
    model_args = config.model.model_args
    told = {**config_of(config.model.name, model_args.get("revision")), **model_args}
    if config.model.auto_class is None:
        objective = _by_kind(told, allowed)
    else:
        objective = objective_of(config, allowed)
        _require_kind(config, told, objective)
    written = None if objective.auto_class == DECODERS_CLASS else objective.auto_class
    chosen = config
    if written != config.model.auto_class:
        chosen = config.model_copy(update={"model": config.model.model_copy(update={"auto_class": written})})
    if task_of(config).reads == "whole" and not config.prompting.input_columns:
        own = {"input_columns": [config.prompting.output_column]}
        chosen = chosen.model_copy(update={"prompting": config.prompting.model_copy(update=own)})
    dropped = tuple(_written_without_effect(chosen, objective, folder))
    for path in dropped:
        chosen = _without(chosen, path.split("."))
    return ChosenObjective(chosen, dropped)


def _by_kind(told: Mapping[str, Any], allowed: Sequence[str]) -> Objective:
    """The objective whose head a checkpoint has, else the first that its kind can; of an unknown kind, a decoder's."""
    objectives = [objective_named(name) for name in allowed]
    for objective in objectives:
        if objective.has_head and has_own_head(told, objective):
            return objective
    kind = model_kind(told)
    fitting = [objective for objective in objectives if kind in objective.model_kinds]
    decoders = [objective for objective in objectives if objective.auto_class == DECODERS_CLASS]
    return (fitting or decoders or objectives)[0]


def _require_kind(config: ExperimentConfig, told: Mapping[str, Any], objective: Objective) -> None:
    kind = model_kind(told)
    if kind is None or kind in objective.model_kinds:
        return
    loaded = " and ".join(KINDS[one] for one in objective.model_kinds)
    fitting = [
        other.auto_class
        for other in map(objective_named, task_of(config).objectives)
        if kind in other.model_kinds and other is not objective
    ]
    advice = f"write {' or '.join(fitting)}, or leave it out" if fitting else "take another model"
    is_of = f"model {config.model.name!r} is of type {told['model_type']}, and {objective.name} takes {loaded}"
    raise UserError(f"{objective.auto_class!r}: {is_of}; {advice}")


def _written_without_effect(config: ExperimentConfig, objective: Objective, folder: Path) -> Iterator[str]:
    for path in sorted(objective.without_effect):
        section, _, key = path.rpartition(".")
        found: Any = config
        for name in section.split("."):
            found = None if found is None else getattr(found, name)
        if isinstance(found, BaseModel) and key in found.model_fields_set:
            default = type(found).model_fields[key].get_default(call_default_factory=True)
            if getattr(found, key) != default:
                yield path
    if objective.reads == "text" and _needs_prompts(config, folder):
        yield CALIBRATION


def _needs_prompts(config: ExperimentConfig, folder: Path) -> bool:
    """Whether calibration asks the model about prompts without content."""
    try:
        named = needed_row_sets(config.calibration, options_in_force(config), folder)
        return any(RowSet.parse(name).kind == "content_free" for name in named)
    except (UserError, ValidationError, ValueError):
        return False  # told by the checks


def _without(section: Any, path: Sequence[str]) -> Any:
    """A section without what is written under a path."""
    key, *rest = path
    if rest:
        return section.model_copy(update={key: _without(getattr(section, key), rest)})
    written = {name: getattr(section, name) for name in section.model_fields_set - {key}}
    return type(section).model_construct(**written)
