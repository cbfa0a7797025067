"""Corrected gold scores every set-up again, and no model is loaded for it."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow

LEADERBOARD = ("results", "leaderboard.json")


def test_a_correction_is_scored_without_a_model(place: Any) -> None:
    def run(correction: dict[str, Any]) -> list[str]:
        configs = {"zero": place.classification(dataset=correction), "lora": place.trained(dataset=correction)}
        (place.folder / "grid.json").write_text(json.dumps({"configs": configs}), "utf-8")
        before = len(place.events()) if (place.folder / "results" / "events.jsonl").exists() else 0
        ended = place.sft("run-experiments", "grid.json", "--start", "fresh")
        assert ended.returncode == 0, ended.stderr
        return sorted(event["stage"] for event in place.events()[before:] if event.get("state") == "running")

    assert run({}) == ["baseline", "baseline", "evaluate", "evaluate", "infer", "infer", "train"]
    (plain,) = place.json(*LEADERBOARD)["boards"]
    wrong = json.loads(place.sft("errors", "zero", "--json", "--csv", "wrong.csv").stdout)
    lines = (place.folder / "wrong.csv").read_text().splitlines()
    assert len(lines) == wrong["n_wrong"] + 1
    first = wrong["rows"][0]
    (place.folder / "fixes.csv").write_text(f"source_index,gold\n{first['source_index']},{first['said']}\n")

    assert run({"corrections": "fixes.csv"}) == ["baseline", "baseline", "evaluate", "evaluate"]
    after = place.json(*LEADERBOARD)
    (board,) = after["boards"]
    assert board["board"] != plain["board"]
    assert "the gold of 1 test rows is corrected by fixes.csv" in board["warnings"]
    again = json.loads(place.sft("errors", "zero", "--json").stdout)
    assert again["n_wrong"] == wrong["n_wrong"] - 1
    assert first["source_index"] not in [row["source_index"] for row in again["rows"]]
    assert place.sft("verify").returncode == 0
    (place.folder / "fixes.csv").write_text("source_index,gold\n9999,other\n")
    refused = place.sft("plan", "grid.json")
    assert refused.returncode == 2
    assert "dataset.corrections: fixes.csv: no evaluated row 9999 in test" in refused.stderr + refused.stdout
