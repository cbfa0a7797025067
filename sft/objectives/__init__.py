"""Objectives: how a model answers what a task asks.

To add one: a file with an `OBJECTIVE` (see `sft.models.objective`) and its line here; tasks that allow it name it.
"""

from collections.abc import Sequence

from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError
from sft.models.objective import Objective
from sft.registry import Registry, load, nearest
from sft.wording import listed

DECODERS_CLASS = "AutoModelForCausalLM"
"""The Auto class of a planned config that names none."""

objective_registry: Registry = {
    "causal_lm": "sft.objectives.causal_lm:OBJECTIVE",
    "seq2seq": "sft.objectives.seq2seq:OBJECTIVE",
    "sequence_head": "sft.objectives.sequence_head:OBJECTIVE",
}


def objective_named(name: str) -> Objective:
    """The registry's entry of that name.

    Raises:
        UserError: there is none.
    """
    entry: Objective = load(objective_registry, name, "objective")
    return entry


def objective_of(config: ExperimentConfig, allowed: Sequence[str]) -> Objective:
    """How the model of a planned experiment answers: the first objective that loads it by its Auto class.

    Args:
        config: planned: it names the Auto class, or none where that is the one of decoders.
        allowed: names of the objectives of its task type, in their order.

    Raises:
        UserError: none of them loads models by this class.
    """
    written = config.model.auto_class or DECODERS_CLASS
    known = {}
    for name in allowed:
        objective = objective_named(name)
        if objective.auto_class == written:
            return objective
        known[objective.auto_class] = objective
    hint = nearest(written, known)
    meant = f" (did you mean {hint}?)" if hint else ""
    takes = f"dataset.task_type {config.dataset.task_type} takes {listed(list(known))}"
    raise UserError(f"model.auto_class: {written!r}{meant}; {takes}")
