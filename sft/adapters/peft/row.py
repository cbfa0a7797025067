"""What the table of PEFT's methods says of each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sft.config.library.keys import dataclass_fields

Targets = Literal["linear", "keys_and_values", "values", "norms", "embedding", "none"]
"""What gets the adapter where the user names no targets: every linear layer of the language model but the head; the
layers of keys and values and the last one of the feed-forward part; the layers of values; the norms; the input
embedding; or nothing, as the method has a place of its own."""

BITSANDBYTES = ("plain", "nf4", "fp4", "int8")
WITH_TORCHAO = (*BITSANDBYTES, "torchao")
WITH_PACKED = (*WITH_TORCHAO, "gptq", "awq")
EIGHT_BITS = ("plain", "int8", "torchao")
READS = "it computes with the base's weights as they are stored, and these are packed"
UNTRIED = "it was not tried on weights that are packed so"
IN_FRONT = "what it learned stands in front of the prompt and is no part of the base's weights"
TIED_ROWS = (
    "trains rows of the input embedding, which is this model's output head too, where the loss reads past them; "
    "take lora with trainable_token_indices"
)

TOKENS = "token_indices"
"""The option of trainable tokens that lists their ids."""

SET_BY_US = "set by the program"
OF_THE_PROGRAM: Mapping[str, str] = {
    "peft_type": SET_BY_US,
    "auto_mapping": SET_BY_US,
    "peft_version": SET_BY_US,
    "base_model_name_or_path": "it is model.name",
    "revision": "the commit of a hub model is pinned by the results folder",
    "inference_mode": SET_BY_US,
    "runtime_config": SET_BY_US,
}
"""Options of every config class of PEFT that nobody writes, and why."""

Side = Literal["outputs", "inputs"]
Bound = Literal["inputs", "weights", "weights_by_sides"]
"""What a layer can take at most of something: as many as it has inputs, or weights, or as many of the sum of its
outputs and inputs as make its weights."""

Fit = Literal["divisor", "even_divisor", "blocks", "tokenizer"]
"""How an option that is not written is made to fit the model: the largest number, even where it must be, up to the
class's default that divides the sizes of all adapted layers; the number of the model's blocks; or the folder of its
tokenizer where one is read."""


@dataclass(frozen=True)
class Beginning:
    """How the initialisers of the project begin the factors of a method."""

    names: tuple[str, ...]
    """Those that mean something for it; own code is taken beside them."""

    fill: str
    """What writes the factors of one layer, `package.module:function`."""

    not_others: str
    """Why the other initialisers are refused."""

    option: str = "init_weights"
    """The option of the config class that names one; true leaves the beginning to PEFT."""

    rank: str | None = None
    """The option that is the rank of what they give, where the method by itself takes ranks above a layer's size."""


@dataclass(frozen=True)
class SizeRule:
    """What an option must be to the sides of each layer with an adapter; 0 and null say nothing."""

    option: str

    divides: tuple[Side, ...] = ()
    """What it must divide of each layer."""

    divides_option: str | None = None
    """Another option that it must divide as well."""

    at_most: Bound | None = None
    """What it must not be above."""

    pattern: str | None = None
    """Option that gives it to single layers by patterns of their names."""

    is_even: bool = False

    where: tuple[str, Any] | None = None
    """Another option and the value under which alone the rule holds."""

    is_adjusted: bool = False
    """Whether PEFT would take a near one that fits; then the rule is for what is written."""


@dataclass(frozen=True)
class PeftRow:
    """One method of PEFT."""

    name: str
    """As users write it; PEFT's own name in lower case."""

    summary: str
    """One line of what is trained, with the paper."""

    config: str
    """Its config class, `package.module:Class`."""

    targets: Targets = "linear"

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Options in force where the user writes none, where they are others than the class's."""

    fitted: Mapping[str, Fit] = field(default_factory=dict)
    """Options whose default would not fit every model."""

    needed: tuple[str, ...] = ()
    """Options that must be written."""

    either: tuple[str, str] | None = None
    """Two options that exclude each other: where one is written, the other is 0."""

    sizes: tuple[SizeRule, ...] = ()
    """Which options must fit the sizes of layers, and how."""

    rank: str | None = None
    """The option that is the rank of a change, which no layer may be smaller than; None where there is none."""

    refused: Mapping[str, str] = field(default_factory=dict)
    """Option -> why it is not taken."""

    start: str | None = None
    """How the model differs from its base before the first step; None where it computes the same."""

    beginning: Beginning | None = None
    """Where initialisers are taken; None leaves the beginning to PEFT alone."""

    storages: tuple[str, ...] = ("plain",)
    """The kinds of stored weights that it was measured on."""

    elsewhere: str = UNTRIED
    """Why it is refused on all others."""

    unmergeable: str | None = None
    """Why a trained one cannot become part of plain weights; None where it can."""

    adds_in_place: bool = False
    """Whether PEFT's layer adds to what the base's layer gives in place, where that is packed too."""

    takes_conv1d: bool = True
    """Whether it takes the layers of GPT-2, which store their weights as (in, out)."""

    model_types: tuple[str, ...] = ()
    """The types of models whose blocks it knows; none where it takes all."""

    learning_rate: float | None = None
    """In force where the user writes none; None leaves the program's own."""

    @property
    def module(self) -> str:
        """The module of the config class."""
        return self.config.partition(":")[0]

    @property
    def takes_rank_patterns(self) -> bool:
        """Whether its ranks can differ by the names of layers."""
        return "rank_pattern" in dataclass_fields(self.config) and "rank_pattern" not in self.refused
