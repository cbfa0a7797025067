"""Objectives: how a model answers what a task asks.

To add one: a file with an `OBJECTIVE` (see `sft.models.objective`) and its line here; tasks that allow it name it.
"""

from sft.models.objective import Objective
from sft.registry import Registry, load

objective_registry: Registry = {"causal_lm": "sft.objectives.causal_lm:OBJECTIVE"}


def objective_named(name: str) -> Objective:
    """The registry's entry of that name.

    Raises:
        UserError: there is none.
    """
    entry: Objective = load(objective_registry, name, "objective")
    return entry
