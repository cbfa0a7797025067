"""A label set drawn as the tree of its tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from sft.cli.visible import visible
from sft.wording import counted

SHOWN_LABELS = 24
"""Labels that are drawn; the others are counted."""

Nodes = Sequence[Mapping[str, Any]]


def label_tree(nodes: Nodes, shown: int = SHOWN_LABELS) -> Tree:
    """The tree of a label set; what does not branch stands on one line, and every label where it ends.

    Args:
        nodes: `{id, text, parent, is_stop, labels}` of each, a parent before its children.
        shown: most labels that are drawn.
    """
    ending = [node for node, item in enumerate(nodes) for _ in item["labels"]]
    drawn = _with_ancestors(nodes, ending[:shown])
    children: dict[int | None, list[int]] = {}
    for node in drawn:
        children.setdefault(nodes[node]["parent"], []).append(node)
    tree = Tree(Text(f"Labels as a tree of {counted(len(nodes), 'token')}, what they share runs once:"))
    _add(tree, nodes, children, None)
    if len(ending) > shown:
        tree.add(Text(f"... and {counted(len(ending) - shown, 'more label')} of {len(nodes) - len(drawn)} tokens"))
    return tree


def _add(tree: Tree, nodes: Nodes, children: Mapping[int | None, Sequence[int]], parent: int | None) -> None:
    for first in children.get(parent, ()):
        line, last = _token(nodes[first]), first
        while not nodes[last]["labels"] and len(children.get(last, ())) == 1:
            (last,) = children[last]
            line.append(" ").append_text(_token(nodes[last]))
        for label in nodes[last]["labels"]:
            line.append(" = ").append(visible(label).replace("\n", "\\n"), style="bold")
        _add(tree.add(line), nodes, children, last)


def _token(node: Mapping[str, Any]) -> Text:
    text = Text("stop ") if node["is_stop"] else Text()
    text.append(repr(node["text"]), style="bold cyan" if node["is_stop"] else "bold green")
    return text.append(f" {node['id']}", style="dim")


def _with_ancestors(nodes: Nodes, chosen: Sequence[int]) -> list[int]:
    found: set[int] = set()
    for node in chosen:
        place: int | None = node
        while place is not None and place not in found:
            found.add(place)
            place = nodes[place]["parent"]
    return sorted(found)
