"""The documents of the project, and what tests look for in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "benchmarks", "etc", "sft", "tests")
FENCE = re.compile(r"^(```+)(\w*)\n(.*?)^\1$\n?", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:\A|(?<=\n\n))(?:(?: {4}.*)?\n)* {4}.*(?:\n|\Z)")
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code that stands apart; `kind` is the word after the fence, empty without one, `indented` without a fence."""

    kind: str
    text: str


def found_documents() -> dict[str, str]:
    """Path -> text of every Markdown file but those that a user of the test cases brings."""
    files = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
    names = {path.relative_to(ROOT).as_posix(): path for path in sorted(files)}
    return {name: path.read_text("utf-8") for name, path in names.items() if not name.startswith("tests/cases/")}


DOCUMENTS = found_documents()
README = DOCUMENTS["README.md"]


def blocks(text: str, kind: str | None = None) -> list[Block]:
    """The code blocks of a document, those of one kind if it is given."""
    fenced = [Block(found[2], found[3]) for found in FENCE.finditer(text)]
    indented = [Block("indented", found[0]) for found in INDENTED.finditer(FENCE.sub("\n", text))]
    return [block for block in (*fenced, *indented) if kind in (None, block.kind)]


def prose(text: str) -> str:
    """A document without its code blocks."""
    return INDENTED.sub("", FENCE.sub("\n", text))


def spans(text: str) -> list[str]:
    """What stands between backticks in the prose of a document, on one line."""
    return [found[2] for found in CODE.finditer(prose(text)) if "\n" not in found[2]]


def links(text: str) -> list[str]:
    """The targets of a document's links and pictures."""
    return LINK.findall(CODE.sub("", prose(text)))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a document.

    That is the text in lower case without punctuation, with hyphens for blanks, and with a number if it is there
    already.
    """
    titles = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in HEADING.findall(prose(text))]
    names = sorted(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)
    return {f"{name}-{n}" if n else name for name, same in groupby(names) for n, _ in enumerate(same)}


def broken_links(name: str, text: str) -> list[str]:
    """The links of the document `name` whose file or heading does not exist; addresses of the web are not asked."""
    return [target for target in links(text) if "://" not in target and not leads_somewhere(name, target)]


def leads_somewhere(name: str, target: str) -> bool:
    path, _, anchor = target.partition("#")
    place = ((ROOT / name).parent / path).resolve() if path else ROOT / name
    if not place.is_relative_to(ROOT) or not place.exists():
        return False
    return not anchor or anchor in anchors(DOCUMENTS.get(place.relative_to(ROOT).as_posix(), ""))


def section(name: str, title: str) -> str:
    """The part of a document below a heading of the second level."""
    return DOCUMENTS[name].split(f"\n## {title}\n")[1].split("\n## ")[0]


def shell_lines(text: str) -> Iterator[str]:
    """The lines that are typed into a shell, one for each command, also those inside `$(...)`."""
    for block in blocks(text):
        if block.kind in ("bash", "sh", "indented"):
            for line in block.text.replace("\\\n", " ").splitlines():
                parts = [*re.split(r"&&|\|\||;", line), *re.findall(r"\$\((.*?)\)", line)]
                yield from (part.strip() for part in parts)
