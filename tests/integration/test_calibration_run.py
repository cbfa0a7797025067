"""Calibrators over one model: row sets are scored once, and what is scored is never scored again."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow

LEADERBOARD = ("results", "leaderboard.json")
DRAWN = {"adapter": {"method": "none"}, "inference": {"icl_examples": 1, "random_icl": True}}


def calibrated(place: Any, name: str, **options: Any) -> Any:
    return place.classification(inference={"calibration_args": {"calibration_fn": name, **options}})


def run(place: Any, configs: dict[str, Any]) -> list[str]:
    """The stages that experiments needed."""
    (place.folder / "grid.json").write_text(json.dumps({"configs": configs}), "utf-8")
    before = len(place.events()) if (place.folder / "results" / "events.jsonl").exists() else 0
    ended = place.sft("run-experiments", "grid.json", "--start", "fresh")
    assert ended.returncode == 0, ended.stderr
    events = place.events()[before:]
    started = [event["stage"] for event in events if event.get("state") == "running"]
    return [stage for stage in started if stage != "baseline"]


def test_a_grid_of_calibrators_scores_each_row_set_once(place: Any) -> None:
    (place.folder / "own.py").write_text(
        "row_sets = ['train:64', 'content_free:contextual:3']\n"
        "def f(scores, row_sets, options):\n"
        "    return scores - row_sets['train:64'].scores.mean(axis=0)\n"
    )
    first = {name: calibrated(place, name) for name in ("none", "contextual", "temperature")}
    assert sorted(run(place, first)) == ["evaluate"] * 3 + ["infer"] * 3
    later = {name: calibrated(place, name) for name in ("batch", "adjustable_batch", "own.py:f")}
    assert run(place, first | later) == ["evaluate"] * 3
    rows = {row["name"]: row["results"] for row in place.json(*LEADERBOARD)["rows"]}
    assert len(rows) == 6
    for name, results in rows.items():
        assert 0 < results["label_mass"] <= 1 + 1e-9
        if name != "none":
            assert results["uncalibrated_macro_f1"] == rows["none"]["macro_f1"]
    assert rows["temperature"]["accuracy"] == rows["none"]["accuracy"]
    (board,) = place.json(*LEADERBOARD)["boards"]
    (looks,) = [text for text in board["warnings"] if "looks at the scores" in text]
    assert all(name in looks for name in later)


def test_priors_for_each_row_and_pmi_come_from_real_prompts(place: Any) -> None:
    per_row = {"calibration_args": {"calibration_fn": "domain", "num_estimations": 2, "per_row": True}}
    inference = DRAWN["inference"] | per_row | {"label_scoring": {"normalization": "pmi"}}
    place.run("run-experiment", place.classification(dataset={"shots": 4}, **DRAWN | {"inference": inference}))
    record = place.metrics()
    assert record["details"]["calibration"]["row_sets"] == {"content_free:domain:2:per_row": 24}
    assert record["details"]["calibration"]["warnings"] == []
    samples = [json.loads(path.read_text()) for path in (place.folder / "results").glob("stages/infer/*/sample.json")]
    prompts = [prompt["text"] for sample in samples for prompt in sample["prompts"]]
    assert len(samples) == 3
    assert all("Which team answers this?" in text for text in prompts)
