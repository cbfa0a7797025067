"""What only a tokenizer can tell of a config, asked once per distinct model, prompting and label set.

The tokenizer is loaded in a child process in which torch is blocked: importing that takes seconds, and is not needed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from sft.config.findings import PathMessage
from sft.data.profile.prompts import PromptShape
from sft.experiments.planning.checks.child_answers import answer_of
from sft.experiments.planning.checks.odd_texts import OddRow

TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class TokenizerQuestion:
    """One distinct combination to check."""

    config: dict[str, Any]
    """A resolved config that has it."""
    folder: str
    revision: str | None
    labels: list[list[str]] | None
    rows: list[OddRow]
    """Rows that the tokenizer or its template may not take."""
    template_revision: str | None = None
    """Pinned commit of a hub tokenizer whose chat template is used."""
    texts: list[list[str]] = field(default_factory=list)
    """Texts to count the tokens of, by column."""


class TokenizerAnswer(NamedTuple):
    """What a tokenizer says of one combination."""

    findings: tuple[PathMessage, ...] = ()
    """Dotted paths and messages of what is wrong."""
    label_ids: tuple[tuple[int, ...], ...] | None = None
    """The ids of each label at inference, without its stop; None without labels, or where they have none."""
    traits: Mapping[str, list[str]] = {}
    """`train`, `infer` -> see `Fingerprints.prompt_traits`."""
    lengths: tuple[tuple[int, ...], ...] = ()
    """Tokens of each of the question's texts, by column."""
    shape: PromptShape | None = None
    """What prompts at inference hold beside texts; None where they cannot be made."""


def ask(questions: list[TokenizerQuestion]) -> list[TokenizerAnswer]:
    """For each question what the tokenizer says.

    Raises:
        MachineError: the child did not answer.
    """
    if not questions:
        return []
    asked = [asdict(question) for question in questions]
    told = answer_of(
        "sft.experiments.planning.checks.tokenizer_child",
        asked,
        "the tokenizers could not be checked",
        TIMEOUT_SECONDS,
    )
    answers = json.loads(told.splitlines()[-1])
    return [_answer(answer) for answer in answers]


def _answer(told: dict[str, Any]) -> TokenizerAnswer:
    ids = told["label_ids"]
    return TokenizerAnswer(
        findings=tuple((path, message) for path, message in told["findings"]),
        label_ids=None if ids is None else tuple(tuple(label) for label in ids),
        traits=told["traits"],
        lengths=tuple(tuple(counts) for counts in told["lengths"]),
        shape=None if told["shape"] is None else PromptShape(*told["shape"]),
    )
