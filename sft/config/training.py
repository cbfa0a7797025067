"""The `training` section: how the adapter is trained."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sft.config.section import Section

ExampleSelection = Literal["random", "nearest"]


class TrainingConfig(Section):
    """How the adapter is trained."""

    icl_examples: Annotated[int, Field(ge=0)] = 0
    """In-context examples before each training row, per label for classification; default 0."""

    icl_selection: ExampleSelection = "random"
    """`random`, or `nearest`: the rows of the pool that are most like the training row; default random."""

    icl_encoder: str | None = None
    """Sentence-embedding model (hub id or folder) by which `nearest` compares; default none: TF-IDF of the words."""

    class_weights: Literal["none", "balanced"] = "none"
    """Classification: `balanced` weighs the loss of each training row by n / (k * n_label), of n rows with k labels,
    so that every label counts alike; default none.
    """

    trainer_args: dict[str, Any] = {}
    """Everything `trl.SFTConfig` takes; `max_seq_length` is an alias of `max_length`; default {}."""
