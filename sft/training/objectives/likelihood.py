"""The two objectives that the trainer has itself: functions of the probability of the right answer's tokens alone."""

from sft.training.objectives.objective import TrainingObjective

NLL = TrainingObjective(
    name="nll",
    loss="mean cross-entropy per trained token, in nats",
)
"""-log p(token), its mean over the trained tokens of a step."""

DFT = TrainingObjective(
    name="dft",
    loss="mean over trained tokens of p log(1/p), in nats, whose gradient takes the factor p as constant",
    trainer_args={"loss_type": "dft"},
    weighs_rows=False,
    clashes={"label_smoothing_factor": "has no effect on it"},
)
"""Dynamic fine-tuning (arXiv:2508.05629): -sg(p(token)) log p(token), where no gradient passes sg; its mean over the
trained tokens of a step (trl/trainer/sft_trainer.py, `loss_type`). Tokens that are improbable get small gradients.
"""
