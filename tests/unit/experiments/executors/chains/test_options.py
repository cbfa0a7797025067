"""Options that all clusters take."""

from pathlib import Path

import pytest

from sft.exceptions import UserError
from sft.experiments.executors.chains.options import ClusterOptions, seen_from_nodes
from sft.experiments.executors.options import options_of
from sft.runs.files import ResultsFolder

RESULTS = ResultsFolder(Path("/here/experiments/results"))


def test_nodes_may_see_the_results_folder_elsewhere() -> None:
    file = RESULTS.stage("train", "k").path / "attempts" / "01" / "chain.json"
    assert seen_from_nodes(file, RESULTS, {}) == file
    there = seen_from_nodes(file, RESULTS, {"results_path": "/there"})
    assert there == Path("/there") / file.relative_to(RESULTS.path)


def test_that_place_is_a_whole_path() -> None:
    assert options_of(ClusterOptions, {"results_path": "/there"}).results_path == Path("/there")
    with pytest.raises(UserError, match="results_path=there: write the whole path"):
        options_of(ClusterOptions, {"results_path": "there"})
