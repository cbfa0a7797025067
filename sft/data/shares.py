"""One split cut into train, dev and test: stratified by label, with groups and equal texts on one side."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from sft.data.sampling import by_stratum, random_for, shuffled
from sft.errors import DataError

KEPT = "train"


def cut(
    keys: Sequence[Sequence[Hashable]], strata: Sequence[str], shares: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Positions of each side, ascending: `train` and the names of `shares`.

    Rows that share a key form one bundle and go to one side. Bundles are dealt out largest first, in random order
    among equals, each to the side that lacks its labels most; single rows come last and fill every label's count
    exactly. A label with rows enough for it keeps at least one of them in train.

    Args:
        keys: for each row what must not be divided (group, normalised text).
        strata: label of each row; all equal = no stratification.
        shares: part of the rows for each side but train, in (0, 1), together less than 1.
        seed: seed of the order.

    Raises:
        DataError: a side would be empty.
    """
    missing = _targets(strata, shares)
    sides: dict[str, list[int]] = {KEPT: [], **{name: [] for name in shares}}
    bundles = shuffled(_bundles(keys), random_for("shares", seed))
    for bundle in sorted(bundles, key=len, reverse=True):
        labels = Counter([strata[position] for position in bundle])
        side = _most_in_need(missing, labels)
        sides[side] += bundle
        missing[side].subtract(labels)
    for name, positions in sides.items():
        if not positions:
            asked = f"{name}: {shares[name]}" if name in shares else "the rest for train"
            remedy = "take other shares, or fewer and smaller groups"
            if len(set(strata)) > 1:
                remedy = "a label keeps a row in train: add rows, take another share, or set splits.stratify to false"
            raise DataError(f"dataset.splits: no row is left for {name} ({asked}) of {len(strata)} rows; {remedy}")
    return {name: sorted(positions) for name, positions in sides.items()}


def _most_in_need(missing: Mapping[str, Counter[str]], labels: Counter[str]) -> str:
    """The side that lacks most rows of these labels, each label weighed by its rows."""
    return max(missing, key=lambda side: sum(count * missing[side][label] for label, count in labels.items()))


def _targets(strata: Sequence[str], shares: Mapping[str, float]) -> dict[str, Counter[str]]:
    """Rows that each side should get of each label."""
    sizes = {label: len(positions) for label, positions in by_stratum(strata).items()}
    targets = {KEPT: Counter(sizes)}
    for name, share in shares.items():
        free = {label: max(0, targets[KEPT][label] - 1) for label in sizes}
        targets[name] = Counter(_apportioned(sizes, share, free))
        targets[KEPT].subtract(targets[name])
    return targets


def _apportioned(sizes: Mapping[str, int], share: float, free: Mapping[str, int]) -> dict[str, int]:
    """`share` of all rows over the labels, rounded down, the rest to the largest remainders, none above `free`."""
    total = max(1, round(share * sum(sizes.values())))
    counts = {label: min(int(share * size), free[label]) for label, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda label: (-(share * sizes[label] - counts[label]), label))
    for label in by_remainder:
        if sum(counts.values()) < total and counts[label] < free[label]:
            counts[label] += 1
    return counts


def _bundles(keys: Sequence[Sequence[Hashable]]) -> list[list[int]]:
    """Positions joined by equal keys, also over several steps (union-find)."""
    parent = list(range(len(keys)))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    first: dict[Hashable, int] = {}
    for position, own in enumerate(keys):
        for key in own:
            parent[root(position)] = root(first.setdefault(key, position))
    bundles: dict[int, list[int]] = {}
    for position in range(len(keys)):
        bundles.setdefault(root(position), []).append(position)
    return list(bundles.values())
