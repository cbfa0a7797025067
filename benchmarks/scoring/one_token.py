"""100 tweets and 3 labels of one token each, zero-shot and with 12 in-context examples."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Figure
from benchmarks.scoring.cases import Case
from benchmarks.scoring.comparison import compared

LABELS = ("negative", "neutral", "positive")
TWEETS = 100
ZERO_SHOT = Case(f"{TWEETS} tweets x 3 one-token labels", LABELS, TWEETS, target=1.8, rounds=2)
IN_CONTEXT = Case(f"{ZERO_SHOT.name}, 12 examples", LABELS, TWEETS, examples=12, target=16)


def figures(folder: Path) -> Iterator[Figure]:
    """Both cases in full on both sides."""
    yield from compared((ZERO_SHOT, IN_CONTEXT), folder)
