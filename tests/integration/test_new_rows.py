"""New rows are answered as a finished experiment answered its own test rows, and a stopped run goes on."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.data.cells.conversations import OpenConversation
from sft.data.rows import Row
from sft.deployment.new_rows.answering import answered, load_answerer
from sft.deployment.new_rows.finished import find_finished
from sft.exceptions import DataError, UserError
from sft.runs.files import ResultsFolder

pytestmark = pytest.mark.slow

OWN = """
row_sets = ["train:8"]

def shrunk(scores, row_sets, options):
    return scores - row_sets["train:8"].scores.mean(axis=0)

def centred(scores, row_sets, options):
    return scores - scores.mean(axis=0)

shrunk.uses_evaluated_rows = False
"""
POOL = {"dataset": {"shots": 4}, "adapter": {"method": "none"}}


def calibrated(name: str, **inference: Any) -> dict[str, Any]:
    return {"inference": {"calibration_args": {"calibration_fn": name}, **inference}}


def grid(place: Any) -> dict[str, Any]:
    own = {"calibration_args": {"calibration_fn": "domain", "num_estimations": 2, "per_row": True}}
    pmi = {"label_scoring": {"normalization": "pmi"}}
    return {
        "zero": place.classification(),
        "fixed": place.classification(**POOL | calibrated("contextual", icl_examples=2)),
        "random": place.classification(**POOL | {"inference": {"icl_examples": 1, "random_icl": True, **own}}),
        "nearest": place.classification(
            **POOL | calibrated("adjustable_batch", icl_examples=1, icl_selection="nearest")
        ),
        "batch-pmi": place.classification(**calibrated("batch", **pmi)),
        "trained": place.trained(**calibrated("temperature", icl_examples=1)),
        "own": place.classification(**POOL | calibrated("own.py:shrunk")),
        "looks-at-all": place.classification(**POOL | calibrated("own.py:centred")),
        "texts": place.generation(),
        "chat": place.generation(
            dataset={"path": "chats"}, prompting={"input_columns": ["messages"], "output_column": "messages"}
        ),
    }


def write_chats(place: Any) -> None:
    """The questions as conversations."""
    for split in ("train", "test"):
        rows = map(json.loads, (place.tiny / "questions" / f"{split}.jsonl").read_text("utf-8").splitlines())
        turns = [
            [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]
            for row in rows
        ]
        (place.folder / "chats").mkdir(exist_ok=True)
        lines = [json.dumps({"messages": turn}) for turn in turns]
        (place.folder / "chats" / f"{split}.jsonl").write_text("\n".join(lines), "utf-8")


@pytest.fixture(scope="module")
def finished(make_place: Callable[[str], Any]) -> Any:
    place = make_place("finished")
    (place.folder / "own.py").write_text(OWN, "utf-8")
    write_chats(place)
    (place.folder / "grid.json").write_text(json.dumps({"configs": grid(place)}), "utf-8")
    ended = place.sft("run-experiments", "grid.json")
    assert ended.returncode == 0, ended.stderr
    return place


def rows_of(place: Any, name: str) -> list[dict[str, Any]]:
    """The cells of the rows of the test split, without gold."""
    if name == "chat":
        lines = (place.folder / "chats" / "test.jsonl").read_text("utf-8").splitlines()
        asked = [OpenConversation(json.loads(line)["messages"][:1]) for line in lines]
        return [{"messages": conversation} for conversation in asked]
    task = "questions" if name == "texts" else "tickets"
    lines = (place.tiny / task / "test.jsonl").read_text("utf-8").splitlines()
    gold = {"answer", "label"}
    return [{key: value for key, value in json.loads(line).items() if key not in gold} for line in lines]


def answers_of(place: Any, name: str, scratch: Path, numbers: Sequence[int], size: int = 25) -> list[dict[str, Any]]:
    results = ResultsFolder(place.folder / "results")
    answerer = load_answerer(find_finished(results, name, lambda: None), scratch, 0)
    rows = rows_of(place, name)
    asked = (Row(number, rows[number]) for number in numbers)
    return [line for lines in answered(answerer, asked, 0, size, lambda _: None) for line in lines]


@pytest.mark.parametrize(
    "name", ["zero", "fixed", "random", "nearest", "batch-pmi", "trained", "own", "texts", "chat"]
)
def test_its_own_test_rows_get_the_answers_that_they_had(finished: Any, tmp_path: Path, name: str) -> None:
    before = finished.lines(name=f"{name}-")
    assert len(before) in (6, 12)
    found = answers_of(finished, name, tmp_path, [line["source_index"] for line in before])
    gold = ("label", "answer", "messages")  # of a conversation the answer stands under its column's name
    assert not any(key in line for line in found for key in gold)
    before = [{key: value for key, value in line.items() if key not in gold} for line in before]
    assert found == before


def test_among_other_rows_they_differ_by_rounding_alone(finished: Any, tmp_path: Path) -> None:
    found = answers_of(finished, "random", tmp_path, range(60))
    assert [line["index"] for line in found] == list(range(60))
    for line in finished.lines(name="random-"):
        own = found[line["source_index"]]
        assert [own[key] for key in ("predictions", "icl_indices")] == [line["predictions"], line["icl_indices"]]
        for key in ("probabilities", "label_logprobs"):
            numbers = [[record[key][label] for label in line[key]] for record in (own, line)]
            np.testing.assert_allclose(*numbers, atol=1e-4)


def test_a_calibrator_of_all_rows_that_says_nothing_of_others_is_refused(finished: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="looks at all evaluated rows at once"):
        answers_of(finished, "looks-at-all", tmp_path, [0])


def test_damaged_results_are_refused(finished: Any, tmp_path: Path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(finished.folder / "results", copy)
    results = ResultsFolder(copy)
    experiment = find_finished(results, "zero", lambda: None)
    scores = next(iter(experiment.infers.values())).scores
    content = bytearray(scores.read_bytes())
    content[len(content) // 2] ^= 1
    scores.write_bytes(content)
    with pytest.raises(DataError, match=r"scores\.npz has another content than was written"):
        find_finished(results, "zero", lambda: None)


def test_a_command_answers_goes_on_and_refuses_what_is_other(finished: Any) -> None:
    lines = [f'{row["ticket"]};"{row["text"]}"' for row in rows_of(finished, "fixed")]
    (finished.folder / "new.csv").write_text("\n".join(["ticket;text", *lines]), "utf-8")
    ended = finished.sft("predict", "fixed", "--input", "new.csv")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "new.predictions.jsonl\n"
    output = finished.folder / "new.predictions.jsonl"
    whole = output.read_text("utf-8")
    assert [json.loads(line)["ticket"] for line in whole.splitlines()] == [str(number) for number in range(60)]
    kept = "".join(whole.splitlines(keepends=True)[:40])
    output.write_text(kept + '{"ticket": "4', "utf-8")
    ended = finished.sft("predict", "fixed", "--input", "new.csv")
    assert "answered 60 rows, 32 of them before" in ended.stderr
    assert output.read_text("utf-8") == whole
    other = finished.sft("predict", "zero", "--input", "new.csv")
    assert other.returncode == 2
    assert "new.predictions.jsonl has the answers of fixed [" in other.stderr
    assert other.stderr.count("\n") == 1
    (finished.folder / "new.csv").write_text("\n".join(["ticket;text", *lines[:50]]), "utf-8")
    changed = finished.sft("predict", "fixed", "--input", "new.csv")
    assert "has the answers to new.csv, which changed since" in changed.stderr
    assert output.read_text("utf-8") == whole
