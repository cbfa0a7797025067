"""In-context examples: rounds of rows that stand, answered, before the row a model is asked about.

In a classification a round has one row per label, in an order of its own; else a round is one row. Rounds are
drawn one after the other, so the k examples are the first of the k + 1. Of the nearest rows, the most similar round
stands last, next to the question, and the k examples are the last of the k + 1: what is near the question weighs most
with a model, and what gives way where a prompt is too long stands at the front.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice

from sft.data.rows import Row, indices_of
from sft.data.sampling import lazy_order, random_for, shuffled
from sft.data.selection import counts_text, rows_by_label
from sft.exceptions import UserError

Round = tuple[Row, ...]


class ExampleSource:
    """Takes the examples of one experiment from its pool; the pool is the shots, or the train split."""

    def __init__(
        self,
        pool: Sequence[Row],
        output_column: str,
        label_values: Sequence[str] | None,
        k: int,
        seed: int,
        if_fewer: str,
    ) -> None:
        """Take the pool.

        Args:
            pool: rows that may be examples.
            output_column: column with the gold.
            label_values: gold values of the label set as text; None = not a classification.
            k: rounds wanted (examples per label, or in total).
            seed: `seeds.icl`.
            if_fewer: `error`, or `use_all` to go on with the rounds there are.

        Raises:
            UserError: a label has fewer than `k` rows; names the largest `k` that works.
        """
        self._pool = pool
        self._by_label = label_values is not None
        self._groups = {"": pool} if label_values is None else rows_by_label(pool, output_column, label_values)
        self._k = k
        self._seed = seed
        self._strict = if_fewer == "error"
        self._check({label: len(rows) for label, rows in self._groups.items()}, "")

    @cached_property
    def _label_of(self) -> Mapping[int, str]:
        """`source_index` -> label, of every row of the pool that has one."""
        return {index: label for label, rows in self._groups.items() for index in indices_of(rows)}

    def check_leave_one_out(self) -> None:
        """Check that `k` rounds remain for a row of the pool itself (training), which is never its own example.

        Raises:
            UserError: names the largest `k` that works.
        """
        counts = {label: max(0, len(rows) - 1) for label, rows in self._groups.items()}
        self._check(counts, ", since a training row is never its own example")

    def fixed(self) -> tuple[Round, ...]:
        """The one set of rounds for all rows."""
        return self._rounds(random_for("icl", self._seed, "fixed"), None)

    def drawn(self, row_key: str, exclude: int | None) -> tuple[Round, ...]:
        """Rounds for one row.

        Args:
            row_key: names the row, such as `test:17`; the same key draws the same rounds.
            exclude: `source_index` of a row of the pool that must not appear: the row itself.

        Raises:
            UserError: without that row too few are left.
        """
        self._check_without(exclude)
        return self._rounds(random_for("icl", self._seed, "row", row_key), exclude)

    def nearest(self, row_key: str, ranking: Iterable[int], exclude: int | None) -> tuple[Round, ...]:
        """The rounds that are most like one row, the most similar last.

        The j-th round from the end has of each label the row that is j-th in its likeness. Where a label has run out,
        which `use_all` allows, it is absent from the rounds before.

        Args:
            row_key: names the row; it decides on the order of labels within the rounds, drawn under the seed.
            ranking: positions in the pool, most similar first; read only as far as it takes.
            exclude: as in `drawn`.

        Raises:
            UserError: without that row too few are left.
        """
        self._check_without(exclude)
        rng = random_for("icl", self._seed, "row", row_key)
        found = self._first_of_each_label(ranking, exclude)
        ranks = range(max(map(len, found.values()), default=0))
        by_rank = [[rows[rank] for rows in found.values() if rank < len(rows)] for rank in ranks]
        # Drawn from the most similar round on, so that one more example leaves the order in the others as it was.
        return tuple(reversed([tuple(shuffled(rows, rng)) for rows in by_rank]))

    def _first_of_each_label(self, ranking: Iterable[int], exclude: int | None) -> dict[str, list[Row]]:
        """The first `k` rows of each label in the order of a ranking of the pool."""
        found: dict[str, list[Row]] = {label: [] for label in self._groups}
        missing = self._k * len(found)
        for position in ranking:
            if not missing:
                break
            row = self._pool[position]
            label = self._label_of.get(row.source_index)
            if label is not None and row.source_index != exclude and len(found[label]) < self._k:
                found[label].append(row)
                missing -= 1
        return found

    def _check_without(self, exclude: int | None) -> None:
        if exclude is not None and exclude in self._label_of:
            label = self._label_of[exclude]
            self._check({label: len(self._groups[label]) - 1}, f" for row {exclude}, which is never its own example")

    def _rounds(self, rng: random.Random, exclude: int | None) -> tuple[Round, ...]:
        return tuple(islice(_all_rounds(rng, self._groups, exclude), self._k))

    def _check(self, counts: Mapping[str, int], reason: str) -> None:
        largest = min(counts.values(), default=0)
        if not self._strict or self._k <= largest:
            return
        short = {label: count for label, count in counts.items() if count < self._k}
        detail = f" ({counts_text(short)})" if self._by_label else ""
        raise UserError(
            f"icl_examples: {self._k} asked, the largest that works is {largest}{detail}{reason}; "
            "ask for fewer, take more shots, or write dataset.if_fewer: use_all"
        )


def _all_rounds(rng: random.Random, groups: Mapping[str, Sequence[Row]], exclude: int | None) -> Iterator[Round]:
    """Rounds until every label has run out; a label that runs out earlier is absent from the later ones.

    Everything is drawn round by round from one generator, which is what makes fewer rounds a beginning of more.
    """
    orders = [_random_order(rows, rng, exclude) for rows in groups.values()]
    while True:
        drawn = [row for order in orders for row in islice(order, 1)]
        if not drawn:
            return
        yield tuple(shuffled(drawn, rng))


def _random_order(rows: Sequence[Row], rng: random.Random, exclude: int | None) -> Iterator[Row]:
    """Lazily, so that a row is drawn only when its round is."""
    return (rows[position] for position in lazy_order(len(rows), rng) if rows[position].source_index != exclude)
