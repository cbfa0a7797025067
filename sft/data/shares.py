"""One split cut into train, dev and test, or into folds: by label, with groups and equal texts on one side."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from sft.data.sampling import by_stratum, random_for, shuffled
from sft.exceptions import DataError

KEPT = "train"

Side = TypeVar("Side", bound=Hashable)


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
    _deal_out(shuffled(_bundles(keys), random_for("shares", seed)), strata, missing, sides)
    for name, positions in sides.items():
        if not positions:
            asked = f"{name}: {shares[name]}" if name in shares else "the rest for train"
            remedy = "take other shares, or fewer and smaller groups"
            if len(set(strata)) > 1:
                remedy = "a label keeps a row in train: add rows, take another share, or set splits.stratify to false"
            raise DataError(f"dataset.splits: no row is left for {name} ({asked}) of {len(strata)} rows; {remedy}")
    return {name: sorted(positions) for name, positions in sides.items()}


def cut_folds(
    keys: Sequence[Sequence[Hashable]], strata: Sequence[str], n_folds: int, seed: int
) -> tuple[frozenset[int], ...]:
    """The positions of each fold; together they are all, each once.

    Rows that share a key stay together. Each fold gets as many rows of each label as the others, or one more, and as
    many in all, or one more, as far as what must stay together allows.

    Args:
        keys: for each row what must not be divided (group, normalised text).
        strata: label of each row; all equal = no stratification.
        n_folds: how many, at least 2.
        seed: seed of the order.

    Raises:
        DataError: a fold would be empty.
    """
    bundles = _bundles(keys)
    if len(bundles) < n_folds:
        kept = "groups and equal texts are kept whole" if len(bundles) < len(keys) else "each needs one"
        raise DataError(
            f"dataset.splits.folds: {n_folds} folds, and {len(keys)} rows make {len(bundles)} parts ({kept}); "
            "ask for fewer folds"
        )
    missing = _fold_targets(strata, n_folds)
    folds: dict[int, list[int]] = {fold: [] for fold in range(n_folds)}
    _deal_out(shuffled(bundles, random_for("folds", seed)), strata, missing, folds)
    empty = [fold for fold, positions in folds.items() if not positions]
    if empty:
        raise DataError(
            f"dataset.splits.folds: no row is left for fold {empty[0]} of {n_folds}, since a group or equal texts "
            "take too many; ask for fewer folds"
        )
    return tuple(frozenset(positions) for positions in folds.values())


def _deal_out(
    bundles: Iterable[Sequence[int]],
    strata: Sequence[str],
    missing: Mapping[Side, Counter[str]],
    sides: Mapping[Side, list[int]],
) -> None:
    """Add each bundle to the side that lacks most rows of its labels, each label weighed by its rows.

    Args:
        bundles: positions that belong together; dealt out largest first, equally large ones in their order.
        strata: label of each position.
        missing: rows that each side still lacks of each label; counted down.
        sides: positions of each side; added to.
    """
    for bundle in sorted(bundles, key=len, reverse=True):
        labels = Counter([strata[position] for position in bundle])
        side = max(missing, key=lambda name: sum(count * missing[name][label] for label, count in labels.items()))
        sides[side].extend(bundle)
        missing[side].subtract(labels)


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


def _fold_targets(strata: Sequence[str], n_folds: int) -> dict[int, Counter[str]]:
    """Rows that each fold should get of each label: what is left over goes round, so that totals stay even too."""
    targets: dict[int, Counter[str]] = {fold: Counter() for fold in range(n_folds)}
    turn = 0
    for label, positions in by_stratum(strata).items():
        each, left = divmod(len(positions), n_folds)
        for fold in targets:
            targets[fold][label] = each
        for fold in range(turn, turn + left):
            targets[fold % n_folds][label] += 1
        turn += left
    return targets
