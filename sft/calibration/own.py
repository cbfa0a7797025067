"""A user's own calibrator: a function `f(scores, row_sets, options)` in a file or module.

    row_sets = ["train:32"]    # at module level, written out: it is read before anything is imported

    def shrunk(scores, row_sets, options):
        return scores - options.get("strength", 0.5) * row_sets["train:32"].scores.mean(axis=0)

    shrunk.uses_evaluated_rows = False    # default true: the function sees the scores of all evaluated rows at once

`scores` are the (rows, labels) scores of one split in nats, `row_sets` maps each name to its `RowSetScores`, `options`
is what stands beside `calibration_fn`. It returns scores of the same shape, whose softmax are the probabilities, or a
`Calibrated`.
"""

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores, Scores
from sft.exceptions import UserError
from sft.registry import load, own_code_tree

ROW_SETS = "row_sets"


class OwnOptions(Options):
    """Any: they are passed on as they are."""

    model_config = ConfigDict(extra="allow", frozen=True)


def own_row_sets(name: str, folder: Path) -> tuple[str, ...]:
    """The row sets that own code names, read from its source and never by importing it.

    Args:
        name: `file.py:function` or `package.module:function`.
        folder: the folder of the grid or config file.

    Raises:
        UserError: there is no such function, or no literal list of text `row_sets` at module level.
    """
    tree = own_code_tree(name, folder)
    for node in tree.body:
        value = _assigned(node)
        if value is None:
            continue
        try:
            found = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError):
            found = None
        if not isinstance(found, list | tuple) or not all(isinstance(item, str) for item in found):
            raise UserError(f"{name!r}: row_sets must be a list of text, written out, not {ast.unparse(value)[:60]}")
        return tuple(dict.fromkeys(found))
    raise UserError(
        f"{name!r}: its file names no row sets; write `row_sets = [...]` at module level ([] where the evaluated rows "
        "are enough)"
    )


def own_calibrator(name: str, folder: Path) -> Calibrator[OwnOptions]:
    """The calibrator behind own code, imported."""
    function = load({}, name, "calibrator", folder)

    def calibrate(scores: Scores, found: Mapping[str, RowSetScores], options: OwnOptions) -> Calibrated:
        return _checked(name, function(scores.copy(), found, options.model_dump()), scores)

    named = own_row_sets(name, folder)
    return Calibrator(
        options=OwnOptions,
        row_sets=lambda options: named,
        calibrate=calibrate,
        summary="own code",
        uses_evaluated_rows=bool(getattr(function, "uses_evaluated_rows", True)),
    )


def _assigned(node: ast.stmt) -> ast.expr | None:
    """What a statement assigns to `row_sets`."""
    if isinstance(node, ast.Assign):
        named = any(isinstance(target, ast.Name) and target.id == ROW_SETS for target in node.targets)
        return node.value if named else None
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == ROW_SETS:
        return node.value
    return None


def _checked(name: str, returned: Any, scores: Scores) -> Calibrated:
    """What own code returned, as scores of the right shape and details that JSON can hold."""
    calibrated = returned if isinstance(returned, Calibrated) else Calibrated(returned)
    try:
        found = np.asarray(calibrated.scores, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"calibrator {name!r} returned no numbers, but {type(calibrated.scores).__name__}") from None
    if found.shape != scores.shape or not np.isfinite(found).all():
        raise UserError(
            f"calibrator {name!r} must return finite scores of the shape (rows, labels) = {scores.shape}; "
            f"it returned {'non-finite ones' if found.shape == scores.shape else found.shape}"
        )
    try:
        return Calibrated(found, json.loads(json.dumps(calibrated.details, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise UserError(f"calibrator {name!r}: its details must be JSON values: {error}") from None
