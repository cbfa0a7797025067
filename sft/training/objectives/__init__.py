"""Training objectives: what a training makes small.

To add one: a file with an `OBJECTIVE` (see `objective.py`), its line here, and its name in `sft/config/training.py`.
"""

from sft.config.experiment import ExperimentConfig
from sft.registry import Registry, load
from sft.training.objectives.objective import TrainingObjective

training_objective_registry: Registry = {
    "nll": "sft.training.objectives.likelihood:NLL",
    "dft": "sft.training.objectives.likelihood:DFT",
    "t_few": "sft.training.objectives.t_few:OBJECTIVE",
}


def training_objective_of(config: ExperimentConfig) -> TrainingObjective:
    """The objective in force: the one written, else the trainer's `loss_type`, which names two of them as well."""
    training = config.training
    name: str = "nll" if training is None else training.objective
    if training is not None and name == "nll" and training.trainer_args.get("loss_type") == "dft":
        name = "dft"
    entry: TrainingObjective = load(training_objective_registry, name, "training objective")
    return entry
