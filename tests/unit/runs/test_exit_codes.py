from typing import get_args

import pytest

from sft.exceptions import ErrorKind
from sft.runs.exit_codes import EXIT_CODES, exit_code_of, kind_of


@pytest.mark.parametrize("kind", ["killed", "crash", "timeout", "stall", "no_result"])
def test_kinds_that_no_worker_tells_have_the_code_of_any_exception(kind: str) -> None:
    assert exit_code_of(kind) == 20


def test_a_code_says_the_kind_it_was_made_of_as_far_as_it_can() -> None:
    shared = {"model", "tokenizer"}
    assert {kind: kind_of(code) for kind, code in EXIT_CODES.items() if kind not in shared} == {
        kind: kind for kind in EXIT_CODES if kind not in shared
    }
    assert {kind_of(exit_code_of(kind)) for kind in shared} == {"exception"}
    assert set(EXIT_CODES) <= set(get_args(ErrorKind))


def test_a_code_that_no_worker_chooses_is_a_crash() -> None:
    assert [kind_of(code) for code in (1, 9, 19, 21)] == ["crash"] * 4
