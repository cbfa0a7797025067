import pytest

from sft.processes.visible_gpus import first_only, shows_none, visible_names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, None),
        *((word, ()) for word in ("", " ", "-1", "none", "void", "NoDevFiles", "VOID", "-1,0", "none,1")),
        ("0", ("0",)),
        (" 2 ,0,2", ("2", "0")),
        ("1,-1,2", ("1",)),
        ("GPU-a,NoDevFiles,GPU-b", ("GPU-a",)),
        ("MIG-a/1/0", ("MIG-a/1/0",)),
    ],
)
def test_what_a_value_shows(value: str | None, names: tuple[str, ...] | None) -> None:
    assert visible_names(value) == names
    assert shows_none(value) is (names == ())


@pytest.mark.parametrize(("value", "first"), [(None, "0"), ("", ""), ("void", ""), ("3,1", "3"), ("GPU-a", "GPU-a")])
def test_the_first_of_them(value: str | None, first: str) -> None:
    assert first_only(value) == first
