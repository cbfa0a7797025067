"""Which rows of the splits are used: caps (`max_n_*`) first, then shots; all of them nested."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from sft.config.dataset import DatasetConfig
from sft.data.rows import Row, Split, Splits, alone, indices_of, picked, texts_of
from sft.data.sampling import nested_positions, random_for, shuffled
from sft.exceptions import DataError
from sft.wording import and_more, listed, shown

SHOWN_VALUES = 10

ValuesIn = Callable[[str], Collection[str]]
"""From the text of an output cell to the gold values in it."""


@dataclass(frozen=True)
class Selection:
    """The rows of an experiment, each in the order of `source_index`.

    Attributes:
        train: the train split after `max_n_train`; of a classification only rows whose label is in the label set.
        shots: rows that are trained on, or the pool of in-context examples; empty at shots 0.
        dev: after `max_n_dev`; None without a dev split.
        test: after `max_n_test`.
    """

    train: Sequence[Row]
    shots: Sequence[Row]
    dev: Sequence[Row] | None
    test: Sequence[Row]

    @property
    def pool(self) -> Sequence[Row]:
        """Where in-context examples come from: the shots when there are any, else the train split."""
        return self.shots or self.train


def select(
    dataset: DatasetConfig,
    splits: Splits,
    output_column: str,
    label_values: Sequence[str] | None,
    shots_seed: int,
    values_in: ValuesIn = alone,
) -> Selection:
    """The rows that an experiment uses.

    Args:
        dataset: its config; the samples of `max_n_*` are drawn under `splits.seed`.
        splits: the rows there are.
        output_column: column with the gold.
        label_values: gold values of the label set as text; None = not a classification.
        shots_seed: `seeds.shots`.
        values_in: the gold values of a row; one that has several counts for each of them.

    Raises:
        DataError: fewer rows than shots (unless `if_fewer: use_all`); names every short label.
    """
    stratum = output_column if label_values is not None else None
    draw = partial(sample, seed=dataset.splits.seed, stratum=stratum, values_in=values_in)
    if splits.folds:
        # Which rows train is each fold's own matter: none of all, lest one be shown before its own fold is tested.
        return Selection((), (), None, draw(splits.test.rows, dataset.max_n_test, "max_n_test"))
    known = _known_rows(splits.train, output_column, label_values, values_in)
    train = draw(known, dataset.max_n_train, "max_n_train")
    others = [] if label_values is None else _values_outside(splits.train, output_column, label_values, values_in)
    is_drawn = label_values is not None and dataset.shots not in (0, "all")
    groups = rows_by_label(train, output_column, label_values or (), values_in) if is_drawn else {"": train}
    return Selection(
        train=train,
        shots=_shots(dataset, train, groups, shots_seed, others),
        dev=None if splits.dev is None else draw(splits.dev.rows, dataset.dev_cap, "max_n_dev"),
        test=draw(splits.test.rows, dataset.max_n_test, "max_n_test"),
    )


def sample(
    rows: Sequence[Row], n: int | None, purpose: str, seed: int, stratum: str | None, values_in: ValuesIn = alone
) -> Sequence[Row]:
    """A fixed sample in the order of `source_index`; the smaller lies inside the larger.

    Args:
        rows: what is drawn from.
        n: rows wanted; None or more than there are = all.
        purpose: what the sample is for; other purposes draw other rows.
        seed: seed of the draw.
        stratum: column whose values keep their proportions; None, or absent from the rows = plain sample.
        values_in: the values of a row, as in `strata_of`.
    """
    if n is None or n >= len(rows):
        return rows
    by_label = stratum is not None and stratum in rows[0].values
    strata = strata_of(texts_of(rows, stratum), values_in) if by_label and stratum else [""] * len(rows)
    return picked(rows, nested_positions(strata, n, purpose, seed))


def strata_of(texts: Sequence[str], values_in: ValuesIn) -> Sequence[str]:
    """What keeps its proportion where rows are drawn or cut: the value of each row, of several the rarest.

    Whole combinations would not do: of those with one row, a small sample holds none and a cut leaves all in train.

    Args:
        texts: of the output column.
        values_in: the values of a row; none are a stratum of their own.
    """
    if values_in is alone:
        return texts
    counts = Counter(value for text in texts for value in values_in(text))
    return [min(values_in(text), key=lambda value: (counts[value], value), default="") for text in texts]


def fold_splits(splits: Splits, fold: int, tested: Sequence[int]) -> Splits:
    """What one fold sees: the rows of the others to train with, and its own to be tested.

    Args:
        splits: all rows, with their folds.
        fold: its number, from 0.
        tested: `source_index` of the rows of all folds that are tested.
    """
    own = splits.folds[fold]
    if splits.train is None:
        raise ValueError("folds are cut from the train split")
    others = [place for place in indices_of(splits.train.rows) if place not in own]
    train = _with_places(splits.train, set(others))
    test = _with_places(splits.test, own.intersection(tested))
    return replace(splits, train=train, test=test, folds=())


def _with_places(split: Split, places: Collection[int]) -> Split:
    """The split with those of its rows that have these `source_index`."""
    positions = [position for position, index in enumerate(indices_of(split.rows)) if index in places]
    return replace(split, rows=picked(split.rows, positions))


def rows_by_label(
    rows: Sequence[Row], column: str, label_values: Sequence[str], values_in: ValuesIn = alone
) -> dict[str, Sequence[Row]]:
    """Rows of each label in the order of `label_values`; rows of other labels are left out."""
    positions: dict[str, list[int]] = {value: [] for value in label_values}
    for position, text in enumerate(texts_of(rows, column)):
        for value in values_in(text):
            if value in positions:
                positions[value].append(position)
    return {value: picked(rows, own) for value, own in positions.items()}


def counts_text(counts: Mapping[str, int]) -> str:
    """`per label: spam: 3, ham: 5`."""
    return "per label: " + ", ".join(f"{shown(label)}: {count}" for label, count in counts.items())


def _known_rows(
    train: Split | None, column: str, label_values: Sequence[str] | None, values_in: ValuesIn
) -> Sequence[Row]:
    if train is None:
        return ()
    if label_values is None or column not in train.columns:
        return train.rows
    known, texts = set(label_values), texts_of(train.rows, column)
    outside = {text for text in set(texts) if not known.issuperset(values_in(text))}
    if not outside:
        return train.rows
    return picked(train.rows, [position for position, text in enumerate(texts) if text not in outside])


def _values_outside(train: Split | None, column: str, label_values: Sequence[str], values_in: ValuesIn) -> list[str]:
    """Gold values of the train split that are not in the label set."""
    if train is None or column not in train.columns:
        return []
    there = {value for text in set(texts_of(train.rows, column)) for value in values_in(text)}
    return sorted(there.difference(label_values))


def _shots(
    dataset: DatasetConfig,
    train: Sequence[Row],
    groups: Mapping[str, Sequence[Row]],
    seed: int,
    others: Sequence[str],
) -> Sequence[Row]:
    """The shots.

    Args:
        dataset: the config.
        train: the rows they are drawn from.
        groups: these by label, under `""` where there are no labels.
        seed: `seeds.shots`.
        others: gold values that are outside the label set.
    """
    if dataset.shots == 0:
        return ()
    if dataset.shots == "all":
        if not train:
            raise DataError("shots: all, but the train split has no rows with a label of the label set")
        return train
    if dataset.shots_by == "total" and "" not in groups:
        _check_enough(dataset, groups, others, least=1)
        _check_total(dataset, groups)
        drawn = set(_in_proportion(groups, dataset.shots, seed))
    else:
        _check_enough(dataset, groups, others, least=dataset.shots)
        drawn = _of_each({label: indices_of(rows) for label, rows in groups.items()}, dataset.shots, seed)
    return picked(train, [position for position, index in enumerate(indices_of(train)) if index in drawn])


def _of_each(groups: Mapping[str, Sequence[int]], n: int, seed: int) -> set[int]:
    """Rows such that each label has `n`, or all it has; a row of several labels counts for each of them.

    They are taken round by round, in each round one of every label that does not have one more already, so that the
    few are among the many.
    """
    if sum(map(len, groups.values())) == len(set(chain.from_iterable(groups.values()))):
        return set(chain.from_iterable(_first(indices, n, seed, label) for label, indices in groups.items()))
    orders = {label: iter(_first(indices, len(indices), seed, label)) for label, indices in groups.items()}
    members = {label: set(indices) for label, indices in groups.items()}
    drawn: set[int] = set()
    for round_number in range(1, n + 1):
        for label, order in orders.items():
            if len(drawn & members[label]) < round_number:
                drawn.update(itertools.islice((index for index in order if index not in drawn), 1))
    return drawn


def _first(indices: Sequence[int], n: int, seed: int, label: str) -> list[int]:
    """The first `n` of a random order that is the label's own: other labels, and other `n`, do not move it."""
    return shuffled(indices, random_for("shots", seed, label))[:n]


def _in_proportion(groups: Mapping[str, Sequence[Row]], n: int, seed: int) -> list[int]:
    """The first `n` of one order of all rows, in which the labels keep their proportions.

    One row of each label stands first; then they come as in `sampling.nested_positions`, each label's rows in the
    order in which `shots_by: label` takes them.
    """
    ties = {label: place for place, label in enumerate(shuffled(sorted(groups), random_for("shots_by_total", seed)))}
    ranked: list[tuple[bool, float, int, int]] = []
    for label, rows in groups.items():
        for place, index in enumerate(_first(indices_of(rows), n, seed, label)):
            ranked.append((place > 0, (2 * place + 1) / (2 * len(rows)), ties[label], index))
    return list(dict.fromkeys(index for *_, index in sorted(ranked)))[:n]


def _check_total(dataset: DatasetConfig, groups: Mapping[str, Sequence[Row]]) -> None:
    """Whether shots that are counted over all labels go round, and are there; `groups` are the rows of each label."""
    asked, n_labels = int(dataset.shots), sum(map(bool, groups.values()))
    there = len(set(chain.from_iterable(map(indices_of, groups.values()))))
    if asked < n_labels:
        text = f"{asked} shots in total asked (shots_by: total), but each of {n_labels} labels gets at least one"
        raise DataError(f"{text}; write dataset.shots: {n_labels} or more")
    if there < asked and dataset.if_fewer == "error":
        text = f"{asked} shots in total asked, {there} available"
        raise DataError(f"{text}; ask for fewer, or take what there is with dataset.if_fewer: use_all")


def _check_enough(
    dataset: DatasetConfig, groups: Mapping[str, Sequence[Row]], others: Sequence[str], least: int
) -> None:
    """Whether each label has rows.

    Args:
        dataset: the config.
        groups: rows by label, under `""` where there are no labels.
        others: gold values that are outside the label set.
        least: rows that each label must have.
    """
    more = and_more(len(others), SHOWN_VALUES)
    instead = f"the train split has the labels {listed(others[:SHOWN_VALUES])}{more} instead; write dataset.labels so"
    if not any(groups.values()):
        reason = instead if others else "the train split has no row that can be used"
        raise DataError(f"{dataset.shots} shots asked, 0 available: {reason}")
    short = {label: len(rows) for label, rows in groups.items() if len(rows) < least}
    if not short or dataset.if_fewer == "use_all":
        return
    fewest = min(short.values())
    remedy = "ask for fewer" if fewest else instead if others else "leave labels without rows out of dataset.labels"
    detail = "" if "" in short else f" ({counts_text(short)})"
    raise DataError(
        f"{dataset.shots} shots asked, {fewest} available{detail}; "
        f"{remedy}, or take what there is with dataset.if_fewer: use_all"
    )
