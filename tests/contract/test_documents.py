"""The documents hang together: links and headings, the map of the README, files that are named."""

import importlib
import re

import pytest

from tests.contract.documents import (
    DOCUMENTS,
    README,
    ROOT,
    anchors,
    blocks,
    broken_links,
    links,
    prose,
    section,
    spans,
)

MAP = "Documentation"
PAGES = [name for name in DOCUMENTS if name.startswith("docs/")]
PLACE = re.compile(r"(?:docs|benchmarks|etc|sft|tests)/[\w./-]*\w")
DOCUMENT = re.compile(r"\b(?:docs|benchmarks|etc|sft|tests)/[\w./-]+\.md\b")
CLASS = re.compile(r"\b(sft(?:\.\w+)*)\.([A-Z]\w+)")


def missing_places(text: str) -> list[str]:
    """The files and folders of the repository that are named between backticks and do not exist."""
    found = [span.partition("::")[0].rstrip("/") for span in spans(text)]
    return [place for place in found if PLACE.fullmatch(place) and not (ROOT / place).exists()]


def unmapped(pages: list[str], text: str) -> list[str]:
    """The pages to which no link of `text` leads."""
    linked = {target.partition("#")[0] for target in links(text)}
    return [page for page in pages if page not in linked]


def test_the_documents_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md"} <= set(DOCUMENTS)
    assert {"benchmarks/README.md", "etc/configs/README.md", "etc/demo/README.md", "tests/gpu/README.md"} <= set(
        DOCUMENTS
    )
    assert len(PAGES) >= 17
    assert sum(len(links(text)) for text in DOCUMENTS.values()) >= 80


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


def test_every_page_is_in_the_map_of_the_readme() -> None:
    assert unmapped(PAGES, section("README.md", MAP)) == []


def test_a_page_that_is_not_in_the_map_is_noticed() -> None:
    text = "See [a](docs/a.md#b), `[c](docs/c.md)`.\n\n    [d](docs/d.md)\n"
    assert unmapped(["docs/a.md", "docs/c.md", "docs/d.md"], text) == ["docs/c.md", "docs/d.md"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_title(name: str) -> None:
    assert DOCUMENTS[name].startswith("# ")
    assert len(re.findall(r"^# ", prose(DOCUMENTS[name]), re.MULTILINE)) == 1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    assert broken_links(name, DOCUMENTS[name]) == []


@pytest.mark.parametrize(
    ("target", "is_sound"),
    [
        ("install.md", True),
        ("install.md#extras", True),
        ("../README.md#commands", True),
        ("#extras", True),
        ("../sft/calibration/", True),
        ("https://example.org/nothing", True),
        ("docs/install.md", False),
        ("install.md#Extras", False),
        ("install.md#nothing", False),
        ("#nothing", False),
        ("../sft/nothing.py", False),
        ("../sft/grid.libsonnet#extras", False),
        ("../../elsewhere.md", False),
    ],
)
def test_a_broken_link_is_noticed(target: str, is_sound: bool) -> None:
    text = f"A [link\nof two lines]({target}), `[code](nothing.md)`.\n\n```\n[block](nothing.md)\n```\n"
    assert broken_links("docs/install.md", text) == ([] if is_sound else [target])


def test_anchors_are_those_of_github() -> None:
    text = (
        "# What `a-b` is: really, 100 %?\n\ntext\n\n## More [of](x.md) it\n### More of it\n\n"
        "```bash\n# no heading\n```\n\n    # none either\n"
    )
    assert anchors(text) == {"what-a-b-is-really-100-", "more-of-it", "more-of-it-1"}


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_named_files_exist(name: str) -> None:
    """Between backticks; the changelog names what was there once."""
    assert missing_places(DOCUMENTS[name]) == []


def test_a_named_file_that_does_not_exist_is_noticed() -> None:
    text = "`sft/exceptions.py`, `sft/nothing.py`, `tests/contract/`, `tests/nothing.py::test_it`, `data/nothing.py`"
    assert missing_places(text) == ["sft/nothing.py", "tests/nothing.py"]


def test_named_classes_exist() -> None:
    """By their path; the changelog names what was there once."""
    texts = [text for name, text in DOCUMENTS.items() if name != "CHANGELOG.md"]
    named = {place for text in texts for place in CLASS.findall(text)}
    assert named
    for module, name in named:
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_documents_that_the_program_names_exist() -> None:
    """In its docstrings, comments and messages."""
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in sorted((ROOT / "sft").rglob("*.py"))
        for name in DOCUMENT.findall(path.read_text("utf-8"))
    }
    assert len(named) >= 2
    assert [(path, name) for path, name in sorted(named) if name not in DOCUMENTS] == []


@pytest.mark.parametrize("kind", ["jsonnet", "bash"])
def test_the_first_grid_of_the_readme_is_that_of_its_page(kind: str) -> None:
    shown = blocks(section("README.md", "A first grid of your own"), kind)
    assert shown
    assert shown == blocks(section("docs/first-grid.md", "A first grid of your own"), kind)
