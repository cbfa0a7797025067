"""Answers to new rows, as they are wanted."""

from sft.deployment.new_rows.origin import Origin

WANTED = Origin(
    experiment="a" * 16,
    name="lora",
    folder="/results/experiments/lora-aaaaaaaa",
    input="/data/new.csv",
    sha256="1" * 64,
    columns=["text"],
    on_missing="error",
    read={"encoding": "utf-8", "sep": None, "quote": None},
    n_rows=10,
    n_dropped=0,
)
