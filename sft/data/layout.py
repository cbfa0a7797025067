"""Which source plays which role: train, dev and test by name or file, or one split that is cut by shares."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sft.config.dataset import DatasetConfig, SplitsConfig
from sft.data.folders import names_file, same_split
from sft.data.sources import SplitSource, file_split
from sft.exceptions import DataError, UserError
from sft.wording import listed, shown

SHARE_LINE = "splits: {test: 0.3}"
DEFAULT_TRAIN = SplitsConfig().train
DEFAULT_TEST = SplitsConfig().test


@dataclass(frozen=True)
class Layout:
    """Sources by role. Where `whole` is set, the roles are cut from it and the others are None."""

    train: SplitSource | None = None
    dev: SplitSource | None = None
    test: SplitSource | None = None
    whole: SplitSource | None = None

    def roles(self) -> dict[str, SplitSource]:
        """The sources that are read, by role; the one that is cut is called `all`."""
        by_role = {"train": self.train, "dev": self.dev, "test": self.test, "all": self.whole}
        return {role: source for role, source in by_role.items() if source is not None}


def find_layout(dataset: DatasetConfig, available: Mapping[str, SplitSource], folder: Path) -> Layout:
    """The source of each role.

    Args:
        dataset: its config.
        available: splits that `dataset.path` offers, by name.
        folder: folder of the config, to which files in `splits` are relative.

    Raises:
        UserError: a split or file is not there, or shares or folds where there is more than one split.
    """
    splits = dataset.splits
    if splits.cut_one_split:
        (_check_shares if splits.folds is None else _check_folds)(splits, available)
        return Layout(whole=_the_one_split(splits, available, folder))
    # Compared by value: a default that is written out, as in `job.json`, must mean what it means where it is left out.
    if splits.train != DEFAULT_TRAIN or dataset.shots != 0:
        train: SplitSource | None = _named(splits.train, available, folder)
    else:
        train = available.get(same_split(splits.train, available) or splits.train)
    dev = None if splits.dev is None else _named(str(splits.dev), available, folder)
    return Layout(train=train, dev=dev, test=_named(str(splits.test), available, folder))


def _named(name: str, available: Mapping[str, SplitSource], folder: Path) -> SplitSource:
    if name in available:
        return available[name]
    if names_file(name) or (folder / name).is_file():
        return file_split(folder / name)
    alike = same_split(name, available)
    if alike is not None:
        return available[alike]
    hint = ""
    if name == "test" and len(available) == 1:
        hint = f"; to cut a share of the rows off for testing, write {SHARE_LINE}"
    raise DataError(f'split "{name}" not found; splits are: {_listed(available)}{hint}')


def _check_shares(splits: SplitsConfig, available: Mapping[str, SplitSource]) -> None:
    test_share, dev_share = splits.test, splits.dev
    if not isinstance(test_share, float) or isinstance(dev_share, str):
        raise UserError(
            "dataset.splits: shares and names cannot be mixed, since shares cut the one split there is; "
            f"write both as shares ({{test: 0.3, dev: 0.15}}) or name both (splits are: {_listed(available)})"
        )
    if test_share + (dev_share or 0.0) >= 1:
        raise UserError(f"dataset.splits: test {test_share} and dev {dev_share} leave no share for train")


def _check_folds(splits: SplitsConfig, _available: Mapping[str, SplitSource]) -> None:
    """Refuse what would take rows out of the folds, whose every row is tested."""
    for role, written in (("dev", splits.dev), ("test", splits.test if splits.test != DEFAULT_TEST else None)):
        if written is not None:
            raise UserError(
                f"dataset.splits: {role} {shown(str(written))} cannot stand beside folds, which test every row once; "
                f"leave {role} out, or leave folds out"
            )


def _the_one_split(splits: SplitsConfig, available: Mapping[str, SplitSource], folder: Path) -> SplitSource:
    if names_file(splits.train):
        return _named(splits.train, available, folder)
    if len(available) > 1:
        what = f"test is a share ({splits.test})" if splits.folds is None else f"folds are {splits.folds}"
        remedy = "name a split or file instead"
        if splits.folds is not None:
            remedy = "name the file to cut as train, or leave folds out"
        raise DataError(
            f"dataset.splits: {what}, but there is more than one split to cut; {remedy}; "
            f"splits are: {_listed(available)}"
        )
    if splits.train != DEFAULT_TRAIN:
        return _named(splits.train, available, folder)
    return next(iter(available.values()))


def _listed(names: Iterable[str]) -> str:
    return listed(sorted(names))
