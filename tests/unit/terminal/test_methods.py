"""`sft methods --matrix` as text."""

from sft.terminal.methods import matrix_lines

NO = "does not train {} weights: those stored as {} are fixed"
MATRIX = [
    {
        "objective": "causal_lm",
        "methods": [
            {"name": "lora", "trains": {"plain": None, "nf4": None}, "merges": {"plain": None, "nf4": "rounded"}},
            *(
                {
                    "name": name,
                    "trains": {kind: f"{name} {NO.format(kind, kind)}" for kind in ("plain", "nf4")},
                    "merges": {"plain": None, "nf4": None},
                }
                for name in ("hra", "loha")
            ),
            {"name": "full", "trains": {"plain": None, "nf4": "nf4 is fixed"}, "merges": {"plain": None, "nf4": None}},
        ],
    }
]


def test_a_cell_says_whether_a_method_trains_and_merges_and_a_refusal_has_its_reason() -> None:
    head, names, lora, hra, _, full, _, legend, *reasons = matrix_lines(MATRIX)
    assert "causal_lm" in head
    assert [line.split() for line in (names, lora, hra, full)] == [
        ["plain", "nf4"],
        ["lora", "merges", "trains"],
        ["hra", "-", "-"],
        ["full", "merges", "-"],
    ]
    assert lora.index("trains") == names.index("nf4") == hra.rindex("-")
    assert legend.startswith("merges: ")
    assert reasons == [
        "  hra, loha on plain, nf4: it does not train such weights: those stored so are fixed",
        "  full on nf4: nf4 is fixed",
    ]
