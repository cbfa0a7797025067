"""Rows and label sets as the model will see them, on the terminal: in colour, or with marks where there is none."""

import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from sft.terminal.screen import visible
from sft.wording import counted

SHOWN_IDS = 16
"""Ids shown of each end of a long prompt."""

STYLES = {"prompt": "dim", "control": "magenta", "opening": "magenta", "answer": "bold green", "stop": "bold cyan"}

OF_DECODER = ("opening", "answer", "stop")
"""Kinds of segments that a decoder of its own has before it, or writes."""

LEGEND = "Prompts are dim and their control tokens violet; green answers and blue stops are trained on and scored."

PLAIN_LEGEND = "[[...]] marks what is trained on and scored: the answer, then its stop."

WITHOUT_ANSWERS = {
    "text": "Texts as the model reads them; its head gives each label a number, and nothing is written.",
    "whole": "Every token of a text after its first is trained on and measured.",
}
"""What is read where nothing is written -> the line on top of the rows."""

CUTS = {
    "input_tokens": "{} cut from the ends of input columns (prompting.max_input_length)",
    "output_tokens": "{} cut from the ends of answers (prompting.max_output_length)",
    "fitted_tokens": "{} cut from the end of the longest input column, so that the whole fits",
}

SHOWN_LABELS = 24
"""Labels that are drawn; the others are counted."""

Nodes = Sequence[Mapping[str, Any]]


def inspection_text(found: Mapping[str, Any], *, colour: bool = False) -> str:
    """Each row with its answer marked, its ids and what was cut; then the labels, and what all rows cost.

    Args:
        found: as `sft.api.inspect` gives it.
        colour: whether colours tell prompt, answer and stop apart; else brackets do.
    """
    writes = found["reads"] not in WITHOUT_ANSWERS
    legend = WITHOUT_ANSWERS.get(found["reads"], LEGEND if colour else PLAIN_LEGEND)
    lines: list[Text | Tree] = [Text(legend), Text()]
    if "fold" in found:
        lines[1:1] = [
            Text(f"fold {found['fold']} of dataset.splits.folds: its training rows, examples and tested rows")
        ]
    for row in found["rows"]:
        lines += [*_row_lines(row, colour, writes=writes), Text()]
    if found["label_ids"]:
        lines += [*_label_lines(found["label_ids"]), Text()]
        lines += [label_tree(found["label_trie"], is_shared=found["reads"] != "source"), Text()]
    if "head_labels" in found:
        lines += [Text(f"The model's head gives one number for each of: {', '.join(found['head_labels'])}"), Text()]
    lines += _cost_lines(found["cost"], found["reads"])
    if "lm_eval" in found:
        lines += [Text(), *_lm_eval_lines(found["lm_eval"])]
    return _drawn(lines, colour)


def _drawn(lines: Sequence[Text | Tree], colour: bool) -> str:
    # Beyond a terminal's width a tree would be cut; what is no terminal has none.
    width = shutil.get_terminal_size().columns if colour else 10_000
    system: Any = "standard" if colour else None
    console = Console(file=io.StringIO(), force_terminal=colour, color_system=system, no_color=not colour, width=width)
    with console.capture() as captured:
        for line in lines:
            console.print(line, soft_wrap=isinstance(line, Text), highlight=False)
    return "\n".join(line.rstrip() for line in captured.get().split("\n")).rstrip("\n")


def _row_lines(row: Mapping[str, Any], colour: bool, *, writes: bool) -> Iterator[Text]:
    n_prompt, n_answer, opening = len(row["prompt_ids"]), len(row["completion_ids"]), row.get("opening_ids")
    read = "prompt" if opening is None else "encoder"
    n_tokens = f"{n_prompt} {read} + {n_answer} answer tokens" if writes else counted(n_prompt, "token")
    yield Text(f"{row['split']} {row['index']} (row {row['source_index']}): {n_tokens}")
    yield from (Text(f"  {note}") for note in _notes(row, writes=writes))
    doubtful = bool(row["n_special"])
    if opening is None:
        yield from _body(row["segments"], colour, doubtful)
    else:
        written = [segment for segment in row["segments"] if segment["kind"] in OF_DECODER]
        yield from _body(row["segments"][: -len(written)], colour, doubtful, "  encoder | ")
        yield from _body(written, colour, doubtful, "  decoder | ")
    yield Text(f"  {read} ids: " if writes else "  ids: ").append(_ids(row["prompt_ids"]), style=STYLES["prompt"])
    if opening is not None:
        yield Text("  ids that the decoder begins with: ").append(_ids(opening), style=STYLES["opening"])
    if "gold" in row:
        yield Text("  gold: ").append(visible(", ".join(row["gold"]) or "no label"), style=STYLES["answer"])
    if n_answer:
        yield Text("  answer ids (trained, scored): ").append(_ids(row["completion_ids"]), style=STYLES["answer"])


def _notes(row: Mapping[str, Any], *, writes: bool) -> Iterator[str]:
    cut = row["cut"] or {}
    for name, text in CUTS.items():
        if cut.get(name):
            yield text.format(counted(cut[name], "token"))
    if cut.get("examples"):
        yield f"{counted(cut['examples'], 'in-context example')} left out at the front, so that the whole fits"
    if cut.get("turns"):
        yield f"{counted(cut['turns'], 'turn')} left out, the oldest first, so that the whole fits"
    n_earlier = sum(row["loss_mask"][: len(row["prompt_ids"])])
    if n_earlier and writes:
        yield f"{counted(n_earlier, 'token')} of earlier answers are trained too (1 in loss_mask of --json)"
    if row["n_special"]:
        yield (
            f"{counted(row['n_special'], 'control-token string')} in the data, read as ordinary text; "
            "real control tokens stand in << >>"
        )


def _body(segments: Sequence[Mapping[str, str]], colour: bool, doubtful: bool, margin: str = "  | ") -> list[Text]:
    """The text line by line. Real control tokens are marked where the data holds strings that look like them."""
    lines = [Text(margin)]
    for segment in segments:
        kind = segment["kind"]
        text = segment["text"].replace("\n", "\\n") if kind == "stop" else segment["text"]
        if kind in ("control", "opening") and doubtful:
            text = f"<<{text}>>"
        if kind in ("answer", "stop") and not colour:
            text = f"[[{text}]]"
        first, *others = visible(text).split("\n")
        lines[-1].append(first, style=STYLES[kind])
        lines += [Text(margin).append(other, style=STYLES[kind]) for other in others]
    return lines


def _ids(ids: Sequence[int]) -> str:
    if len(ids) <= 2 * SHOWN_IDS + 1:
        return " ".join(map(str, ids))
    left_out = len(ids) - 2 * SHOWN_IDS
    return f"{_ids(ids[:SHOWN_IDS])} ... ({left_out} more) ... {_ids(ids[-SHOWN_IDS:])}"


def _label_lines(label_ids: Mapping[str, Sequence[int]]) -> Iterator[Text]:
    yield Text("Label tokens, with those of the stop:")
    for label, ids in list(label_ids.items())[:SHOWN_LABELS]:
        yield Text(f"  {label!r}: {list(ids)}")
    if len(label_ids) > SHOWN_LABELS:
        yield Text(f"  ... and {counted(len(label_ids) - SHOWN_LABELS, 'more label')}")


def _cost_lines(cost: Mapping[str, int], reads: str) -> Iterator[Text]:
    rows, naive, shared = cost["prompts"], cost["naive"], cost["shared"]
    common = f"the {cost['common']} tokens that all prompts begin with once, then the rest"
    saved = f"{shared:,}, {naive / max(1, shared):.1f} times fewer: {common}"
    yield Text(f"Tokens that run through the model for the {counted(rows, 'evaluated row')}, about:")
    if reads in ("text", "whole"):
        yield Text(f"  each text by itself, once: {naive:,}")
    elif reads == "source":
        of_labels = rows * cost["label_inputs"]
        yield Text(f"  the encoder reads each text once: {shared - of_labels:,}")
        if cost["labels"]:
            each = f"{rows} texts x {cost['labels']} labels"
            yield Text(f"  the decoder runs over each label for each text: {of_labels:,} ({each})")
        else:
            yield Text("  what the decoder writes comes on top")
    elif cost["labels"]:
        yield Text(f"  each label after each prompt: {naive:,} ({rows} prompts x {cost['labels']} labels)")
        prompts = counted(cost["distinct"], "different prompt")
        yield Text(f"  shared: {saved}, and {cost['label_inputs']} label tokens after each of {prompts}")
    else:
        yield Text(f"  each prompt by itself: {naive:,}")
        yield Text(f"  shared: {saved if shared < naive else 'the same, for the prompts hardly begin alike'}")
        yield Text("  what the model writes comes on top")


def _lm_eval_lines(task: Mapping[str, Any]) -> Iterator[Text]:
    """What was written for lm-eval; the command comes last, so that it can be cut out."""
    rows = counted(task["rows"], "test row")
    yield Text(f"Task {task['task']} for lm-eval: {rows}, which it reads as the very ids that are scored here.")
    yield from (Text(f"  wrote {path}") for path in task["files"])
    yield from (Text(f"  note: {note}") for note in task["notes"])
    if task["accuracy"] is not None:
        yield Text(f"  its acc must be {task['accuracy']:.4f}, the {task['metric']} here")
    elif task["metric"] is not None:
        yield Text(f"  its acc must be the {task['metric']} here, which is not measured yet: sft evaluate")
    yield Text(task["command"])


def label_tree(nodes: Nodes, shown: int = SHOWN_LABELS, *, is_shared: bool = True) -> Tree:
    """The tree of a label set; what does not branch stands on one line, and every label where it ends.

    Args:
        nodes: `{id, text, parent, is_stop, labels}` of each, a parent before its children.
        shown: most labels that are drawn.
        is_shared: whether labels that begin alike run together, or each by itself.
    """
    ending = [node for node, item in enumerate(nodes) for _ in item["labels"]]
    drawn = _with_ancestors(nodes, ending[:shown])
    children: dict[int | None, list[int]] = {}
    for node in drawn:
        children.setdefault(nodes[node]["parent"], []).append(node)
    how = "what they share runs once" if is_shared else "each of them runs by itself"
    tree = Tree(Text(f"Labels as a tree of {counted(len(nodes), 'token')}, {how}:"))
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
