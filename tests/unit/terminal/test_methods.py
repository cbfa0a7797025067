"""`sft methods --matrix` as text."""

from sft.terminal.methods import WIDTH, matrix_lines, method_lines

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
    head, names, lora, hra, _, full, _, legend, plain, *reasons = matrix_lines(MATRIX)
    assert "causal_lm" in head
    assert [line.split() for line in (names, lora, hra, full)] == [
        ["plain", "nf4"],
        ["lora", "merges", "trains"],
        ["hra", "-", "-"],
        ["full", "merges", "-"],
    ]
    assert lora.index("trains") == names.index("nf4") == hra.rindex("-")
    assert legend.startswith("merges: ")
    assert plain == "plain: weights that are not quantised, in fp32 or bf16"
    assert reasons == [
        "  hra, loha on plain, nf4: it does not train such weights: those stored so are fixed",
        "  full on nf4: nf4 is fixed",
    ]


def test_methods_of_peft_are_named_on_few_lines() -> None:
    own = [{"name": "lora", "summary": "LoRA", "library": None}]
    of_peft = [{"name": f"method_{number}", "summary": "", "library": "peft"} for number in range(30)]
    _, lora, of, *names = method_lines({"adapters": [*own, *of_peft]})
    assert lora == f"  {'lora':<20} LoRA"
    assert "PEFT" in of
    assert " ".join(names).split() == [entry["name"] for entry in of_peft]
    assert max(map(len, names)) <= WIDTH
    assert all("PEFT" not in line for line in method_lines({"adapters": own}))


def test_methods_that_take_the_same_initialisers_are_on_one_line() -> None:
    taken = {"option": "init_weights", "names": ["pca", "umap"]}
    adapters = [
        {"name": "a", "summary": "", "initialisers": None},
        {"name": "b", "summary": "", "initialisers": taken},
        {"name": "c", "summary": "", "initialisers": {**taken, "names": ["pca"]}},
        {"name": "d", "summary": "", "initialisers": taken},
    ]
    *_, head, pca, both, one = method_lines(
        {"adapters": adapters, "initialisers": [{"name": "pca", "summary": "PCA"}]}
    )
    assert head.startswith("Initialisers")
    assert pca == f"  {'pca':<20} PCA"
    assert [both, one] == ["  b, d: init_weights takes pca, umap", "  c: init_weights takes pca"]
