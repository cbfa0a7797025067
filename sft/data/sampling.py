"""Chance that depends on nothing but written seeds, and samples of which the small lie inside the large."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def random_for(purpose: str, *parts: str | int) -> random.Random:
    """A generator of its own for one purpose, independent of Python's hash seed and of every other purpose."""
    text = json.dumps([purpose, *parts], ensure_ascii=True)
    return random.Random(int.from_bytes(hashlib.sha256(text.encode("ascii")).digest(), "big"))


def shuffled(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """The items in a random order."""
    order = list(items)
    rng.shuffle(order)
    return order


def lazy_order(n: int, rng: random.Random) -> Iterator[int]:
    """The numbers below `n` in a random order, at a cost per number taken, so that few of many are cheap."""
    moved: dict[int, int] = {}
    for end in range(n, 0, -1):
        pick = rng.randrange(end)
        yield moved.get(pick, pick)
        moved[pick] = moved.get(end - 1, end - 1)


def by_stratum(strata: Sequence[str]) -> dict[str, list[int]]:
    """Positions of each stratum, strata sorted by name."""
    positions: dict[str, list[int]] = {name: [] for name in sorted(set(strata))}
    for position, name in enumerate(strata):
        positions[name].append(position)
    return positions


def nested_positions(strata: Sequence[str], n: int, purpose: str, seed: int) -> list[int]:
    """A proportional sample of `n` positions, in ascending order.

    Within a stratum the order is random; the j-th of m rows gets the rank (2j + 1) / 2m, and the lowest ranks are
    taken. That is the divisor method of Webster, which, unlike the method of largest remainders, never takes a row
    back when `n` grows: the sample of 200 lies inside the sample of 500.

    Args:
        strata: the stratum of each position (all equal: a plain random sample).
        n: rows wanted; all are taken where there are fewer.
        purpose: what the sample is for; other purposes draw other rows.
        seed: seed of the draw.
    """
    groups = by_stratum(strata)
    ties = {name: place for place, name in enumerate(shuffled(list(groups), random_for(purpose, seed, "ties")))}
    ranked: list[tuple[float, int, int]] = []
    for name, positions in groups.items():
        order = shuffled(positions, random_for(purpose, seed, "stratum", name))
        ranked += [((2 * j + 1) / (2 * len(order)), ties[name], position) for j, position in enumerate(order[:n])]
    return sorted(position for _, _, position in sorted(ranked)[:n])
