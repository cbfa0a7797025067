"""docs/methods.md says of the methods what they say of themselves.

Where it does not, `python -m tests.support.method_tables` writes its tables anew.
"""

import pytest

from tests.contract.documents import DOCUMENTS
from tests.support.method_tables import shown_table, tables, written


@pytest.mark.parametrize(("title", "lines"), list(tables()))
def test_the_tables_are_those_of_the_program(title: str, lines: list[str]) -> None:
    assert shown_table(DOCUMENTS["docs/methods.md"], title) == lines


def test_the_page_is_written_as_it_is() -> None:
    page = DOCUMENTS["docs/methods.md"]
    assert written(page) == page
    assert written(page.replace("| trains", "| learns")) == page
