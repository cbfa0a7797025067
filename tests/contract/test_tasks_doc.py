"""docs/tasks.md says of task types and objectives what they say of themselves, and shows a config of each type.

Where its tables do not, `python -m tests.support.task_tables` writes them anew.
"""

import re

import pytest

from sft.tasks import task_registry
from tests.contract.documents import DOCUMENTS, blocks
from tests.support.method_tables import shown_table, written
from tests.support.task_tables import task_tables

NAME = "docs/tasks.md"
PAGE = DOCUMENTS[NAME]


@pytest.mark.parametrize(("title", "lines"), list(task_tables()))
def test_the_tables_are_those_of_the_program(title: str, lines: list[str]) -> None:
    assert shown_table(PAGE, title) == lines


def test_the_page_is_written_as_it_is() -> None:
    assert written(PAGE, task_tables()) == PAGE
    assert written(PAGE.replace("| per label |", "| in total |"), task_tables()) == PAGE


def test_every_task_type_has_a_config_on_the_page() -> None:
    shown = {name for block in blocks(PAGE, "jsonnet") for name in re.findall(r"task_type: '(\w+)'", block.text)}
    assert shown == set(task_registry)
