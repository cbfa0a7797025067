"""Every entry of every registry imports and offers what its folder asks of it; nothing else is needed to add one."""

import importlib.util
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from sft.adapters import adapter_registry
from sft.adapters.method import AdapterMethod
from sft.calibration import calibration_registry
from sft.calibration.calibrator import Calibrator, RowSetScores
from sft.config.experiment import ExperimentConfig
from sft.evaluation.baselines import baseline_registry
from sft.evaluation.baselines.entry import Baseline
from sft.evaluation.checks import check_metrics
from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.entry import MetricEntry
from sft.experiments.executors import executor_registry
from sft.experiments.executors.protocol import Executor
from sft.experiments.planning.checks.sections import SectionChecks
from sft.inference.answering import Answering
from sft.initialization.factors import needs_of
from sft.initialization.initializers import initializer_registry
from sft.models.config_file import FAULTS
from sft.models.objective import Objective
from sft.objectives import objective_registry
from sft.pipeline import stage_registry
from sft.registry import import_object
from sft.reporting.formats import report_format_registry
from sft.reporting.formats.report_format import ReportFormat
from sft.runs.records import StageName
from sft.tasks import task_registry
from sft.tasks.row_sets import RowSet
from sft.tasks.task import SETTINGS, Task
from sft.tracking import tracker_registry
from sft.tracking.tracker import Tracker
from sft.training.objectives import training_objective_registry

REGISTRIES: dict[str, Mapping[str, str]] = {
    "adapters": adapter_registry,
    "baselines": baseline_registry,
    "calibrators": calibration_registry,
    "executors": executor_registry,
    "initializers": initializer_registry,
    "metrics": metric_registry,
    "formats": report_format_registry,
    "objectives": objective_registry,
    "stages": stage_registry,
    "tasks": task_registry,
    "training objectives": training_objective_registry,
    "trackers": tracker_registry,
}
ENTRIES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]
PROTOCOLS: dict[str, type] = {
    "adapters": AdapterMethod,
    "executors": Executor,
    "formats": ReportFormat,
    "trackers": Tracker,
}
FIRST = {name: import_object(target).default_metrics[0] for name, target in task_registry.items()}
NEEDED = {
    "trainable_tokens": {"token_indices": [5]},
    "fourierft": {"n_frequency": 9},
    "waveft": {"n_frequency": 9},
    "shira": {"r": 2},
}
"""Options without which a method has nothing to train, or asks more of small layers than they have."""
PACKAGE = Path(__file__).resolve().parents[2] / "sft"


def _entry(kind: str, name: str) -> Any:
    return import_object(REGISTRIES[kind][name])


def _methods(protocol: type) -> dict[str, Callable[..., Any]]:
    return {
        name: item for name, item in vars(protocol).items() if inspect.isfunction(item) and not name.startswith("_")
    }


def test_every_registry_is_walked_here() -> None:
    """A registry is a module-level mapping annotated `Registry`; a new one must be added above."""
    written = [path for path in PACKAGE.rglob("__init__.py") if "_registry: Registry" in path.read_text()]
    assert len(written) == len(REGISTRIES)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_imports(kind: str, name: str) -> None:
    assert _entry(kind, name) is not None


@pytest.mark.parametrize(("kind", "name"), [entry for entry in ENTRIES if entry[0] in PROTOCOLS])
def test_an_entry_has_the_methods_of_its_protocol_with_their_parameters(kind: str, name: str) -> None:
    entry = _entry(kind, name)
    made = entry() if inspect.isclass(entry) else entry
    protocol = PROTOCOLS[kind]
    for method, wanted in _methods(protocol).items():
        own = inspect.signature(getattr(made, method))
        assert list(own.parameters) == list(inspect.signature(wanted).parameters)[1:], method
    for attribute in get_type_hints(protocol):
        assert hasattr(made, attribute), attribute


@pytest.mark.parametrize("name", initializer_registry)
def test_an_initializer_takes_layer_rank_and_dtype(name: str) -> None:
    parameters = inspect.signature(_entry("initializers", name)).parameters
    needed = needs_of(_entry("initializers", name))
    assert list(parameters) == ["layer", "rank", "dtype", *([needed] if needed else [])]
    assert needed or str(parameters["dtype"].default) == "torch.bfloat16"


@pytest.mark.parametrize("name", stage_registry)
def test_a_stage_takes_a_job(name: str) -> None:
    assert list(inspect.signature(_entry("stages", name)).parameters) == ["job", "record", "progress", "started"]
    assert name in get_args(StageName)


@pytest.mark.parametrize("name", task_registry)
def test_a_task_names_metrics_that_are_defined_for_it(name: str) -> None:
    task = _entry("tasks", name)
    assert isinstance(task, Task)
    assert task.name == name
    assert set(task.objectives) <= set(objective_registry)
    assert all(task.output in _entry("objectives", objective).answers for objective in task.objectives)
    assert task.settings < set(SETTINGS)
    for metric in task.default_metrics:
        assert name in _entry("metrics", metric).task_types
    for baseline in task.baselines:
        assert isinstance(_entry("baselines", baseline), Baseline)


@pytest.mark.parametrize("name", objective_registry)
def test_an_objective_names_classes_of_its_libraries(name: str) -> None:
    import peft
    import transformers

    from sft.training.trainer import train_model

    objective = _entry("objectives", name)
    assert isinstance(objective, Objective)
    assert objective.name == name
    types = ("llama", "bert", "t5")
    assert {objective.class_of(kind) for kind in types} - {None} <= set(vars(transformers)["_class_to_module"])
    assert any(objective.class_of(kind) for kind in types)
    assert getattr(transformers, objective.auto_class).__name__ == objective.auto_class
    assert objective.peft_task_type in peft.TaskType.__members__
    assert set(objective.model_kinds) <= set(FAULTS)
    assert objective.class_of("no such model") is None
    asked, offered = (inspect.signature(trainer) for trainer in (train_model, import_object(objective.trainer)))
    assert list(asked.parameters) == list(offered.parameters)
    for answers in objective.answers.values():
        infer, read = import_object(answers.infer), import_object(answers.read)
        for method, wanted in _methods(Answering).items():
            assert (
                list(inspect.signature(getattr(infer, method)).parameters)
                == list(inspect.signature(wanted).parameters)[1:]
            ), method
        assert len(inspect.signature(read).parameters) == 3


@pytest.mark.parametrize("name", metric_registry)
def test_a_metric_gives_what_its_name_says_and_its_options_have_defaults(name: str) -> None:
    entry = _entry("metrics", name)
    assert isinstance(entry, MetricEntry)
    assert not entry.results or name in entry.results
    assert entry.task_types <= set(task_registry)
    defaults = entry.options().model_dump(mode="json")
    documented = [field.description for field in entry.options.model_fields.values()]
    assert all(documented)
    if entry.package is None:
        for task in entry.task_types:
            assert check_metrics(list(dict.fromkeys([FIRST[task], name])), task, defaults, Path.cwd()) == []


@pytest.mark.parametrize("name", [name for name in metric_registry if name not in ("bertscore", "bleurt")])
def test_a_metric_s_module_is_a_metric_of_the_evaluate_library(name: str) -> None:
    import evaluate

    assert issubclass(import_object(_entry("metrics", name).module), evaluate.Metric)


@pytest.mark.parametrize("method", adapter_registry)
def test_a_minimal_config_of_every_adapter_is_sound(
    project: Path, raw: Callable[..., dict[str, Any]], method: str
) -> None:
    adapter = {"method": method, **NEEDED.get(method, {})}
    config = ExperimentConfig.model_validate(raw({"lora": ..., "training": ..., "adapter": adapter}))
    assert SectionChecks(project).findings(config) == []


@pytest.mark.parametrize("name", initializer_registry)
def test_a_minimal_config_of_every_initializer_is_sound(
    project: Path, raw: Callable[..., dict[str, Any]], name: str
) -> None:
    if name == "umap" and importlib.util.find_spec("umap") is None:
        pytest.skip("umap-learn is not installed")
    four_bits = {"quantization": {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bit": True}}}
    model = four_bits if name == "loftq" else {}
    config = ExperimentConfig.model_validate(raw({"lora": {"init_lora_weights": name}, "model": model}))
    assert SectionChecks(project).findings(config) == []


@pytest.mark.parametrize("name", calibration_registry)
def test_a_minimal_config_of_every_calibrator_is_sound(
    project: Path, raw: Callable[..., dict[str, Any]], name: str
) -> None:
    options = _entry("calibrators", name).options().model_dump(mode="json")
    arguments = {"inference": {"calibration_args": {"calibration_fn": name, **options}}}
    assert SectionChecks(project).findings(ExperimentConfig.model_validate(raw(arguments))) == []


@pytest.mark.parametrize("name", calibration_registry)
def test_a_calibrator_keeps_to_its_row_sets_and_changes_nothing_that_it_is_given(name: str) -> None:
    import numpy as np

    entry = _entry("calibrators", name)
    assert isinstance(entry, Calibrator)
    assert all(field.description for field in entry.options.model_fields.values())
    options = entry.options()
    named = [RowSet.parse(row_set) for row_set in entry.row_sets(options)]
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(7, 3)) - 5
    sets = {
        row_set.name: RowSetScores(rng.normal(size=(6, 3)), np.arange(6) % 3 if row_set.kind == "train" else None)
        for row_set in named
    }
    kept = [scores.copy(), *(rows.scores.copy() for rows in sets.values())]
    first, second = (entry.calibrate(scores, sets, options) for _ in range(2))
    assert first.scores.shape == scores.shape
    assert np.isfinite(first.scores).all()
    assert first.scores.tolist() == second.scores.tolist()
    assert json.loads(json.dumps(first.details)) == second.details
    given = [scores, *(rows.scores for rows in sets.values())]
    assert all(np.array_equal(now, before) for now, before in zip(given, kept, strict=True))


@pytest.mark.parametrize("name", calibration_registry)
def test_only_a_calibrator_that_says_so_looks_at_other_evaluated_rows(name: str) -> None:
    import numpy as np

    entry = _entry("calibrators", name)
    options = entry.options()
    rng = np.random.default_rng(2)
    sets = {row_set: RowSetScores(rng.normal(size=(6, 3)), np.arange(6) % 3) for row_set in entry.row_sets(options)}
    scores = rng.normal(size=(5, 3))
    other = np.vstack([scores[:1], scores[1:] + np.array([3.0, 0.0, -3.0])])
    alone, beside = (entry.calibrate(rows, sets, options).scores[0] for rows in (scores, other))
    assert bool(np.abs(alone - beside).max() > 1e-6) == entry.uses_evaluated_rows


def _sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                found |= _sections(kind)
    return found


def test_every_field_of_a_config_is_documented() -> None:
    bare = [
        f"{section.__name__}.{name}"
        for section in _sections(ExperimentConfig)
        for name, field in section.model_fields.items()
        if not field.description
    ]
    assert bare == []
