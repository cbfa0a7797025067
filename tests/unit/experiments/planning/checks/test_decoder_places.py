"""Texts that are longer than a decoder are found before anything starts."""

import json
from pathlib import Path
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.experiments.planning.checks.prompting import decoder_findings


def config(task_type: str = "generation", auto_class: str | None = "AutoModelForSeq2SeqLM", **prompting: Any) -> Any:
    return ExperimentConfig.model_validate(
        {
            "dataset": {"path": "rows.jsonl", "task_type": task_type},
            "model": {"name": "model", "auto_class": auto_class},
            "prompting": {"input_columns": ["text"], "output_column": "answer", **prompting},
        }
    )


def test_the_default_is_held_to_the_places_of_the_decoder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "bart", "max_position_embeddings": 64}))
    ((path, said),) = decoder_findings(config(), tmp_path)
    assert path == "inference.generation_args.max_new_tokens"
    assert said.startswith("128: the decoder of 'model' has places for 64 tokens; write at most 63")
    assert decoder_findings(config(max_output_length=63), tmp_path) == []
    assert decoder_findings(config(max_output_length=64), tmp_path) != []
    assert decoder_findings(config("classification"), tmp_path) == []
    assert decoder_findings(config(auto_class=None), tmp_path) == []
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "t5"}))
    assert decoder_findings(config(), tmp_path) == []
