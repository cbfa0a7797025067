"""24 tweets and 24 invented labels of several tokens, zero-shot and with 12 in-context examples."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Figure
from benchmarks.scoring.cases import Case, phrases
from benchmarks.scoring.comparison import compared

TOPICS = (
    "the weather", "a football match", "somebody's new job", "the morning train",
    "a birthday party", "politics on television", "a broken telephone", "the end of the holidays",
)  # fmt: skip
LABELS = phrases(TOPICS)
TWEETS = 24
PEER_TWEETS = 3
ZERO_SHOT = Case(f"{TWEETS} tweets x {len(LABELS)} multi-token labels", LABELS, TWEETS, target=7.5)
IN_CONTEXT = Case(f"{ZERO_SHOT.name}, 12 examples", LABELS, TWEETS, examples=12, peer_tweets=PEER_TWEETS, target=100)


def figures(folder: Path) -> Iterator[Figure]:
    """Zero-shot in full; with examples lm-eval would take more than twenty minutes and gets a few of the tweets."""
    yield from compared((ZERO_SHOT, IN_CONTEXT), folder)
