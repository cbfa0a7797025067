"""Which rows of brought data train, choose and report: the splits there are, or shares of the one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.data.profile.profile import DEV_NAMES
from sft.data.selection import ValuesIn
from sft.exceptions import UserError
from sft.experiments.drafting.reading import BroughtData, present
from sft.wording import counted, listed, quoted

FEWEST_TEXTS = 4
TRAIN_NAMES = frozenset({"train", "training"})
TEST_NAMES = frozenset({"test", "testing"})
FOLDS = 5
SAFE_IN_FOLDS = 6
"""Rows of a label for each fold, before some are left out, of which one is left in every fold."""

ROWS_FOR_SHARES = 300
"""From so many rows on a share of them is test rows enough."""

ROWS_FOR_DEV = 1000
TEST_SHARE = 0.3
DEV_SHARE = 0.15
MOST_EVALUATED = 500
"""Test rows of a first look."""


@dataclass(frozen=True)
class DraftSplits:
    """The `splits` of a draft, and what they give."""

    path: str
    """As `dataset.path`: the data's own, or one file of it."""
    written: Mapping[str, Any]
    """`dataset.splits`; empty = the default."""
    note: str
    """Why these."""
    n_test: int
    train: str
    """The split that shots come from."""
    train_share: float
    """The part of it that is left for them."""
    evaluated: tuple[str, ...]
    """Splits whose labels must be in the label set."""
    instead: Mapping[str, Any] | None = None
    """Another `dataset.splits` that would do."""


def left_out(data: BroughtData, split: str, inputs: Sequence[str], label: str) -> set[int]:
    """The places of the rows that `on_missing: drop` leaves out, where some cannot be used; else none."""
    holes, gold = [data.lacking(split, column) for column in inputs], data.lacking(split, label)
    return gold.union(*holes) if gold or set.intersection(*holes) else set()


@dataclass(frozen=True)
class UsableRows:
    """The rows of a split that are not left out.

    Attributes:
        gold: place -> gold value.
        loses_some: whether any are left out, which happens after a cut.
    """

    gold: Mapping[int, str]
    loses_some: bool


def usable_rows(data: BroughtData, split: str, inputs: Sequence[str], label: str) -> UsableRows:
    """The rows of a split that have gold and what `on_missing` wants beside it."""
    left, gold = left_out(data, split, inputs, label), data.texts(split, label)
    kept = {place: text for place, text in enumerate(gold) if place not in left and text is not None}
    return UsableRows(kept, bool(left))


def draft_splits(data: BroughtData, inputs: Sequence[str], label: str, values_in: ValuesIn | None) -> DraftSplits:
    """Splits that run as they are.

    Args:
        data: what was brought.
        inputs: the columns that the model reads.
        label: the column that is predicted.
        values_in: the labels of a row, of which every fold needs one; None where there are none.

    Raises:
        UserError: no split can be chosen.
    """
    gold = {name: len(present(data.texts(name, label))) for name in data.tables}
    with_gold = [name for name, number in gold.items() if number]
    if len(with_gold) == 1:
        return _cut(data, with_gold[0], inputs, label, values_in)
    train = _first(with_gold, TRAIN_NAMES) or max(with_gold, key=lambda name: gold[name])
    others = [name for name in with_gold if name != train]
    test = _first(others, TEST_NAMES)
    dev = _first(others, DEV_NAMES)
    note = "as they lie there"
    if test is None:
        test, dev = dev or min(others, key=lambda name: gold[name]), None
        note = f"there is no test split, so {quoted(test)} reports"
    written = {"train": train, "dev": dev, "test": test}
    defaults = {"train": "train", "dev": None, "test": "test"}
    own = {role: name for role, name in written.items() if name != defaults[role]}
    evaluated = tuple(name for name in (dev, test) if name is not None)
    return DraftSplits(data.path, own, note, gold[test], train, 1.0, evaluated)


def _cut(data: BroughtData, name: str, inputs: Sequence[str], label: str, values_in: ValuesIn | None) -> DraftSplits:
    """The one split with the column cut: into folds where rows are few and every label has one for each fold."""
    path, other = data.path, ""
    if len(data.tables) > 1:
        if name not in data.files:
            others = listed(other for other in data.tables if other != name)
            raise UserError(
                f"{data.path}: only split {quoted(name)} has the --label column, not {others}; give its file"
            )
        path, other = data.files[name], f"; only {quoted(name)} has that column"
    usable = usable_rows(data, name, inputs, label)
    gold = list(usable.gold.values())
    shares = {"test": TEST_SHARE} | ({"dev": DEV_SHARE} if len(gold) >= ROWS_FOR_DEV else {})
    folds = {"folds": FOLDS} if len(gold) >= FOLDS else None
    texts = list(zip(*(data.texts(name, column) for column in inputs), strict=True))
    # A cut leaves equal texts on one side.
    distinct = list({texts[place]: value for place, value in usable.gold.items()}.values())
    if len(distinct) < FEWEST_TEXTS:
        raise UserError(
            f"{path}: {counted(len(distinct), 'different text')} with gold: too few to train and to test on"
        )
    # Rows are left out after the cut, so that one fold may lose more of a label than another.
    fewest = SAFE_IN_FOLDS * FOLDS if usable.loses_some else FOLDS
    own = Counter(value for text in distinct for value in values_in(text)) if values_in is not None else Counter()
    if min([len(distinct), *own.values()]) < fewest:
        folds = None
    if folds is not None and len(gold) < ROWS_FOR_SHARES:
        note = (
            f"few rows, so each is tested once, with shots from the other folds; to answer new rows, cut shares{other}"
        )
        return DraftSplits(path, folds, note, len(gold), name, 1 - 1 / FOLDS, (), shares)
    note = f"shares of the rows; equal texts stay on one side{other}"
    return DraftSplits(path, shares, note, round(TEST_SHARE * len(gold)), name, 1 - sum(shares.values()), (), folds)


def _first(names: list[str], known: frozenset[str]) -> str | None:
    return next((name for name in names if name.lower() in known), None)
