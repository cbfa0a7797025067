"""Where a training is asked for only because of other words in the prompt: inference can have these alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sft.config.prompting import PromptingOverrides
from sft.pipeline.differences import leaves
from sft.runs.records import JobRecord
from sft.wording import counted, some

OVERRIDABLE = frozenset(f"prompting.{key}" for key in PromptingOverrides.model_fields)
"""Fields of a training's key that `inference.prompting` can say otherwise."""

SHOWN_NAMES = 3


def prompt_hints(trainings: Mapping[str, Mapping[str, Any]], finished: Sequence[JobRecord]) -> Iterator[str]:
    """A line for all trainings that differ from finished ones in the same keys of the prompt and in nothing else.

    Args:
        trainings: name -> what its key is made of, of those that would run.
        finished: the finished trainings.
    """
    known: dict[frozenset[tuple[str, str]], list[dict[str, str]]] = {}
    for record in finished:
        parts = leaves(record.key_fields)
        known.setdefault(_beside_prompt(parts), []).append(parts)
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, fields in trainings.items():
        parts = leaves(fields)
        changed = (
            tuple(sorted(key for key in OVERRIDABLE if parts.get(key) != other.get(key)))
            for other in known.get(_beside_prompt(parts), ())
        )
        nearest = min(changed, key=len, default=())
        if nearest:
            alike.setdefault(nearest, []).append(name)
    for keys, names in alike.items():
        yield (
            f"{counted(len(names), 'training')} ({some(names, SHOWN_NAMES)}) would run only because {some(keys)} is "
            "not as in finished ones: with the old words there and the new ones under inference.prompting nothing is "
            "trained again"
        )


def _beside_prompt(parts: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(item for item in parts.items() if item[0] not in OVERRIDABLE)
