"""Conversations: a column of turns, in whichever of the common shapes a file has it.

`messages` with `role` and `content` is read as it is, ShareGPT's `conversations` with `from` and `value` likewise, and
Alpaca's three columns make a conversation of two turns.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from sft.data.tables import NULL_TEXT, Column, ListColumn, Table
from sft.exceptions import DataError
from sft.wording import json_kind, quoted

MESSAGES = "messages"
SHAREGPT = "conversations"
ALPACA = ("instruction", "input", "output")
ROLES = {"system": "system", "user": "user", "assistant": "assistant", "human": "user", "gpt": "assistant"}
"""Role as written -> role as chat templates know it."""

_LOOKED_AT = 100
"""Cells in which turns are looked for."""

NamedRow = Callable[[int], str]
"""What messages call a row by its place."""


class Conversation(list[dict[str, str]]):
    """The turns of a row, `{role, content}` with the roles system, user and assistant; the last one is the answer.

    A list, so that files have it as JSON has it.
    """

    @property
    def prompt(self) -> list[dict[str, str]]:
        """The turns before the answer."""
        return self[:-1]

    @property
    def answer(self) -> str:
        """The text of the last turn."""
        return self[-1]["content"]


class OpenConversation(Conversation):
    """The turns of a row that is still to be answered: all of them are the prompt."""

    @property
    def prompt(self) -> list[dict[str, str]]:
        """All turns."""
        return list(self)

    @property
    def answer(self) -> str:
        """There is none."""
        return ""


class NoAnswer(ValueError):
    """A cell that holds no answer to learn or to compare with."""


class ConversationColumn(ListColumn):
    """Conversations as cells, None where a row has none; their text is the answer."""

    def __init__(self, cells: Sequence[Conversation | None]) -> None:
        super().__init__(cells)
        self._answers = [None if cell is None else cell.answer for cell in cells]

    @cached_property
    def texts(self) -> Sequence[str]:
        """The answer of every cell."""
        return [NULL_TEXT if answer is None else answer for answer in self._answers]

    def missing(self) -> Sequence[int]:
        """The positions of rows without a conversation."""
        return [index for index, answer in enumerate(self._answers) if answer is None]


def conversations_of(table: Table, column: str, named: NamedRow, *, drop: bool) -> Column | None:
    """The conversations of a table.

    Args:
        table: as it was read.
        column: its name; `messages` is also made of `conversations`, or of Alpaca's columns, where it is not there.
        named: names a row in messages.
        drop: whether a row without an answer is a missing cell, and no error.

    Returns:
        None where no column holds turns.

    Raises:
        DataError: a row is no conversation; names it.
    """
    turns = _turns_of(table, column)
    if turns is None:
        return None
    found: list[Conversation | None] = []
    for place, cell in enumerate(turns):
        try:
            found.append(conversation_of(cell))
        except NoAnswer as error:
            if not drop:
                hint = "write one, or leave such rows out with dataset.on_missing: drop"
                raise DataError(f"{named(place)}: {quoted(column)} {error}; {hint}") from None
            found.append(None)
        except ValueError as error:
            raise DataError(f"{named(place)}: {quoted(column)} {error}") from None
    return ConversationColumn(found)


def conversation_of(cell: Any) -> Conversation:
    """The turns of a cell up to its last assistant turn.

    Raises:
        NoAnswer: there is no assistant turn, or it is empty; the message goes on from the name of the column.
        ValueError: the cell is no list of turns.
    """
    turns = _turns(cell)
    last = max((number for number, turn in enumerate(turns) if turn["role"] == "assistant"), default=None)
    if last is None:
        raise NoAnswer("has no assistant turn")
    if not turns[last]["content"].strip():
        raise NoAnswer("has an empty last assistant turn")
    if last == 0:
        raise ValueError("has nothing before its assistant turn, so there is no prompt")
    return Conversation(turns[: last + 1])


def asked_conversation(cell: Any) -> Conversation:
    """The turns of a cell of a new row: all of them are the prompt, but for an answer at the end.

    Raises:
        NoAnswer: there is no turn; the message goes on from the name of the column.
        ValueError: the cell is no list of turns.
    """
    turns = _turns(cell)
    return conversation_of(turns) if turns[-1]["role"] == "assistant" else OpenConversation(turns)


def asked_turns(cells: Mapping[str, Any], column: str) -> Any:
    """What holds the turns of a column in a new row; `conversations` and Alpaca's columns stand for `messages`."""
    if column in cells or column != MESSAGES:
        return cells.get(column)
    if SHAREGPT in cells or ALPACA[0] not in cells:
        return cells.get(SHAREGPT)
    asked = "\n\n".join(str(cells[name]) for name in ALPACA[:2] if cells.get(name))
    return [{"role": "user", "content": asked}] if asked else []


def _turns(cell: Any) -> list[dict[str, str]]:
    """A cell as turns, at least one."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except ValueError:
            raise ValueError("holds text that is not a JSON list of turns") from None
    if cell in (None, "", []):
        raise NoAnswer("has no turn")
    if not isinstance(cell, list):
        raise ValueError(
            f"holds {json_kind(cell)} and not a list of turns, {{role, content}}; only a column of conversations may "
            "be both in prompting.input_columns and prompting.output_column"
        )
    return [_turn(number, turn) for number, turn in enumerate(cell)]


def holds_turns(column: Column, n_rows: int) -> bool:
    """Whether the first cell that is not empty is a list of turns."""
    cells = (column.value(place) for place in range(min(n_rows, _LOOKED_AT)))
    cell = next((cell for cell in cells if cell not in (None, "", [])), None)
    return isinstance(cell, list) and bool(cell) and all(_is_turn(turn) for turn in cell)


def _is_turn(turn: Any) -> bool:
    """Whether an item of a list has the keys of a turn, by either of their names."""
    return isinstance(turn, dict) and ({"role", "content"} <= turn.keys() or {"from", "value"} <= turn.keys())


def _turns_of(table: Table, column: str) -> Iterator[Any] | None:
    """The cells that hold the turns of a column, as they were read."""
    source = column if table.has(column) or column != MESSAGES else SHAREGPT
    if table.has(source):
        cells = table.column(source)
        return (cells.value(place) for place in range(table.n_rows))
    return _alpaca(table) if column == MESSAGES and table.has(ALPACA[0]) and table.has(ALPACA[2]) else None


def _alpaca(table: Table) -> Iterator[Any]:
    """Instruction and input, a blank line between them, as the user's turn, and the output as the answer."""
    columns = [table.column(name) if table.has(name) else None for name in ALPACA]
    for place in range(table.n_rows):
        instruction, given, output = ("" if own is None else own.value(place) or "" for own in columns)
        asked = "\n\n".join(str(text) for text in (instruction, given) if text)
        yield [{"role": "user", "content": asked}, {"role": "assistant", "content": str(output)}] if asked else []


def _turn(number: int, turn: Any) -> dict[str, str]:
    """A turn by the names of chat templates; numbers in messages count from 0."""
    if not isinstance(turn, dict):
        raise ValueError(f"holds {json_kind(turn)} as turn {number}; a turn is {{role, content}}")
    role, content = turn.get("role") or turn.get("from"), turn.get("content", turn.get("value"))
    if not isinstance(role, str) or role not in ROLES:
        raise ValueError(f"has the role {role!r} in turn {number} (from 0); roles are {', '.join(ROLES)}")
    if isinstance(content, list) and all(isinstance(part, dict) and _is_text(part) for part in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise ValueError(f"has no text in turn {number} (from 0), but {json_kind(content)}")
    return {"role": ROLES[role], "content": content}


def _is_text(part: dict[str, Any]) -> bool:
    """Whether a part of a content is text, and no image."""
    return part.get("type", "text") == "text" and isinstance(part.get("text"), str)
