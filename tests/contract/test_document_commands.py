"""Every command that a document shows or mentions exists, with its options; and every one we have is documented."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from sft.cli import app
from tests.contract.documents import DOCUMENTS, ROOT, blocks, section, shell_lines, spans

CLI: Any = typer.main.get_command(app)
COMMAND = re.compile(r"(?:\w+=\S* )*(?:\.venv/bin/)?(?:sft|make|python3? (?:-m )?\S+|\.ci/run)(?: |$)")
"""The beginning of a command of this project, or of Python."""

UNMARKED = re.compile(r"^(?:sft|make|python) ", re.MULTILINE)


def own_words(command: str) -> list[str]:
    """The words of a command of this project without variables and Python before it; of another one, none."""
    if not COMMAND.match(command):
        return []
    words = [word.removeprefix(".venv/bin/") for word in shlex.split(command, comments=True)]
    words = words[: words.index(">")] if ">" in words else words
    while "=" in words[0]:
        words.pop(0)
    if words[0] in ("python", "python3"):
        words = words[2:] if words[1] == "-m" else words[1:]
    if words[0] == "sft.cli":
        words[0] = "sft"
    is_ours = words[0] in ("sft", "make", ".ci/run") or words[0].partition(".")[0] in ("benchmarks", "tests", "sft")
    return words if is_ours or words[0].startswith("etc/") else []


def parse(command: str) -> None:
    """Read a whole command as the program would, without running it; a mistake raises."""
    program, *arguments = own_words(command)
    assert [word for word in arguments if word.startswith("etc/") and not (ROOT / word).exists()] == [], command
    if program == "sft":
        name, *options = arguments
        CLI.commands[name].make_context(name, options)
    else:
        mention(command)


def mention(command: str) -> None:
    """Look up the names and options of a command, which need not be a whole one; a mistake raises."""
    program, *arguments = own_words(command)
    if program == "make":
        assert set(arguments) <= make_targets(), command
    elif program != "sft":
        assert_taken(program, arguments)
    elif arguments and arguments[0] != "COMMAND":
        known = options_of(arguments[0])
        asked = {word.partition("=")[0] for word in arguments[1:] if word.startswith("--")}
        assert asked <= known, command


def assert_taken(program: str, arguments: list[str]) -> None:
    """A module or file of ours exists, and its source has the options and words in quotes."""
    place = ROOT / program if "/" in program else ROOT / program.replace(".", "/")
    files = list(place.glob("*.py")) if place.is_dir() else [place if place.is_file() else place.with_suffix(".py")]
    assert files, program
    source = "".join(Path(file).read_text("utf-8") for file in files)
    words = [word for word in arguments if re.fullmatch(r"-{0,2}[a-z][a-z0-9_-]*", word)]
    assert [word for word in words if f'"{word}"' not in source] == [], program


def options_of(name: str) -> set[str]:
    parameters = CLI.commands[name].params
    named = {option for item in parameters for option in (*item.opts, *item.secondary_opts)}
    return {option for option in named if option.startswith("--")} | {"--help"}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def shown(text: str) -> list[str]:
    return [line for line in shell_lines(text) if own_words(line)]


def mentioned(text: str) -> list[str]:
    return [span for span in spans(text) if own_words(span)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shown_commands_parse(document: str) -> None:
    for command in shown(DOCUMENTS[document]):
        parse(command)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_mentioned_commands_and_options_exist(document: str) -> None:
    for command in mentioned(DOCUMENTS[document]):
        mention(command)


def test_commands_are_found_at_all() -> None:
    n_shown = {name: len(shown(text)) for name, text in DOCUMENTS.items()}
    n_mentioned = {name: len(mentioned(text)) for name, text in DOCUMENTS.items()}
    assert n_shown["README.md"] >= 6
    assert n_mentioned["README.md"] >= 14
    assert n_shown["benchmarks/README.md"] >= 8
    assert n_shown["tests/gpu/README.md"] >= 5
    assert n_shown["CONTRIBUTING.md"] >= 5
    assert sum(n_shown.values()) >= 40
    assert sum(n_mentioned.values()) >= 60


@pytest.mark.parametrize(
    "wrong",
    [
        "sft plna grid.jsonnet",
        "sft plan g.jsonnet --jobs 2",
        "sft plan",
        "sft schema x",
        ".venv/bin/python -m sft.cli plna grid.jsonnet",
        "HF_HUB_OFFLINE=1 sft plan g.jsonnet --jobs 2",
        "sft plan etc/configs/jsonnet/nothing.jsonnet",
        "make dmeo",
        "python -m tests.gpu --onyl warm",
        "python -m tests.gpu --only wram",
        "python -m benchmarks.engine idel",
        "python -m benchmarks.nothing",
        "python etc/demo/perpare.py",
    ],
)
def test_a_wrong_command_is_noticed(wrong: str) -> None:
    (command,) = shown(f"```bash\ncd x && {wrong}  # remark\n```\n")
    with pytest.raises(Exception) as error:  # the parser's own errors have no public name
        parse(command)
    names = {"KeyError", "NoSuchOption", "MissingParameter", "UsageError", "AssertionError", "FileNotFoundError"}
    assert type(error.value).__name__ in names


@pytest.mark.parametrize("wrong", ["sft plna", "sft plan --jobs", "make dmeo", "python -m tests.gpu --onyl"])
def test_a_wrong_mention_is_noticed(wrong: str) -> None:
    (command,) = mentioned(f"As `{wrong}` and `pip install` do.")
    with pytest.raises((KeyError, AssertionError)):
        mention(command)


def test_every_command_has_a_line_in_the_readme() -> None:
    listed = re.findall(r"^\| `sft ([\w-]+)", section("README.md", "Commands"), re.MULTILINE)
    assert sorted(listed) == sorted(CLI.commands)


def test_every_command_and_option_is_documented() -> None:
    text = DOCUMENTS["docs/commands.md"]
    shared = options_of("plan")
    for name in CLI.commands:
        row = re.search(rf"^\| `sft {name}\b.*$", text, re.MULTILINE)
        assert row is not None, name
        for option in options_of(name) - {"--help", "--do-eval"}:
            has_table = option in shared or name == "run-experiments"
            assert f"`{option}" in (text if has_table else row[0]), (name, option)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_stand_in_blocks_of_the_shell(document: str) -> None:
    """In blocks that are not marked as such they would not be read."""
    unmarked = [block.text for block in blocks(DOCUMENTS[document], "") if UNMARKED.search(block.text)]
    assert unmarked == []
