"""What `sft inspect` draws, without colour and with."""

import io
from typing import Any

import pytest

from sft.terminal.inspection import inspection_text
from sft.terminal.screen import visible, wants_colour


def row(**changes: Any) -> dict[str, Any]:
    segments = [("control", "<|u|>"), ("prompt", "one\ntwo"), ("control", "<|a|>"), ("prompt", "\n")]
    segments += [("answer", "good"), ("stop", "\n\n")]
    made = {
        "split": "test",
        "index": 4,
        "source_index": 17,
        "prompt_ids": [1, 2, 3],
        "completion_ids": [8, 9],
        "loss_mask": [0, 0, 0, 1, 1],
        "segments": [{"kind": kind, "text": text} for kind, text in segments],
        "cut": None,
        "n_special": 0,
    }
    return made | changes


def cost(**changes: int) -> dict[str, int]:
    made = {"prompts": 2, "distinct": 1, "common": 7, "labels": 3, "label_inputs": 5, "naive": 12_000, "shared": 4_000}
    return made | changes


def node(text: str, parent: int | None, *labels: str, is_stop: bool = False) -> dict[str, Any]:
    return {"id": 100 + len(text), "text": text, "parent": parent, "is_stop": is_stop, "labels": list(labels)}


def text_of(colour: bool = False, **changes: Any) -> str:
    found: dict[str, Any] = {"reads": "prompt", "rows": [row()], "label_ids": {}, "label_trie": [], "cost": cost()}
    return inspection_text(found | changes, colour=colour)


def test_a_text_that_is_learned_whole_has_no_answer_and_runs_once() -> None:
    text = {"segments": [{"kind": "prompt", "text": "one two"}], "completion_ids": [], "loss_mask": [0, 1, 1]}
    lines = text_of(rows=[row(**text)], reads="whole", cost=cost(labels=0)).splitlines()
    assert lines[:1] + lines[2:5] == [
        "Every token of a text after its first is trained on and measured.",
        "test 4 (row 17): 3 tokens",
        "  | one two",
        "  ids: 1 2 3",
    ]
    assert lines[-1] == "  each text by itself, once: 12,000"


def test_a_text_that_a_head_reads_has_no_answer() -> None:
    text = {"segments": [{"kind": "prompt", "text": "one two"}], "completion_ids": [], "loss_mask": [0, 0, 0]}
    rows = [row(**text, gold=["bad", "good"]), row(**text, gold=[])]
    lines = text_of(rows=rows, reads="text", cost=cost(labels=0), head_labels=["bad", "good"]).splitlines()
    assert lines[:1] + lines[2:6] + lines[10:11] + lines[12:13] == [
        "Texts as the model reads them; its head gives each label a number, and nothing is written.",
        "test 4 (row 17): 3 tokens",
        "  | one two",
        "  ids: 1 2 3",
        "  gold: bad, good",
        "  gold: no label",
        "The model's head gives one number for each of: bad, good",
    ]


def test_a_row_is_shown_with_its_answer_in_brackets() -> None:
    lines = text_of().splitlines()
    assert lines[0].startswith("[[...]] marks what is trained on and scored")
    assert lines[2:10] == [
        "test 4 (row 17): 3 prompt + 2 answer tokens",
        "  | <|u|>one",
        "  | two<|a|>",
        "  | [[good]][[\\n\\n]]",
        "  prompt ids: 1 2 3",
        "  answer ids (trained, scored): 8 9",
        "",
        "Tokens that run through the model for the 2 evaluated rows, about:",
    ]
    assert "\x1b" not in text_of()


def test_colours_tell_prompt_control_tokens_answer_and_stop_apart() -> None:
    text = text_of(colour=True)
    for part in (
        "\x1b[35m<|u|>\x1b[0m\x1b[2mone",
        "\x1b[1;32mgood\x1b[0m",
        "\x1b[1;36m\\n\\n\x1b[0m",
        "\x1b[2m1 2 3\x1b[0m",
        "\x1b[1;32m8 9\x1b[0m",
    ):
        assert part in text
    assert "[[" not in text


def test_real_control_tokens_are_marked_where_data_looks_like_them() -> None:
    text = text_of(rows=[row(n_special=2)])
    assert "  2 control-token strings in the data, read as ordinary text; real control tokens stand in << >>" in text
    assert "| <<<|u|>>>one" in text


def test_cuts_are_told_in_words() -> None:
    cut = {"input_tokens": 12, "output_tokens": 1, "examples": 4, "fitted_tokens": 0}
    lines = text_of(rows=[row(cut=cut)]).splitlines()
    assert lines[3:6] == [
        "  12 tokens cut from the ends of input columns (prompting.max_input_length)",
        "  1 token cut from the ends of answers (prompting.max_output_length)",
        "  4 in-context examples left out at the front, so that the whole fits",
    ]
    fitted = {"input_tokens": 0, "output_tokens": 0, "examples": 0, "fitted_tokens": 3}
    assert "  3 tokens cut from the end of the longest input column" in text_of(rows=[row(cut=fitted)])


def test_earlier_answers_that_are_trained_and_turns_that_gave_way_are_told() -> None:
    cut = {"input_tokens": 0, "output_tokens": 0, "examples": 0, "fitted_tokens": 0, "turns": 2}
    lines = text_of(rows=[row(loss_mask=[0, 1, 1, 1, 1], cut=cut)]).splitlines()
    assert "  2 tokens of earlier answers are trained too (1 in loss_mask of --json)" in lines
    assert "  2 turns left out, the oldest first, so that the whole fits" in lines


def test_the_ids_of_a_long_prompt_are_shortened_and_a_row_without_gold_has_no_answer() -> None:
    text = text_of(rows=[row(prompt_ids=list(range(100)), completion_ids=[])])
    assert " 14 15 ... (68 more) ... 84 85 " in text
    assert "answer ids" not in text


def test_text_of_others_cannot_steer_the_terminal() -> None:
    hostile = [{"kind": "prompt", "text": "a\x1b[2Jb [bold]c[/bold]"}]
    assert "  | a\\x1b[2Jb [bold]c[/bold]" in text_of(rows=[row(segments=hostile)])
    assert visible("å\u202e\t\nx") == "å\\u202e\\t\nx"


def test_the_tree_of_labels_joins_what_does_not_branch_and_names_labels_where_they_end() -> None:
    trie = [
        node("card", None),
        node("!", 0, "card", is_stop=True),
        node(" lo", 0),
        node("st", 2),
        node("!", 3, "card lost", is_stop=True),
        node("x", None, "x"),
    ]
    text = text_of(label_ids={"card": [104, 101], "card lost": [1, 2], "x": [3]}, label_trie=trie)
    assert (
        "Labels as a tree of 6 tokens, what they share runs once:\n"
        "├── 'card' 104\n"
        "│   ├── stop '!' 101 = card\n"
        "│   └── ' lo' 103 'st' 102 stop '!' 101 = card lost\n"
        "└── 'x' 101 = x\n"
    ) in text
    assert "  'card': [104, 101]\n" in text


def test_a_label_that_ends_inside_another_stands_at_its_node() -> None:
    trie = [node("1", None, "1"), node("2", 0, "12")]
    assert "└── '1' 101 = 1\n    └── '2' 101 = 12\n" in text_of(label_ids={"1": [1], "12": [1, 2]}, label_trie=trie)


def test_long_label_sets_are_shortened_with_a_count() -> None:
    trie = [node(f"label{number}", None, f"label{number}") for number in range(100)]
    text = text_of(label_ids={f"label{number}": [number] for number in range(100)}, label_trie=trie)
    assert "  'label23': [23]\n  ... and 76 more labels\n" in text
    assert "├── 'label23' 107 = label23\n└── ... and 76 more labels of 76 tokens\n" in text
    assert "label24" not in text


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            [
                "  each label after each prompt: 12,000 (2 prompts x 3 labels)",
                "  shared: 4,000, 3.0 times fewer: the 7 tokens that all prompts begin with once, then the rest, and "
                "5 label tokens after each of 1 different prompt",
            ],
        ),
        (
            {"labels": 0, "label_inputs": 0},
            [
                "  each prompt by itself: 12,000",
                "  shared: 4,000, 3.0 times fewer: the 7 tokens that all prompts begin with once, then the rest",
                "  what the model writes comes on top",
            ],
        ),
        (
            {"labels": 0, "shared": 12_000},
            [
                "  each prompt by itself: 12,000",
                "  shared: the same, for the prompts hardly begin alike",
                "  what the model writes comes on top",
            ],
        ),
    ],
)
def test_the_cost_is_told_with_and_without_sharing(changes: dict[str, int], lines: list[str]) -> None:
    text = text_of(cost=cost(**changes)).splitlines()
    start = text.index("Tokens that run through the model for the 2 evaluated rows, about:")
    assert text[start + 1 :] == lines


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())


def test_what_was_written_for_lm_eval_ends_with_the_command() -> None:
    task = {
        "task": "sft-a-12345678",
        "rows": 40,
        "files": ["d/sft-a-12345678.yaml"],
        "notes": ["a note"],
        "metric": "accuracy",
        "accuracy": 0.675,
        "command": "cd d && lm_eval --model hf",
    }
    *_, first, wrote, note, accuracy, command = text_of(lm_eval=task).split("\n")
    assert first.startswith("Task sft-a-12345678 for lm-eval: 40 test rows")
    assert (wrote, note) == ("  wrote d/sft-a-12345678.yaml", "  note: a note")
    assert accuracy == "  its acc must be 0.6750, the accuracy here"
    assert command == "cd d && lm_eval --model hf"
    assert "not measured yet" in text_of(lm_eval=task | {"accuracy": None})
    assert "its acc" not in text_of(lm_eval=task | {"accuracy": None, "metric": None})
