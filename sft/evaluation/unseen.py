"""Metrics that cannot see the references they are given, so that a right answer scores like none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.evaluation.selection import entries_of, options_of

LOOKED_AT = 1000
"""References that are looked at; the first ones, so that the same data give the same warning."""
MOST = 0.5


def unseen_references(
    metrics: Sequence[str],
    options: Mapping[str, Any],
    references: Sequence[str],
    folder: Path,
    *,
    has_tokenizer: bool,
) -> list[str]:
    """A warning for each family of metrics that finds nothing to compare in most references.

    Args:
        metrics: names as in `evaluation.metrics`.
        options: arguments of the metrics, as written under `evaluation`.
        references: the gold texts.
        folder: the folder of the grid file, for local paths.
        has_tokenizer: whether `tokenizer_name` is set, whose words ROUGE and BLEU then compare.
    """
    looked_at = [text for text in references if text.strip()][:LOOKED_AT]
    found = []
    for entry in entries_of(metrics):
        if entry.sees is None or not looked_at or (entry.splits_words and has_tokenizer):
            continue
        arguments = options_of(entry, options, folder)
        unseen = sum(not entry.sees(text, arguments) for text in looked_at) / len(looked_at)
        if unseen > MOST:
            names = ", ".join(name for name in metrics if name in entry.results)
            remedy = "set evaluation.tokenizer_name, or rank by chrf" if entry.splits_words else "rank by chrf"
            found.append(
                f"{names}: {unseen:.0%} of the references are in a script of which this metric leaves out the letters "
                f"or finds no words, so that a right answer may score 0; {remedy}"
            )
    return found
