"""Every example is found, evaluates, expands, and is sound as far as can be told without the model hub."""

from pathlib import Path

import pytest

from sft.config.experiment import ExperimentConfig
from sft.config.reading import read_experiment
from sft.data.loading import local_source
from sft.experiments.grids.loading import GridOptions, load_grid
from sft.experiments.planning.checks.data import DataChecks, DataFacts
from sft.experiments.planning.checks.model_files import known_config
from sft.experiments.planning.checks.sections import SectionChecks
from sft.experiments.planning.objective_choice import with_objective
from sft.models.references import locate
from sft.registry import is_own_code
from tests.support.examples import FOLDER, HUB, missing

DATA_FOLDERS = ("data", "initializers")
README = FOLDER / "README.md"


def found_examples() -> dict[str, Path]:
    files = sorted(path for path in FOLDER.rglob("*") if path.suffix in (".json", ".jsonnet"))
    names = {path.relative_to(FOLDER).as_posix(): path for path in files}
    return {name: path for name, path in names.items() if name.partition("/")[0] not in DATA_FOLDERS}


EXAMPLES = found_examples()
examples = pytest.mark.parametrize("name", EXAMPLES)


def configs_of(name: str) -> dict[str, ExperimentConfig]:
    configs = {}
    for experiment, raw in load_grid(EXAMPLES[name], GridOptions()).configs.items():
        config, found = read_experiment(raw, experiment)
        assert not found, found
        assert config is not None
        configs[experiment] = config
    return configs


@pytest.fixture(scope="module")
def read() -> dict[str, dict[str, ExperimentConfig]]:
    """The experiments of each example, evaluated once for all tests."""
    return {name: planned(configs_of(name), EXAMPLES[name].parent) for name in EXAMPLES}


def planned(configs: dict[str, ExperimentConfig], folder: Path) -> dict[str, ExperimentConfig]:
    """The configs as plans read them: with how their models answer."""
    known = {
        name: with_objective(config, folder, lambda model, _: known_config(model, folder))
        for name, config in configs.items()
    }
    return {name: chosen.config for name, chosen in known.items()}


def needs_demo(name: str) -> None:
    """Skip where what an example reads is not there."""
    if (reason := missing(name)) is not None:
        pytest.skip(reason)


def test_the_examples_are_collected() -> None:
    folders = [name.partition("/")[0] for name in EXAMPLES]
    assert folders.count("json") >= 6
    assert folders.count("jsonnet") >= 12
    assert set(folders) == {"json", "jsonnet"}
    assert set(EXAMPLES) >= HUB


def test_the_readme_names_every_example() -> None:
    text = README.read_text("utf-8")
    assert [name for name in EXAMPLES if f"`{name}`" not in text] == []


@examples
def test_an_example_has_sound_names_and_options(name: str, read: dict[str, dict[str, ExperimentConfig]]) -> None:
    needs_demo(name)
    checks = SectionChecks(FOLDER / name.partition("/")[0])
    assert read[name], "the example holds no experiment"
    for experiment, config in read[name].items():
        assert checks.findings(config) == [], experiment


@examples
def test_an_example_has_rows_for_every_experiment(name: str, read: dict[str, dict[str, ExperimentConfig]]) -> None:
    needs_demo(name)
    folder = EXAMPLES[name].parent
    checks = DataChecks(folder, lambda config: None)
    for experiment, config in read[name].items():
        if local_source(config.dataset, folder) is None:
            assert name in HUB
            continue
        facts = checks.facts(config, with_gold=True)
        assert isinstance(facts, DataFacts), (experiment, facts)
        assert facts.n_test >= 8
        assert facts.n_leaked == 0


@examples
def test_an_example_needs_the_hub_only_where_it_says_so(
    name: str, read: dict[str, dict[str, ExperimentConfig]]
) -> None:
    needs_demo(name)
    folder = EXAMPLES[name].parent
    remote = {
        config.model.name if locate(config.model.name, folder) is None else config.dataset.path
        for config in read[name].values()
        if locate(config.model.name, folder) is None or local_source(config.dataset, folder) is None
    }
    assert bool(remote) == (name in HUB), remote


@examples
def test_a_grid_says_what_it_asks_and_how_to_run_it(name: str) -> None:
    if name.endswith(".json"):
        return
    comments = [line for line in EXAMPLES[name].read_text("utf-8").splitlines() if line.startswith("//")]
    text = "\n".join(comments)
    assert "?" in text
    if "quickstart" not in name:
        assert f"run-experiments etc/configs/{name}" in text
        assert "minutes" in text


def test_the_examples_show_what_they_are_there_for(read: dict[str, dict[str, ExperimentConfig]]) -> None:
    configs = [config for example in read.values() for config in example.values()]
    metrics = {metric for config in configs for metric in config.evaluation.metrics or []}
    args = [config.model.quantization.args for config in configs if config.model.quantization]
    assert {"rougeL", "bleu", "chrf", "exact_match", "ece"} <= metrics
    assert {config.dataset.task_type for config in configs} >= {"classification", "generation"}
    assert any("load_in_4bit" in written for written in args)
    assert any("load_in_8bit" in written for written in args)
    assert any(isinstance(config.dataset.labels, dict) for config in configs)
    assert any(config.prompting.input_template for config in configs)
    assert any(len(config.prompting.input_columns) > 1 and config.dataset.splits.dev for config in configs)
    assert any(config.prompting.format == "plain" for config in configs)
    assert any(is_own_code(str(config.adapter_options.get("init_lora_weights"))) for config in configs)
    assert {"Qwen/Qwen2.5-0.5B-Instruct"} <= {config.model.name for config in configs}
