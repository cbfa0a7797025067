"""The `training` section: how the adapter is trained."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sft.config.section import Section

ExampleSelection = Literal["random", "nearest"]
ObjectiveName = Literal["nll", "t_few", "dft"]
SaveMethod = Literal["adapter", "merged", "state_dict", "safetensors", "full_model"]


class TrainingConfig(Section):
    """How the adapter is trained."""

    icl_examples: Annotated[int, Field(ge=0)] = 0
    """In-context examples before each training row, per label for classification; default 0."""

    icl_selection: ExampleSelection = "random"
    """`random`, or `nearest`: the rows of the pool that are most like the training row; default random."""

    icl_encoder: str | None = None
    """Sentence-embedding model (hub id or folder) by which `nearest` compares; default none: TF-IDF of the words."""

    objective: ObjectiveName = "nll"
    """What a training makes small. `nll`: the cross-entropy of the right answer's tokens. `dft`, dynamic fine-tuning:
    the same with each token weighed by its own probability; another name of `trainer_args: {loss_type: dft}`. `t_few`,
    for classification: beside the cross-entropy, the wrong labels' tokens become improbable, and the right label more
    probable per token than the others, all labels run behind each prompt; default nll.
    """

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
