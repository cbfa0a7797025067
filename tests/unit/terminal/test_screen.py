"""Tables and lines for terminals of any width, and for what is none."""

import io

import pytest
from rich.cells import cell_len

from sft.terminal.screen import BEST, Column, Screen, best_cells, drawn, line, screen_of, table

NAMES = ["a", "qwen-0.5B/lora-pissa/shots16/seed13", "日本語"]
COLUMNS = [
    Column("#", ["1", "2", "n/a"]),
    Column("experiment", NAMES, least=12),
    Column("macro_f1", ["0.7101", "0.5", "n/a"], styles={0: BEST}),
    Column("accuracy", ["0.1", "0.2", "0.3"], leaves=1),
    Column("ece", ["0.1", "0.2", "0.3"], leaves=2),
]


def text(columns: list[Column], width: int | None = None, *, colour: bool = False) -> str:
    screen = Screen(width, colour)
    return drawn(table(columns, screen), screen)


def test_without_a_terminal_nothing_is_left_out_and_every_byte_is_known() -> None:
    assert text(COLUMNS) == (
        "  #  experiment                           macro_f1  accuracy  ece\n"
        "─────────────────────────────────────────────────────────────────\n"
        "  1  a                                      0.7101       0.1  0.1\n"
        "  2  qwen-0.5B/lora-pissa/shots16/seed13       0.5       0.2  0.2\n"
        "n/a  日本語                                    n/a       0.3  0.3"
    )


@pytest.mark.parametrize("width", range(26, 90))
def test_it_fits_every_width_and_names_stay_whole(width: int) -> None:
    lines = text(COLUMNS, width).splitlines()
    assert max(map(cell_len, lines)) <= width
    joined = "".join(shown[5:].split("  ")[0].strip() for shown in lines[2:])
    assert joined.startswith("".join(NAMES))


def test_the_least_important_columns_leave_first_and_are_named() -> None:
    shown = text(COLUMNS, 41)
    assert "No room at this width for: ece" in shown
    assert "accuracy" in shown.splitlines()[0]
    assert "No room at this width for: accuracy, ece" in text(COLUMNS, 34).replace("\n", " ")


def test_names_are_folded_where_they_have_a_joint() -> None:
    shown = text([Column("name", ["model-one/lora-pissa"], least=10), Column("x", ["1"])], 16)
    assert [row.split()[0] for row in shown.splitlines()[2:]] == ["model-one/", "lora-pissa"]


def named(names: list[str], width: int) -> list[str]:
    """What stands below the header, the lines of one name after the other."""
    shown = text([Column("name", names, least=8, is_name=True), Column("x", [""] * len(names))], width + 3)
    return [row.strip() for row in shown.splitlines()[2:]]


def test_names_break_after_slashes_alone_and_take_two_lines() -> None:
    assert named(["model-one/lora-pissa"], 12) == ["model-one/", "lora-pissa"]
    assert named(["zero-shot-contextual"], 12) == ["zero-…extual"]
    assert named(["model-one/lora/shots4/seed13"], 14) == ["model-one/…", "shots4/seed13"]
    assert named(["日本語日本語日本語/abcd"], 8) == ["日…語/", "abcd"]


def test_names_that_would_look_alike_stay_whole() -> None:
    names = ["one/two/a/three/four", "one/two/b/three/four"]
    assert named(names, 10) == ["one/two/a/", "three/four", "one/two/b/", "three/four"]
    names = ["model/pca/4/rank-8/x", "model/pca/8/rank-8/x"]
    assert named(names, 9) == ["model/", "pca/4/", "rank-8/x", "model/", "pca/8/", "rank-8/x"]
    assert named([names[0], "z"], 9) == ["model/…", "rank-8/x", "z"]
    assert named([names[0], names[0]], 9) == ["model/…", "rank-8/x"] * 2


def test_long_texts_are_cut_and_never_folded() -> None:
    columns = [Column("text", ["word " * 100], least=8, cut_at=40), Column("gold", ["pos"], least=4, cut_at=10)]
    for width, length in ((None, 40), (30, 24)):
        (row,) = text(columns, width).splitlines()[2:]
        assert row == f"{('word ' * 100)[: length - 1]}…  pos"


def test_control_characters_and_markup_are_shown_never_obeyed() -> None:
    hostile = "[red]x[/red]\x1b[31mred\x07\u202e\ttab\nline :warning:"
    for colour in (False, True):
        shown = drawn([line(hostile), *table([Column(hostile, [hostile], least=9)], Screen())], Screen(None, colour))
        for part in (r"[red]x[/red]\x1b[31mred\x07\u202e\ttab\nline :warning:", "\\u202e"):
            assert part in shown
        assert "\x1b[31m" not in shown
        assert "\x07" not in shown


def test_colours_stand_only_where_they_are_wanted() -> None:
    assert "\x1b[" not in text(COLUMNS, 80)
    assert "\x1b[1;32m  0.7101\x1b[0m" in text(COLUMNS, 80, colour=True)


def test_long_lines_wrap_on_a_terminal_alone() -> None:
    words = line("word " * 50)
    assert len(drawn([words], Screen()).splitlines()) == 1
    assert max(map(len, drawn([words], Screen(40)).splitlines())) <= 40


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_colour", [False, True])
def test_a_terminal_has_a_width_and_colour_unless_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, no_colour: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "93")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    assert screen_of(Terminal()) == Screen(93, colour=not no_colour)
    assert screen_of(io.StringIO()) == Screen(None, colour=False)


def test_the_best_value_is_painted_in_the_direction_of_its_record() -> None:
    values = [0.2, None, 0.4, 0.2]
    assert best_cells(values, higher=True) == {2: BEST}
    assert best_cells(values, higher=False) == {0: BEST, 3: BEST}
    assert best_cells(values, higher=None) == {}
    assert best_cells([0.2, 0.2], higher=True) == {}
