"""The `training` section: how the adapter is trained."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sft.config.section import Section

ExampleSelection = Literal["random", "nearest"]
SaveMethod = Literal["adapter", "merged", "state_dict", "safetensors", "full_model"]


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

    last_layer: bool = False
    """Whether the output head is trained beside what the adapter method trains; a head that shares the weights of the
    input embedding gets its own; default false.
    """

    trainer_args: dict[str, Any] = {}
    """Everything `trl.SFTConfig` takes; `max_seq_length` is an alias of `max_length`; default {}."""

    save_method: SaveMethod = "adapter"
    """What is left of a training beside its adapter, for other programs: `merged`, a model folder with the adapter in
    its weights; `safetensors`, the same with all weights in one file; `state_dict`, the same with
    `pytorch_model.bin`; `full_model`, the same with the pickled model in `model.pt`; default `adapter`: nothing more.
    In no id: a change trains nothing again.
    """
