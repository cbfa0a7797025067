"""What a reader must know before comparing the experiments of a board, once each with the experiments it holds for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sft.evaluation.selection import DEV, LABEL_MASS
from sft.leaderboard.collect import ExperimentRecord, finite_number
from sft.leaderboard.costs import devices_of
from sft.wording import some

LOW_LABEL_MASS = 0.1
"""Below, the model would say something else than a label nine times in ten: scores compare what it hardly says."""

MOST_NAMES = 3

FITTED = ("calibration", "threshold")
"""Parts of `details` that are fitted on rows, and say of themselves what is wrong with these."""


@dataclass(frozen=True)
class WarningRow:
    """One warning: the experiments for which `holds` are named in its `text`, none of them is no warning."""

    holds: Callable[[ExperimentRecord], bool]
    text: str


def board_warnings(records: Sequence[ExperimentRecord]) -> Iterator[str]:
    """The warnings of a board, in the order in which they matter.

    Args:
        records: its experiments.
    """
    if all(record.part("data").get("dev_rows_sha256") is None for record in records):
        yield "ranked on the test rows, because there is no dev split: the best row is chosen on what it reports"
    dtypes = _named(records, lambda record: str(record.part("environment").get("dtype")))
    if len(dtypes) > 1:
        yield f"rows differ in the data type of the model ({_each(dtypes)})"
    devices = _named(records, lambda record: "; ".join(devices_of(record)))
    devices.pop("", None)
    if len(devices) > 1:
        yield f"rows were timed on different devices, so that their seconds cannot be compared ({_each(devices)})"
    yield from _unequal_tokens(records)
    yield from _corrected_gold(records)
    yield from _labels_without_rows(records)
    yield from _dropped(records)
    for row in WARNINGS:
        names = [record.name for record in records if row.holds(record)]
        if names:
            yield row.text.format(names=some(names, MOST_NAMES))
    recorded: dict[str, dict[str, None]] = {}
    for record in records:
        for text in _recorded(record):
            recorded.setdefault(text, {})[record.name] = None
    yield from (f"{text} in {some(list(names), MOST_NAMES)}" for text, names in recorded.items())


def other_gold(boards: Mapping[str, Sequence[ExperimentRecord]]) -> dict[str, str]:
    """Board -> what to know of it where the same rows stand on another board with other gold, because of corrections.

    Args:
        boards: the experiments by board.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for board, records in boards.items():
        alike.setdefault(_rows_as_read(records[0]), []).append(board)
    return {
        board: "the same rows stand on another board with other gold, as not all experiments have the same "
        "`dataset.corrections`: their numbers are not comparable; write it in all of them and run the grid again, "
        "which loads no model"
        for same in alike.values()
        if len(same) > 1
        for board in same
    }


def _rows_as_read(record: ExperimentRecord) -> tuple[str, ...]:
    """What names a board but for its gold: task, labels, and the evaluated rows as the data has them."""
    data, details = record.part("data"), record.part("details")
    before = data.get("corrections") or {}
    hashes = [before.get(f"uncorrected_{name}", data.get(name)) for name in ("test_rows_sha256", "dev_rows_sha256")]
    settings = [record.setting("dataset.task_type"), record.setting("prompting.output_column")]
    return tuple(map(str, [*settings, sorted(details.get("labels") or ()), *hashes]))


def _corrected_gold(records: Sequence[ExperimentRecord]) -> Iterator[str]:
    """How much of the gold is not that of the data; the same in all experiments of a board."""
    found = records[0].part("data").get("corrections")
    if isinstance(found, Mapping):
        changed = [f"{len(rows)} {split}" for split, rows in (found.get("changed") or {}).items() if rows]
        told = f"the gold of {' and '.join(changed)} rows is" if changed else "no gold is"
        yield f"{told} corrected by {found.get('file')}"


def _named(records: Sequence[ExperimentRecord], value: Callable[[ExperimentRecord], str]) -> dict[str, list[str]]:
    """The names of the experiments by a text of their environment, which most of them share."""
    texts: dict[int, str] = {}
    found: dict[str, list[str]] = {}
    for record in records:
        environment = id(record.part("environment"))
        if environment not in texts:
            texts[environment] = value(record)
        found.setdefault(texts[environment], []).append(record.name)
    return found


def _each(named: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value}: {some(names, MOST_NAMES)}" for value, names in named.items())


def _unequal_tokens(records: Sequence[ExperimentRecord]) -> Iterator[str]:
    """That a mean over tokens is one over other tokens, where tokenizers cut the same texts otherwise."""
    found: dict[str, list[str]] = {}
    for record in records:
        tokens = record.part("data").get("prompt_tokens")
        if record.measures_texts and isinstance(tokens, Mapping):
            found.setdefault(f"{finite_number(tokens.get('mean')) or 0:.5g} tokens", []).append(record.name)
    if len(found) > 1:
        yield (
            f"perplexity is a mean over tokens, and texts have other numbers of them on average ({_each(found)}): "
            "only models of one tokenizer and context can be compared"
        )


def _labels_without_rows(records: Sequence[ExperimentRecord]) -> Iterator[str]:
    """The labels that no evaluated row of a split has, and what that does to means over labels."""
    details = next((record.part("details") for record in records if record.part("details").get("per_label")), {})
    for split, part in (("test", details), ("dev", details.get("dev"))):
        per_label = part.get("per_label") if isinstance(part, Mapping) else None
        if not isinstance(per_label, Mapping):
            continue
        absent = [label for label, numbers in per_label.items() if numbers.get("support") == 0]
        if absent:
            most = 1 - len(absent) / len(per_label)
            yield (
                f"no {split} row has the label {some(absent, MOST_NAMES)}, which counts as 0 in means over labels: "
                f"macro_f1 on {split} rows is at most {most:.4g}, even where every prediction is right"
            )


def _dropped(records: Sequence[ExperimentRecord]) -> Iterator[str]:
    """How many rows were left out for an empty cell, once for each way in which experiments differ in it."""
    named: dict[str, list[str]] = {}
    for record in records:
        counts = record.part("data").get("n_dropped")
        if isinstance(counts, Mapping) and counts:
            text = " + ".join(f"{count} {split}" for split, count in counts.items())
            named.setdefault(text, []).append(record.name)
    for text, names in named.items():
        yield f"{text} rows with an empty cell are left out (dataset.on_missing: drop) in {some(names, MOST_NAMES)}"


def _has_low_label_mass(record: ExperimentRecord) -> bool:
    """Whether the label mass of the test or of the dev rows is low; where nothing is known of it, it is not."""
    results = record.part("results")
    found = (finite_number(results.get(key)) for key in (LABEL_MASS, f"{DEV}{LABEL_MASS}"))
    return any(mass < LOW_LABEL_MASS for mass in found if mass is not None)


def _recorded(record: ExperimentRecord) -> Iterator[str]:
    """Warnings that an experiment's own files hold: of its libraries, its metrics, calibration and threshold."""
    for text in record.part("environment").get("library_warnings") or ():
        yield f'"{text}" while the model was loaded'
    details = record.part("details")
    splits = [part for part in (details, details.get("dev")) if isinstance(part, Mapping)]
    for part in (details, *(split.get(name) for name in FITTED for split in splits)):
        if isinstance(part, Mapping) and isinstance(part.get("warnings"), list):
            yield from map(str, part["warnings"])


WARNINGS = (
    WarningRow(
        lambda record: bool(record.part("data").get("n_leaked")),
        "shots or in-context examples have the text of an evaluated row in {names}",
    ),
    WarningRow(
        lambda record: record.measures_texts and bool(record.part("data").get("n_truncated")),
        "of texts that are too long only the beginning is measured in {names}",
    ),
    WarningRow(
        _has_low_label_mass,
        f"the model seldom says any label (label_mass below {LOW_LABEL_MASS}) in {{names}}: look at the prompt and "
        "the label words",
    ),
)
