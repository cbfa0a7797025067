"""The documents keep step with the program: commands, options, config keys, examples and links."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main

from sft.calibration import calibration_registry
from sft.calibration.calibrator import RowSetScores
from sft.cli import app
from sft.config.canonical import json_text
from sft.config.experiment import ExperimentConfig
from sft.config.reading import read_experiment
from sft.config.section import Section
from sft.evaluation.metrics import metric_registry
from sft.evaluation.selection import entry_of
from sft.experiments.grid import expand
from sft.experiments.jsonnet import JsonnetOptions, evaluate_jsonnet
from sft.registry import import_object

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = {
    path.name: path.read_text("utf-8")
    for path in (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"))
}
FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = ("sft ", "python -m sft.cli ", "make ")
CLI: Any = typer.main.get_command(app)


def blocks(text: str, kind: str) -> list[str]:
    return [match["text"] for match in FENCE.finditer(text) if match["kind"] == kind]


def shell_commands(text: str) -> Iterator[str]:
    """The commands of this project in the shell blocks of a document, also those inside `$(...)`."""
    for block in blocks(text, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            inner = re.findall(r"\$\((.*?)\)", line)
            for part in [*line.split("&&"), *inner]:
                command = part.strip().removeprefix(".venv/bin/")
                if command.startswith(OURS):
                    yield command


def inline_commands(text: str) -> list[str]:
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [span for span in spans if span.startswith(OURS)]


def words_of(command: str) -> list[str]:
    """Its words after the program's name."""
    words = shlex.split(command, comments=True)
    return words[3:] if words[0] == "python" else words[1:]


def parsed(command: str) -> None:
    """Parse a command as the program would, without running it; a mistake raises."""
    name, *arguments = words_of(command)
    CLI.commands[name].make_context(name, arguments)


def unknown_options(command: str) -> list[str]:
    name, *arguments = words_of(command)
    known = options_of(name)
    return [word for word in arguments if word.startswith("--") and word.partition("=")[0] not in known]


def options_of(name: str) -> set[str]:
    parameters = CLI.commands[name].params
    named = {option for item in parameters for option in (*item.opts, *item.secondary_opts)}
    return {option for option in named if option.startswith("--")} | {"--help"}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def section(title: str) -> str:
    """The part of the README below a heading of the second level."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


@cache
def key_rows() -> dict[str, str]:
    """Key -> default, from the tables of the README."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| ", section("Config keys"), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a key stands in two rows"
    return dict(rows)


def config_fields(model: type[Section], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and field of every leaf of the config."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        nested = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
        if nested is None:
            yield f"{prefix}{name}", field
        else:
            yield from config_fields(nested, f"{prefix}{name}.")


@cache
def known_fields() -> dict[str, Any]:
    metrics = {
        f"evaluation.{name}": field
        for metric in metric_registry
        for name, field in entry_of(metric).options.model_fields.items()
    }
    calibrators = {
        f"inference.calibration_args.{name}": field
        for target in calibration_registry.values()
        for name, field in import_object(target).options.model_fields.items()
    }
    return dict(config_fields(ExperimentConfig)) | metrics | calibrators


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shown_commands_parse(document: str) -> None:
    for command in shell_commands(DOCUMENTS[document]):
        if command.startswith("make "):
            assert set(words_of(command)) <= make_targets(), command
        else:
            parsed(command)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_mentioned_commands_and_options_exist(document: str) -> None:
    for command in inline_commands(DOCUMENTS[document]):
        if command.startswith("make "):
            assert set(words_of(command)) <= make_targets(), command
        elif words_of(command) != ["COMMAND"]:
            assert words_of(command)[0] in CLI.commands, command
            assert not unknown_options(command), command


def test_commands_are_found_at_all() -> None:
    assert len(list(shell_commands(README))) >= 12
    assert len(inline_commands(README)) >= 12


@pytest.mark.parametrize("wrong", ["sft plna grid.jsonnet", "sft plan g.jsonnet --jobs 2", "sft plan", "sft schema x"])
def test_a_wrong_command_is_noticed(wrong: str) -> None:
    with pytest.raises(Exception) as error:  # the parser's own errors have no public name
        parsed(wrong)
    assert type(error.value).__name__ in {"KeyError", "NoSuchOption", "MissingParameter", "UsageError"}


def test_every_command_and_option_is_in_the_readme() -> None:
    text = section("Commands")
    shared = options_of("plan")
    for name in CLI.commands:
        row = re.search(rf"^\| `sft {name}\b.*$", text, re.MULTILINE)
        assert row is not None, name
        for option in options_of(name) - {"--help", "--do-eval"}:
            has_table = option in shared or name == "run-experiments"
            assert f"`{option}" in (text if has_table else row[0]), (name, option)


def test_every_key_of_the_config_is_in_the_readme_and_no_other() -> None:
    assert set(key_rows()) == set(known_fields())


def test_defaults_in_the_readme_are_those_in_force() -> None:
    for key, shown in key_rows().items():
        field = known_fields()[key]
        if field.is_required():
            assert shown == "required", key
        elif field.default is not None:
            assert shown == f"`{json_text(field.default)}`", key
        else:
            assert shown != "required", key


@pytest.mark.parametrize("number", range(2))
def test_shown_grids_evaluate_to_sound_configs(number: int, tmp_path: Path) -> None:
    file = tmp_path / "grid.jsonnet"
    file.write_text(blocks(README, "jsonnet")[number], "utf-8")
    configs = expand(evaluate_jsonnet(file, JsonnetOptions()), "grid")
    found = [finding for name, raw in configs.items() for finding in read_experiment(raw, name)[1]]
    assert len(configs) == (3, 8)[number]
    assert not found, found


def test_every_function_of_the_grid_library_is_in_the_readme() -> None:
    library = (ROOT / "sft" / "grid.libsonnet").read_text("utf-8")
    offered = re.findall(r"^  (\w+)(?:\(.*?\))?::", library, re.MULTILINE)
    assert len(offered) >= 6
    for name in offered:
        assert re.search(rf"^\| `grid\.{name}\b", section("Writing a grid"), re.MULTILINE), name


def test_shown_initialiser_and_metric_work() -> None:
    import torch

    initialiser: dict[str, Any] = {}
    metric: dict[str, Any] = {}
    exec(blocks(section("Adding an initialiser"), "python")[0], initialiser)
    exec(blocks(section("Adding a metric"), "python")[0], metric)
    factors = initialiser["largest_rows"](torch.nn.Linear(6, 4), 2, torch.float32)
    assert {name: tuple(factor.shape) for name, factor in factors.items()} == {"lora_A": (2, 6), "lora_B": (4, 2)}
    assert torch.allclose(factors["lora_A"].norm(dim=1), torch.ones(2))
    assert metric["first_word"](["a b", "c", ""], ["a", "d", "e"]) == pytest.approx(1 / 3)


def test_shown_calibrator_works() -> None:
    import numpy as np

    own: dict[str, Any] = {}
    exec(blocks(section("Adding a calibrator"), "python")[0], own)
    found = {name: RowSetScores(np.array([[-4.0, -2.0]])) for name in own["row_sets"]}
    assert own["half"](np.array([[-1.0, -1.0]]), found, {}).tolist() == [[1.0, 0.0]]


def test_calibrators_stand_in_the_readme_with_their_row_sets_and_options() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \| (.*?) \|$", section("Calibration"), re.MULTILINE)
    shown = {name: [sorted(re.findall(r"`(.*?)`", cell)) for cell in cells] for name, *cells in rows[1:]}
    wanted = {}
    for name, target in calibration_registry.items():
        entry = import_object(target)
        wanted[name] = [sorted(entry.row_sets(entry.options())), sorted(entry.options.model_fields)]
    assert shown == wanted


def test_python_example_uses_what_there_is() -> None:
    import sft

    code = blocks(section("Python"), "python")[0]
    compile(code, "README.md", "exec")  # its syntax
    assert set(re.findall(r"\bsft\.(\w+)\(", code)) == set(sft.__all__)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", DOCUMENTS[document])):
        if target.startswith("#"):
            assert target[1:] in anchors(DOCUMENTS[document]), target
        elif "://" not in target:
            assert (ROOT / target).exists(), target


def anchors(text: str) -> set[str]:
    """What headings are called in a link: lower case, without punctuation, with hyphens for spaces."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_extras_are_those_of_the_package() -> None:
    import tomllib

    offered = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"^\| `(\w+)` \| ", section("Install"), re.MULTILINE)) == set(offered)


def test_the_shown_ranking_is_drawn_as_the_program_draws_it() -> None:
    """From its own numbers."""
    from sft.cli.board.ranking import experiments_table
    from sft.cli.screen import Screen, drawn

    shown = README.split("```\n")[1].split("\nIntervals: ")[0].splitlines()[2:]
    header, _, *lines = (re.split(" {2,}", line) for line in shown)
    metrics, groups, ranked = [header[2], *header[4:-2]], [], []
    for rank, name, value, interval, *cells in lines:
        mark = cells.pop(0) if "best" in cells[0] else ""
        *numbers, train, infer = (None if cell == "n/a" else float(cell) for cell in (value, *cells))
        row = {"name": name, "id": name, "results": dict(zip(metrics, numbers, strict=True))}
        ranked.append((int(rank), row | {"timing": {"train": train, "infer": infer}}))
        low, high = map(float, interval.strip("[]").split(", "))
        against = {"tie": mark == "≈ best"}
        groups.append(
            {"rank": int(rank), "rows": [row], "interval": {"low": low, "high": high}, "against_best": against}
        )
    board = {"metric": header[2], "statistics": {"metric": header[2]}, "groups": groups}
    assert len(ranked) == 6
    assert drawn(experiments_table(board, ranked, Screen()), Screen()).splitlines() == shown
