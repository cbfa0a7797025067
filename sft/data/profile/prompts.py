"""How long whole prompts are, in-context examples included, and how many are over a limit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sft.data.profile.lengths import WORTH_TELLING, LengthProfile, TextSample, length_profile, rounded_up, share_text
from sft.data.profile.remark import Remark
from sft.wording import counted

CONTEXT = "the model's context"
"""What stands in place of a key where no key is the limit."""


class PromptShape(NamedTuple):
    """What a prompt holds beside the texts of its row."""

    frame: int
    """Tokens of instruction, template and answer header."""
    round: int
    """Tokens that a round of in-context examples adds, without the texts of their rows."""
    context: int | None
    """The most tokens that the model is made for."""


class Prompts(NamedTuple):
    """What the lengths of the prompts of an experiment depend on, beside its rows."""

    columns: tuple[str, ...]
    output_column: str | None
    """In a generation, whose examples show texts of it; None with labels, which are in `shape.round`."""
    kept: int | None
    """`max_input_length`."""
    shape: PromptShape
    n_rounds: int
    """Rounds of in-context examples."""
    n_examples: int
    """Examples of each round."""
    limits: tuple[tuple[str, int], ...]
    """Dotted key and value of what a prompt must keep within."""


def prompt_profile(counts: Mapping[str, Sequence[int]], prompts: Prompts) -> LengthProfile:
    """The lengths of whole prompts, estimated: parts are added up, and examples have texts of mean length.

    Args:
        counts: by column the tokens of the same rows.
        prompts: how the prompts are made.
    """
    kept = prompts.kept
    cut = [[count if kept is None else min(count, kept) for count in counts[column]] for column in prompts.columns]
    texts = [sum(row) for row in zip(*cut, strict=True)]
    outputs = counts.get(prompts.output_column or "", (0,))
    example = sum(texts) / len(texts) + sum(outputs) / len(outputs)
    shown = prompts.n_rounds * (prompts.shape.round + prompts.n_examples * example)
    lengths = [round(prompts.shape.frame + shown + text) for text in texts]
    sample = TextSample(None, len(lengths), (), ())
    profile = length_profile(sample, lengths, (), "tokens", prompts.limits)
    return replace(profile, examples=prompts.n_rounds * prompts.n_examples)


def prompt_remarks(profile: LengthProfile) -> list[Remark]:
    """A remark for each limit that many prompts are over, with one that spares 95 % of them."""
    return [_over(profile, cut.limit, cut.at, cut.share) for cut in profile.cuts if cut.share >= WORTH_TELLING]


def _over(profile: LengthProfile, limit: str, at: int, share: float) -> Remark:
    with_examples = f" with {counted(profile.examples, 'in-context example')}" if profile.examples else ""
    gives_way = "examples are left out, then texts are cut" if profile.examples else "texts are cut"
    enough = rounded_up(profile.p95)
    text = (
        f"some {share_text(share)} of the prompts{with_examples} are longer than {limit} {at}, so {gives_way}; "
        f"95 % have at most some {enough} tokens"
    )
    return Remark("long_prompts", text, None if limit == CONTEXT else f"{limit}: {enough}")
