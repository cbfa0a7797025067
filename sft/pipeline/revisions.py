"""Which experiments a mended fault touches: their stages run again under another key, and nobody else's do.

A stage's version number is raised only where no field of a config tells which experiments are touched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sft.pipeline.experiment import Experiment
from sft.runs.records import StageName


@dataclass(frozen=True)
class Revision:
    """One mended fault: the number rises each time that the result of the touched experiments changes again."""

    stage: StageName
    number: int
    """2 for the first mended fault of this name; 1, the result before it, is never written into a key."""
    touches: Callable[[Experiment], bool]
    """Whether the fault changed the result of this experiment's stage."""


REVISIONS: Mapping[str, Revision] = {}
"""Name of what was mended -> the revision in force."""


def revisions_of(stage: StageName, experiment: Experiment) -> dict[str, int] | None:
    """The revisions that a stage's key holds, by name; None where no mended fault touches the experiment."""
    touching = {
        name: revision.number
        for name, revision in REVISIONS.items()
        if revision.stage == stage and revision.touches(experiment)
    }
    return touching or None
