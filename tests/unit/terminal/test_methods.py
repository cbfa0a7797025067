"""`sft methods --matrix` as text."""

from sft.terminal.methods import matrix_lines

NO = "it reads the weight"
MATRIX = [
    {
        "objective": "causal_lm",
        "methods": [
            {"name": "lora", "trains": {"plain": None, "nf4": None}, "merges": {"plain": None, "nf4": "rounded"}},
            {"name": "hra", "trains": {"plain": NO, "nf4": NO}, "merges": {"plain": None, "nf4": None}},
        ],
    }
]


def test_a_cell_says_whether_a_method_trains_and_merges_and_a_refusal_has_its_reason() -> None:
    head, names, lora, hra, _, legend, *reasons = matrix_lines(MATRIX)
    assert "causal_lm" in head
    assert [line.split() for line in (names, lora, hra)] == [
        ["plain", "nf4"],
        ["lora", "merges", "trains"],
        ["hra", "-", "-"],
    ]
    assert lora.index("trains") == names.index("nf4") == hra.rindex("-")
    assert legend.startswith("merges: ")
    assert reasons == [f"  hra on plain, nf4: {NO}"]
