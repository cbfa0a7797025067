"""Evaluated rows with their gold as `dataset.corrections` has it: for what scores, never for what a model sees."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sft.data.cells.conversations import Conversation
from sft.data.cells.label_lists import split_labels
from sft.data.corrections import Correction, read_corrections
from sft.data.rows import Row, Split, indices_of, rows_at
from sft.exceptions import DataError
from sft.labels.label_sets import members, set_text
from sft.tasks.inputs import Inputs, rows_sha256
from sft.wording import counted, listed, quoted, some, spreadsheet_text


@dataclass(frozen=True)
class ScoredInputs:
    """The inputs of an experiment as they are scored.

    Attributes:
        inputs: with the corrected gold in the evaluated rows.
        n_corrections: rows of the file; None where the config names none.
        changed: by split, the `source_index` of evaluated rows whose gold the file changes.
        uncorrected: by split, `rows_sha256` of the evaluated rows as the data has them; empty without a file.
    """

    inputs: Inputs
    n_corrections: int | None = None
    changed: Mapping[str, Sequence[int]] = field(default_factory=dict)
    uncorrected: Mapping[str, str] = field(default_factory=dict)

    def record(self, content: str | None) -> dict[str, Any]:
        """What `metrics.json` holds of it under `data`; nothing without a file.

        Args:
            content: of the file, as its fingerprint has it.
        """
        if self.n_corrections is None:
            return {}
        record = {
            "file": self.inputs.config.dataset.corrections,
            "content": content,
            "n_rows": self.n_corrections,
            "changed": {split: list(indices) for split, indices in self.changed.items()},
            "uncorrected_test_rows_sha256": self.uncorrected["test"],
            "uncorrected_dev_rows_sha256": self.uncorrected.get("dev"),
        }
        return {"corrections": record}

    @property
    def warnings(self) -> list[str]:
        """What a plan says of it; nothing without a file."""
        if self.n_corrections is None:
            return []
        evaluated, file = self.inputs.evaluated(), self.inputs.config.dataset.corrections
        parts = [
            f"{len(own)} of {counted(len(evaluated[split]), f'{split} row')}" for split, own in self.changed.items()
        ]
        return [f"dataset.corrections: {file} changes the gold of {' and '.join(parts)}; no model sees it"]


def scored(inputs: Inputs, folder: Path) -> ScoredInputs:
    """The inputs with corrected gold, where the config names corrections.

    Which rows are evaluated does not depend on it: samples are drawn and cut by the gold of the data. A correction of
    a row that the splits have and that `max_n_*` leaves out changes nothing.

    Args:
        inputs: as they are read.
        folder: what local paths are relative to.

    Raises:
        DataError: a correction is of a row that is not evaluated data, its gold is no label, or two contradict.
    """
    name = inputs.config.dataset.corrections
    if name is None:
        return ScoredInputs(inputs)
    path = folder / Path(name).expanduser()
    try:
        corrections = read_corrections(path)
        found = _by_split(corrections, inputs, path.name)
    except DataError as error:
        raise DataError(f"dataset.corrections: {error}") from error
    changed = {split: _changed(inputs, split, found.get(split, {})) for split in inputs.evaluated()}
    rows = {split: _with_gold(inputs, split, gold) for split, gold in changed.items()}
    selection = dataclasses.replace(inputs.selection, dev=rows.get("dev"), test=rows["test"])
    return ScoredInputs(
        dataclasses.replace(inputs, selection=selection),
        len(corrections),
        {split: list(gold) for split, gold in changed.items()},
        {split: rows_sha256(own) for split, own in inputs.evaluated().items()},
    )


def _by_split(corrections: Sequence[Correction], inputs: Inputs, file: str) -> dict[str, dict[int, str]]:
    """Split -> source index -> gold."""
    known = {split.name: set(indices_of(split.rows)) for split in _evaluated_splits(inputs)}
    found: dict[str, dict[int, str]] = {split: {} for split in known}
    absent, outside = [], []
    for one in corrections:
        splits = [name for name, own in known.items() if one.split in (None, name) and one.source_index in own]
        gold = _label(one.gold, inputs)
        if len(splits) > 1:
            raise DataError(
                f"{file}, row {one.row}: there is a row {one.source_index} in test and in dev; add a column `split` "
                "that says which is meant"
            )
        if not splits:
            absent.append(one)
        elif gold is None:
            outside.append(one)
        elif found[splits[0]].setdefault(one.source_index, gold) != gold:
            raise DataError(
                f"{file}, row {one.row}: row {one.source_index} has another gold further up; keep one of them"
            )
    if absent:
        rows = some([str(one.source_index) for one in absent])
        raise DataError(f"{file}: no evaluated row {rows} in {' or '.join(known)}; only these rows can be corrected")
    if outside and inputs.labels is not None:
        values = some(list(dict.fromkeys(quoted(one.gold) for one in outside)))
        raise DataError(f"{file}: gold {values} is not in the label set; labels are: {listed(inputs.labels.values)}")
    return found


def _evaluated_splits(inputs: Inputs) -> list[Split]:
    """The splits of evaluated rows that have gold, whole, also where only some of their rows are evaluated."""
    splits = [split for split in (inputs.splits.test, inputs.splits.dev) if split is not None]
    found = [split for split in splits if inputs.has_gold(split.name)]
    if not found:
        raise DataError(f"column {quoted(inputs.config.prompting.output_column)} is in no evaluated split")
    return found


def _label(gold: str, inputs: Inputs) -> str | None:
    """The gold value that a cell means, without the apostrophe of `sft errors --csv`; None where it is no label."""
    plain = gold[1:] if gold.startswith("'") and spreadsheet_text(gold[1:]) == gold else gold
    if inputs.labels is None:
        return plain
    if inputs.task.has_label_sets:
        own = split_labels(plain, inputs.config.dataset.labels_separator)
        return None if own is None or not set(own).issubset(inputs.labels.values) else set_text(own)
    return next((value for value in (gold, plain) if value in inputs.labels.values), None)


def _changed(inputs: Inputs, split: str, gold: Mapping[int, str]) -> dict[int, str]:
    """Source index -> gold, of the evaluated rows of a split that have another one."""
    rows = rows_at(inputs.evaluated()[split], gold)
    column = inputs.config.prompting.output_column
    return {index: gold[index] for index, row in rows.items() if row.text(column) != gold[index]}


def _with_gold(inputs: Inputs, split: str, gold: Mapping[int, str]) -> Sequence[Row]:
    """The evaluated rows of a split, those of `gold` with it in place of their own."""
    rows, column = inputs.evaluated()[split], inputs.config.prompting.output_column
    if not gold:
        return rows
    are_sets = inputs.task.has_label_sets
    return tuple(
        Row(row.source_index, {**row.values, column: _cell(row.values[column], gold[row.source_index], are_sets)})
        if row.source_index in gold
        else row
        for row in rows
    )


def _cell(cell: Any, gold: str, is_set: bool) -> Any:
    """The corrected cell: of a conversation its last turn has the gold, the turns before it stay; sets are lists."""
    if isinstance(cell, Conversation):
        return Conversation([*cell.prompt, {**cell[-1], "content": gold}])
    return list(members(gold)) if is_set else gold
