"""What is wrong with `calibration_args` is told by name, with what there is."""

from pathlib import Path
from typing import Any

import pytest

from sft.calibration import calibration_registry
from sft.calibration.selection import calibrator_of, check_calibration, needed_row_sets
from sft.exceptions import UserError

OWN = """
import no_such_package_at_all
row_sets = ["train:8", "content_free:empty:1"]
def shift(scores, row_sets, options):
    return scores
"""


@pytest.mark.parametrize("name", calibration_registry)
def test_defaults_are_sound(name: str, tmp_path: Path) -> None:
    assert check_calibration(name, calibrator_of(name, tmp_path).options().model_dump(), tmp_path) == []


@pytest.mark.parametrize(
    ("name", "options", "path", "parts"),
    [
        (
            "contextal",
            {},
            "calibration_fn",
            ("did you mean contextual?", "adjustable_batch, batch", "file.py:function"),
        ),
        ("None", {}, "calibration_fn", ("did you mean none?",)),
        ("contextual", {"per_rows": True}, "per_rows", ("contextual has no option", "did you mean per_row?")),
        (
            "batch",
            {"per_row": True},
            "per_row",
            ("batch has no option", "one of contextual, domain", "options: space"),
        ),
        ("none", {"space": "logit"}, "space", ("one of batch, adjustable_batch", "it has no options")),
        ("batch", {"space": "logits"}, "space", ("'logits'", "'logit', 'log_ratio' or 'prob'")),
        ("domain", {"num_estimations": 0}, "num_estimations", ("0: ", "greater than or equal to 1")),
        ("domain", {"num_estimations": "20"}, "num_estimations", ("'20'", "integer")),
        ("adjustable_batch", {"gamma_range": [1, 1]}, "gamma_range", ("[1, 1]", "first must be below the second")),
        ("adjustable_batch", {"gamma_range": [1]}, "gamma_range", ("at least 2",)),
        ("temperature", {"num_train_samples": None}, "num_train_samples", ("integer",)),
        ("mine.py:shift", {}, "calibration_fn", ("no file", "mine.py")),
    ],
)
def test_a_mistake_is_one_finding(
    name: str, options: dict[str, Any], path: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    ((found, message),) = check_calibration(name, options, tmp_path)
    assert found == path
    assert [part for part in parts if part not in message] == []


def test_every_mistake_is_told(tmp_path: Path) -> None:
    found = check_calibration("domain", {"num_estimations": -1, "gamma_steps": 3, "per_row": 1}, tmp_path)
    assert {path for path, _ in found} == {"num_estimations", "gamma_steps", "per_row"}


def test_own_code_is_read_and_not_imported(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    assert check_calibration("mine.py:shift", {"anything": [1]}, tmp_path) == []
    assert needed_row_sets("mine.py:shift", {}, tmp_path) == ("train:8", "content_free:empty:1")
    with pytest.raises(ModuleNotFoundError):
        calibrator_of("mine.py:shift", tmp_path)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("def shift(s, r, o): return s", "write `row_sets = [...]` at module level"),
        ("row_sets = list(NAMES)\ndef shift(s, r, o): return s", "written out, not list(NAMES)"),
        ("row_sets = 'train:8'\ndef shift(s, r, o): return s", "a list of text"),
        ("row_sets = []\ndef shfit(s, r, o): return s", "did you mean shfit?"),
        ("row_sets = [", "is not Python"),
    ],
)
def test_own_code_that_cannot_be_used(source: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(source)
    ((path, message),) = check_calibration("mine.py:shift", {}, tmp_path)
    assert path == "calibration_fn"
    assert part in message


def test_an_unknown_calibrator_is_refused_where_it_would_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean batch"):
        calibrator_of("batsch", tmp_path)
