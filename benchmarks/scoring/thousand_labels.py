"""A label set of 1,000 invented phrases."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from benchmarks.report import Figure
from benchmarks.scoring.cases import Case, phrases
from benchmarks.scoring.comparison import compared

PLACES = (
    "kitchen", "garden", "airport", "library", "theatre", "harbour", "stadium", "museum", "bakery", "hospital",
    "school", "market", "bridge", "tunnel", "castle", "village", "office",
)  # fmt: skip
THINGS = (
    "clock", "window", "ticket", "concert", "accident", "lottery", "painting", "sandwich", "invoice", "elevator",
    "parrot", "umbrella", "bicycle", "newspaper", "computer", "mattress", "fountain", "carpet", "lantern", "piano",
)  # fmt: skip
LABELS = phrases([f"the {place} {thing}" for thing, place in product(THINGS, PLACES)])[:1000]
TWEETS = 4
CASE = Case(f"{TWEETS} tweets x {len(LABELS):,} multi-token labels", LABELS, TWEETS, peer_tweets=1)


def figures(folder: Path) -> Iterator[Figure]:
    """All tweets for us; one for lm-eval, which runs each label as a sequence of its own."""
    yield from compared((CASE,), folder)
