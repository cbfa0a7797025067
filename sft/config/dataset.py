"""The `dataset` section: where rows come from, which of them are used, and what their labels are."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sft.config.section import Section

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
GoldValue = str | bool | int | float


class ReadOptions(Section):
    """How data files are read."""

    encoding: str = "utf-8"
    """Character encoding of csv, tsv, json and jsonl files; default UTF-8."""

    sep: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Column separator of csv and tsv files, one character; default: a tab in tsv files, else found in the header."""

    quote: Annotated[str, Field(max_length=1)] | None = None
    """Character around cells of csv and tsv files, doubled within them; empty = none; default `"`, none with tabs."""

    field: Annotated[str, Field(min_length=1)] | None = None
    """Where rows lie in a JSON object, keys joined by dots (`response.items`); default: its one list of objects."""

    sheet: Annotated[str, Field(min_length=1)] | None = None
    """Sheet of a spreadsheet that is read; default: the one with cells."""


class SplitsConfig(Section):
    """Which rows train, which choose (dev), which are reported (test)."""

    train: str = "train"
    """Name of a split, or a file; default `train`. With shares or folds: the one split that is cut."""

    dev: str | Share | None = None
    """Name of a split, a file, or a share (0 to 1) of the one split; default none. Boards then rank on dev."""

    test: str | Share = "test"
    """Name of a split, a file, or a share (0 to 1) of the one split; default `test`."""

    folds: Annotated[int, Field(ge=2)] | None = None
    """Parts into which the one split is cut, in place of test and dev; each is tested with the others as train split;
    default none."""

    stratify: bool = True
    """Shares and folds keep the label proportions; default true."""

    group_by: str | None = None
    """Column whose equal values stay on one side of a cut by shares or folds; default none."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the cut and of the samples of `max_n_*`; default 0. `seed` and `seeds` never move it."""

    @property
    def are_shares(self) -> bool:
        """True if dev or test is a share of the one split there is, which is then cut."""
        return isinstance(self.test, float) or isinstance(self.dev, float)

    @property
    def cut_one_split(self) -> bool:
        """True if shares or folds cut the one split there is, so that which rows are used depends on the cut."""
        return self.are_shares or self.folds is not None


class DatasetConfig(Section):
    """The data of one experiment."""

    path: Annotated[str, Field(min_length=1)]
    """Hub id, saved dataset folder, or folder or file of csv, tsv, json, jsonl, parquet, xlsx, beside the grid."""

    args: dict[str, Any] = {}
    """Passed to `datasets.load_dataset` or `load_from_disk` (`name`, `revision`, `data_files`, ...); default {}."""

    read: ReadOptions = ReadOptions()
    """How local files are read: encoding, separator, sheet, ..."""

    task_type: str
    """What is asked of a row: `classification`, `multilabel`, `generation`, `summarization`, `translation` or
    `text`."""

    shots: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Training rows: N per label for classification, N in total for generation; 0 = zero-shot; `all` = whole split;
    must be written where something is trained, else default 0.
    """

    shots_by: Literal["label", "total"] = "label"
    """Classification: N rows of each `label`, or N in `total` in the train split's proportions, at least one of each
    label; default label.
    """

    if_fewer: Literal["error", "use_all"] = "error"
    """What to do when there are fewer rows than `shots` (or than the in-context examples need); default `error`."""

    max_n_train: Count | None = None
    """Rows of the train split that are kept before shots are drawn; default all."""

    max_n_test: Count | None = None
    """Rows of the test split that are evaluated, a fixed sample under `splits.seed`; default all."""

    max_n_dev: Count | None = None
    """Rows of the dev split that are evaluated; default as `max_n_test`."""

    labels: list[GoldValue] | dict[str, str] | None = None
    """Label set: gold values as a list, or as a map to the words the model reads; default: that of the train split."""

    labels_separator: Annotated[str, Field(min_length=1)] | None = None
    """Multilabel: text between the labels of a cell, such as `;`, in which `[]` is a row without labels; default none:
    cells are lists.
    """

    negatives: Annotated[int, Field(ge=0)] = 3
    """Multilabel, prompted: labels that a training row lacks and is asked about, at most, drawn under `seeds.shots`,
    beside all that it has; default 3.
    """

    splits: SplitsConfig = SplitsConfig()
    """Names, files or shares of the train, dev and test rows."""

    on_missing: Literal["empty", "drop", "error"] = "empty"
    """Empty cells of used columns: `empty` reads an empty input as empty text, and refuses a row without gold or with
    every input empty; `drop` leaves such rows out; `error` refuses them; default `empty`."""

    corrections: Annotated[str, Field(min_length=1)] | None = None
    """File (csv, tsv, jsonl) of `source_index` and `gold` that corrects test and dev rows when they are scored."""

    keep_columns: list[str] | None = None
    """Columns copied into the predictions; default all."""

    @property
    def dev_cap(self) -> int | None:
        """The most rows of the dev split that are evaluated, with the default in force; None is all of them."""
        return dev_cap(self.max_n_dev, self.max_n_test)


def dev_cap(max_n_dev: int | None, max_n_test: int | None) -> int | None:
    """`max_n_dev` with its default in force, which is `max_n_test`."""
    return max_n_test if max_n_dev is None else max_n_dev
