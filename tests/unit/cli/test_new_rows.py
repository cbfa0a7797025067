"""What `sft predict ID --input FILE` refuses before anything is read."""

from pathlib import Path

import pytest

from sft.cli.new_rows import predict_new_rows
from sft.cli.run_commands import predict
from sft.exceptions import UserError
from sft.experiments.grids.loading import GridOptions


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (GridOptions(only="lora"), "--only"),
        (GridOptions(random_seed=3), "--random-seed"),
        (GridOptions(overrides=("seed=3",)), "seed"),
        (GridOptions(overrides=("dataset.read.sep=;", "dataset.read=1")), r"dataset\.read"),
    ],
)
def test_what_would_change_the_experiment_is_refused(options: GridOptions, named: str):
    with pytest.raises(UserError, match=f"^{named}: with --input the experiment is what it was"):
        predict_new_rows("best", Path("new.csv"), None, None, options)


def test_the_two_forms_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    empty = {"set_": None, "random_seed": None, "only": None, "max_experiments": None, "grid_timeout": 60.0}
    empty |= dict.fromkeys(("ext_str", "ext_code", "tla_str", "tla_code", "jpath"))
    with pytest.raises(UserError, match="add --input FILE"):
        predict(config="best", **empty)
    with pytest.raises(UserError, match="--output: goes with --input"):
        predict(config="grid.jsonnet", output=Path("out.jsonl"), **empty)
    with pytest.raises(UserError, match="no such results folder"):
        predict(config="best", new_rows=Path("new.csv"), **empty)
