"""Keys and names of older tools' configs: each is read as what it means, or the plan says what to write instead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft import api
from sft.exceptions import InvalidExperiments
from sft.experiments.planning.plan import GridPlan
from sft.experiments.planning.plan_record import plan_record
from sft.initialization.initializers import initializer_registry
from sft.runs.files import ResultsFolder
from sft.terminal.plan import plan_lines
from tests.contract.tiny_project import config, write_project

Planned = Callable[..., GridPlan]
CALIBRATION = "inference.calibration_args"
TRAINED = {"dataset__shots": 2, "lora": {}}
ONE_FOR_EACH_ROW = {"inference__icl_examples": 1, "inference__random_icl": True}


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Plans experiments in a folder of small data: name -> changes of its config."""
    write_project(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def plan(**experiments: dict[str, Any]) -> GridPlan:
        configs = {name: config(**changes) for name, changes in experiments.items()}
        (tmp_path / "grid.json").write_text(json.dumps({"configs": configs}))
        return api.plan(tmp_path / "grid.json", results_path=tmp_path / "results")

    return plan


def written(name: str, **options: Any) -> dict[str, Any]:
    return {"inference__calibration_args": {"calibration_fn": name, **options}}


def ids(plan: GridPlan) -> dict[str, str]:
    return {planned.experiment.name: planned.keys.experiment_id for planned in plan.experiments}


def text(plan: GridPlan, tmp_path: Path) -> str:
    return "\n".join(plan_lines(plan, ResultsFolder(tmp_path / "results")))


def test_keys_of_older_calibrators_have_no_effect_and_are_named(planned: Planned, tmp_path: Path) -> None:
    older = {"num_estimations": 5, "language": "en", "spacy_batch_size": 64, "n_process": 2}
    names = ["none", "contextual", "batch", "adjustable_batch", "temperature"]
    with_keys = {f"{name}_older": written(name, **older) for name in names}
    plan = planned(domain=written("domain", language="de"), **{name: written(name) for name in names}, **with_keys)
    found = ids(plan)
    assert [name for name in names if found[name] != found[f"{name}_older"]] == []
    told = text(plan, tmp_path)
    assert f"  no effect here: {CALIBRATION}.num_estimations: only the calibrator domain draws texts" in told
    assert f"  no effect here: {CALIBRATION}.language: words are what stands between blanks" in told
    record = plan_record(plan, ResultsFolder(tmp_path / "results"))
    named = {item["key"]: item for item in record["no_effect"]}
    assert set(named) == {f"{CALIBRATION}.{key}" for key in older}
    assert all(set(with_keys) <= set(item["experiments"]) for item in named.values())
    assert [key for key, item in named.items() if "domain" in item["experiments"]] == [f"{CALIBRATION}.language"]
    assert all(item["instead"] for item in named.values())


def test_names_of_calibrators_for_each_row(planned: Planned) -> None:
    aliases = {"contextual_alvaro": "contextual", "domain_alvaro": "domain"}
    experiments = {}
    for alias, name in aliases.items():
        experiments |= {
            alias: written(alias),
            f"{alias}_twice": written(alias, per_row=True),
            f"{name}_per_row": written(name, per_row=True),
            f"{name}_one_prior": written(name),
        }
    plan = planned(**{name: ONE_FOR_EACH_ROW | changes for name, changes in experiments.items()})
    found = ids(plan)
    for alias, name in aliases.items():
        assert found[alias] == found[f"{alias}_twice"] == found[f"{name}_per_row"] != found[f"{name}_one_prior"]
        kept = plan.named()[alias].experiment.resolved_config()["inference"]["calibration_args"]
        assert kept == {"calibration_fn": name, "per_row": True}
    with pytest.raises(InvalidExperiments, match=rf"{CALIBRATION}.per_row: domain_alvaro is domain with per_row"):
        planned(a=written("domain_alvaro", per_row=False))


def test_shots_that_are_left_out(planned: Planned) -> None:
    without = {key: value for key, value in config()["dataset"].items() if key != "shots"}
    plan = planned(a={"dataset": without}, b={})
    assert len(set(ids(plan).values())) == 1


def test_an_initializer_that_one_process_knows(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(initializer_registry, "mine", lambda layer, rank, dtype=None: {})  # type: ignore[arg-type]
    with pytest.raises(InvalidExperiments, match=r"init_lora_weights: 'mine' was put into .*file\.py:function"):
        planned(a={"dataset__shots": 2, "lora": {"init_lora_weights": "mine"}})


def write_adapter(folder: Path, base: Any) -> None:
    folder.mkdir()
    saved = {"peft_type": "LORA", "base_model_name_or_path": base, "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 8}
    (folder / "adapter_config.json").write_text(json.dumps(saved))
    (folder / "adapter_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")


def test_a_model_that_is_an_adapters_folder(planned: Planned, tmp_path: Path) -> None:
    write_adapter(tmp_path / "tuned", "model")
    write_adapter(tmp_path / "absolute", str(tmp_path / "model"))
    plan = planned(
        named={"model__name": "tuned"},
        spelled_out={"model__name": "model", "model__adapter": "tuned"},
        absolute={"model__name": "absolute"},
        trained_on={"model__name": "tuned"} | TRAINED,
    )
    found = ids(plan)
    assert found["named"] == found["spelled_out"] != found["trained_on"]
    model = plan.named()["trained_on"].experiment.config.model
    assert (model.name, model.adapter) == ("model", "tuned")
    (told,) = (warning for warning in plan.warnings if "'tuned' is an adapter's folder" in warning)
    assert told.endswith(": read as model.name 'model' with model.adapter 'tuned'")
    assert told.startswith("named")


@pytest.mark.parametrize(
    ("base", "changes", "told"),
    [
        (None, {}, "does not say of which model; name its base in model.name, and write model.adapter: 'tuned'"),
        ("/nowhere", {}, "its base is not there .*; name its base in model.name, and write model.adapter: 'tuned'"),
        ("model", {"model__adapter": "other"}, "and model.adapter names one too; name its base here"),
    ],
)
def test_an_adapters_folder_whose_base_is_not_known(
    planned: Planned, tmp_path: Path, base: Any, changes: dict[str, Any], told: str
) -> None:
    write_adapter(tmp_path / "tuned", base)
    with pytest.raises(InvalidExperiments, match=rf"model\.name: 'tuned' is an adapter's folder.*{told}"):
        planned(a={"model__name": "tuned", **changes})


def test_the_task_type_of_an_adapter(planned: Planned, tmp_path: Path) -> None:
    plan = planned(a=TRAINED, b=TRAINED | {"lora": {"task_type": "CAUSAL_LM"}})
    assert len(set(ids(plan).values())) == 1
    assert "no effect here: lora.task_type (b)" in text(plan, tmp_path)
    told = r"lora\.task_type: 'SEQ_2_SEQ_LM': models answer as causal_lm here, .* is CAUSAL_LM .* leave it out"
    with pytest.raises(InvalidExperiments, match=told):
        planned(a=TRAINED | {"lora": {"task_type": "SEQ_2_SEQ_LM"}})


def test_fp16_on_a_cpu_and_a_file_that_is_not_there(planned: Planned, tmp_path: Path) -> None:
    plan = planned(a=TRAINED | {"training": {"trainer_args": {"fp16": True}}, "resources": {"gpus": 0}})
    assert "warning: a: training.trainer_args.fp16 has no effect on a CPU" in text(plan, tmp_path)
    with pytest.raises(InvalidExperiments, match=r"trainer_args\.deepspeed: 'zero\.json': no file .*zero\.json"):
        planned(a=TRAINED | {"training": {"trainer_args": {"deepspeed": "zero.json"}}})
    with pytest.raises(InvalidExperiments, match=r"trainer_args\.FP16: unknown key \(did you mean fp16\?\)"):
        planned(a=TRAINED | {"training": {"trainer_args": {"FP16": True}}})


def test_a_plan_shows_the_shots_of_each_label_and_their_weights(planned: Planned, tmp_path: Path) -> None:
    total = {"dataset__shots": 3, "dataset__shots_by": "total", "lora": {}}
    plan = planned(a=total, b=total | {"training": {"class_weights": "balanced"}}, c=TRAINED)
    told = text(plan, tmp_path)
    (counts,) = {tuple(planned.data.shot_counts.items()) for planned in plan.experiments[:2]}
    (more, _), (less, _) = sorted(counts, key=lambda pair: -pair[1])
    assert sorted(count for _, count in counts) == [1, 2]
    shots = ", ".join(f"{label} {count}" for label, count in counts)
    assert f"  shots of each label: {shots} (a)" in told
    assert f"{more} 2 x 0.75" in told
    assert f"{less} 1 x 1.5" in told
    assert ids(plan)["a"] != ids(plan)["b"]
