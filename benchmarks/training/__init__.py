"""The time of a training step beside TRL's own trainer and a bare loop, and what a training costs beside its steps."""
