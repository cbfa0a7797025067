"""What an objective refuses of the rest of a config, and which one is in force."""

from typing import Any, get_args

import pytest

from sft.config.experiment import ExperimentConfig
from sft.config.training import ObjectiveName
from sft.training.objectives import training_objective_of, training_objective_registry
from sft.training.objectives.checks import check_objective
from sft.training.options import trainer_args_of


def config(training: dict[str, Any], **dataset: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "dataset": {"path": "x", "task_type": "classification", "shots": "all"} | dataset,
            "model": {"name": "m"},
            "prompting": {"input_columns": ["x"], "output_column": "y"},
            "training": training,
            "lora": {},
        }
    )


@pytest.mark.parametrize(
    ("training", "name"),
    [
        ({}, "nll"),
        ({"objective": "nll"}, "nll"),
        ({"objective": "dft"}, "dft"),
        ({"trainer_args": {"loss_type": "dft"}}, "dft"),
        ({"trainer_args": {"loss_type": "nll"}}, "nll"),
        ({"objective": "dft", "trainer_args": {"loss_type": "dft"}}, "dft"),
        ({"objective": "t_few"}, "t_few"),
    ],
    ids=str,
)
def test_the_objective_in_force(training: dict[str, Any], name: str) -> None:
    assert training_objective_of(config(training)).name == name
    assert check_objective(config(training)) == []
    assert trainer_args_of(config(training)).get("loss_type", "nll") == ("dft" if name == "dft" else "nll")


def test_every_objective_can_be_written() -> None:
    assert set(get_args(ObjectiveName)) == set(training_objective_registry)


@pytest.mark.parametrize("name", training_objective_registry)
def test_an_entry_says_its_name_and_its_loss(name: str) -> None:
    objective = training_objective_of(config({"objective": name}))
    assert objective.name == name
    assert "in nats" in objective.loss


@pytest.mark.parametrize(
    ("training", "path"),
    [
        ({"objective": "nll", "trainer_args": {"loss_type": "dft"}}, "training.trainer_args.loss_type"),
        ({"objective": "dft", "trainer_args": {"loss_type": "nll"}}, "training.trainer_args.loss_type"),
        ({"objective": "t_few", "trainer_args": {"loss_type": "nll"}}, "training.trainer_args.loss_type"),
        ({"objective": "dft", "trainer_args": {"label_smoothing_factor": 0.1}}, ".label_smoothing_factor"),
        ({"trainer_args": {"loss_type": "dft", "label_smoothing_factor": 0.1}}, ".label_smoothing_factor"),
        ({"objective": "dft", "class_weights": "balanced"}, "training.class_weights"),
        ({"trainer_args": {"loss_type": "dft"}, "class_weights": "balanced"}, "training.class_weights"),
        ({"objective": "t_few", "trainer_args": {"padding_free": True}}, ".padding_free"),
        ({"objective": "t_few", "trainer_args": {"router_aux_loss_coef": 0.1}}, ".router_aux_loss_coef"),
        ({"objective": "t_few", "trainer_args": {"metric_for_best_model": "entropy"}}, ".metric_for_best_model"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_named(training: dict[str, Any], path: str) -> None:
    ((found, message),) = check_objective(config(training))
    assert found.endswith(path)
    assert "leave" in message or "write" in message


def test_rows_are_weighed_under_t_few() -> None:
    assert check_objective(config({"objective": "t_few", "class_weights": "balanced"})) == []


def test_a_training_that_is_not_there_has_no_objective_to_refuse() -> None:
    assert check_objective(config({"objective": "t_few"}, shots=0, task_type="generation")) == []
